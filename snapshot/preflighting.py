"""Preflight: look at this machine before anything is fetched, unpacked or written. What is judged is in `fitting`, and pure."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.cache import LayerCache
from snapshot.errors import SnapshotError
from snapshot.facts import dynamic
from snapshot.facts.host import host as this_host
from snapshot.facts.loader import Loader, directories, look
from snapshot.fitting import Disk, Notice, judge, room
from snapshot.flattening import blueprint_of
from snapshot.hosts import NoInterpreterError, find_host
from snapshot.place import Link, LinkError, Placer
from snapshot.rendering import Rendering
from snapshot.restoring import DestinationError, destination_of
from snapshot.room import bases_of, unpacking
from snapshot.scratch import scratch
from snapshot.supply import processes
from snapshot.trees import StoredTrees, read_facts, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.blueprint import Blueprint
    from snapshot.digest import Digest
    from snapshot.facts.model import Facts, Host, SystemLibrary
    from snapshot.store.store import Store

#: What a directory and a small file take on most file systems, in bytes.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Preflight:
    """What stands in the way of a restore (`problems`), what is worth knowing (`warnings`), and what nobody can tell (`unknown`).

    `link`: how files would get from the cache to the destination, `reflink`, `hardlink` or `copy`; empty where that could not be tried.
    `needed_bytes`: what it takes on disk, `layers` how many layers are to be unpacked first.
    """

    snapshot: Digest
    destination: str
    problems: tuple[Notice, ...]
    warnings: tuple[Notice, ...]
    unknown: tuple[Notice, ...]
    link: str
    layers: int
    needed_bytes: int

    @property
    def ok(self) -> bool:
        return not self.problems


def preflight(
    reference: str,
    destination: str | os.PathLike[str],
    store: Store,
    *,
    link: Link = "auto",
    python: str | os.PathLike[str] | None = None,
    candidates: Iterable[str | os.PathLike[str]] = (),
    library_path: str = "",
    host: Host | None = None,
) -> Preflight:
    """Find out whether the snapshot that `reference` means can be restored to `destination` on this machine, and will run.

    `link`, `python` and `candidates` as for `restore`; `library_path` is the LD_LIBRARY_PATH that the environment will run with;
    `host` is the machine, where it is not the one that this runs on. Reads manifest, config, trees and facts, of layers that are deltas the
    first bytes, and no layer. All problems come together, each with its remedy. Nothing stays behind on disk but what interpreters said of
    themselves, in the cache. Raises UnknownSnapshotError, AmbiguousSnapshotError, and what an unreadable manifest or config does.
    """
    found = store.resolve(reference)
    manifest, snapshot = store.manifest(found), store.snapshot(found)
    facts = read_facts(store, manifest)
    machine = host or this_host()
    problems, warnings, unknown = judge(snapshot.interpreter, facts, machine, _libraries(facts, machine, library_path))
    way, layers, disks = "", 0, list[Disk]()
    target = os.path.abspath(destination)
    with suppress(DestinationError):  # it is among the problems below
        target = destination_of(destination)
    cache = LayerCache(store.cache)
    try:
        record = read_record(store, manifest)
        origin = None if record is None else record.base
        trees = StoredTrees(store, manifest, snapshot)
        blueprint = cache.blueprint(found.snapshot) or blueprint_of(found.snapshot, snapshot, trees, origin)
    except SnapshotError as error:
        problems.append(Notice("snapshot", str(error), "capture it again, or copy the store again"))
    else:
        problems += _destination(destination, blueprint)
        way, notices = _link(cache.directory, target, link)
        (problems if link != "auto" or not way else warnings).extend(notices)
        needed = blueprint.layers()
        missing = [each for each in snapshot.layers if each.tree in needed and not cache.has(each.tree)]
        layers = len(missing)
        bases = [bases_of(store, manifest.content, each.diff_id, each.label) for each in missing]
        parts = processes(missing, bases)
        takes = unpacking([each.size for each in missing], [each.sizes for each in bases], parts)
        files = sum(each.files for each in missing)
        disks = _disks(cache.directory, target, takes, files, blueprint, way)
        problems += room(disks)
        if not blueprint.captured:
            problems += _interpreter(blueprint, cache.directory, python, candidates)
    return Preflight(
        found.snapshot,
        target,
        tuple(problems),
        tuple(warnings),
        tuple(unknown),
        way,
        layers,
        sum(disk.needed for disk in disks),
    )


def _libraries(facts: Facts, machine: Host, library_path: str) -> frozenset[str]:
    """The sonames of the facts that this machine has."""
    rows = facts.native.libraries if facts.native else ()
    # Libraries of another class or machine are passed over; ours are those that this process could load.
    own = dynamic.read("/proc/self/exe")
    if own is None or not rows:
        return frozenset()
    loader = Loader([*filter(None, library_path.split(":")), *directories(machine.machine)])

    def there(row: SystemLibrary) -> bool:
        if loader.find(row.soname, own.kind) is not None:
            return True
        # One that a search path named lies where it lay, or not at all.
        return row.path.startswith("/") and look(row.path, own.kind) is not None

    return frozenset(row.soname for row in rows if there(row))


def _destination(destination: str | os.PathLike[str], blueprint: Blueprint) -> list[Notice]:
    try:
        target = destination_of(destination)
        Rendering(blueprint, target, None)
    except SnapshotError as error:
        detail, _, remedy = str(error).rpartition("; ")
        return [Notice("destination", detail or str(error), remedy or "choose another destination")]
    if os.path.ismount(target):
        return [Notice("destination", f"{target} is a mount point", "restore to a directory in it")]
    return []


def _existing(path: str) -> str:
    """The directory itself, or the nearest one above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _link(cache: str, target: str, link: Link) -> tuple[str, list[Notice]]:
    """How a file gets from the cache to the destination: tried with one."""
    source, parent = _existing(cache), _existing(os.path.dirname(target))
    refused = [
        Notice("destination", f"no permission to write {path}", remedy)
        for path, remedy in (
            (source, "use another cache directory (--cache)"),
            (parent, "choose another destination"),
        )
        if not os.access(path, os.W_OK | os.X_OK)
    ]
    if refused:
        return "", refused
    placer = Placer(link)
    try:
        with scratch(source) as one, scratch(parent) as other:
            path = os.path.join(one, "file")
            with open(path, "wb") as file:
                file.write(b"x")
            placer.try_one(path, os.path.join(other, "file"))
    except LinkError as error:
        detail = f"cannot {link} from {source} to {parent} ({error.strerror})"
        return "", [
            Notice("link", detail, "use --link auto or copy, or a cache on the destination's file system (--cache)")
        ]
    except OSError as error:  # read-only, or full
        return "", [
            Notice("destination", f"cannot write to {source} and {parent}: {error.strerror}", "make them writable")
        ]
    if link == "auto" and placer.method == "copy":
        detail = f"every file will be copied: nothing can be linked from {source} to {parent}"
        return "copy", [
            Notice("link", detail, "put the cache on the destination's file system (--cache) to save time and room")
        ]
    return placer.method, []


def _disks(cache: str, target: str, unpacked: int, files: int, blueprint: Blueprint, way: str) -> list[Disk]:
    """What each disk is to take: one, where cache and destination are on the same."""
    placed = sum(len(each.paths) for each in blueprint.files)
    small = len(blueprint.directories) + len(blueprint.templates) + len(blueprint.links)
    empty = sum(not size for each in blueprint.files for size in each.sizes)
    written = small * _BLOCK
    if way in ("", "copy"):
        written += sum(sum(each.sizes) for each in blueprint.files)
    inodes = small + (empty if way == "hardlink" else placed)
    places = {_existing(cache): [unpacked, files], _existing(os.path.dirname(target)): [written, inodes]}
    if len(places) == 1:
        places = {_existing(cache): [unpacked + written, files + inodes]}
    devices: dict[int, Disk] = {}
    for where, (needed, count) in places.items():
        status, device = os.statvfs(where), os.stat(where).st_dev
        known = devices.get(device)
        devices[device] = Disk(
            where if known is None else known.where,
            status.f_bavail * status.f_frsize,
            status.f_favail if status.f_files else None,
            needed + (known.needed if known else 0),
            count + (known.needed_inodes if known else 0),
        )
    return list(devices.values())


def _interpreter(
    blueprint: Blueprint,
    cache: str,
    python: str | os.PathLike[str] | None,
    candidates: Iterable[str | os.PathLike[str]],
) -> list[Notice]:
    try:
        find_host(blueprint, None if python is None else os.fspath(python), candidates, cache)
    except NoInterpreterError as error:
        detail, _, remedy = str(error).rpartition(". ")
        return [Notice("interpreter", detail, remedy)]
    return []
