"""Restore: snapshot to blueprint, blobs to unpacked layers, these and the templates to a tree. Orchestration only."""

from __future__ import annotations

import json
import os
import posixpath
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snapshot.blueprint import file_time
from snapshot.cache import LayerCache
from snapshot.errors import SnapshotError
from snapshot.model import FIXED_MTIME, RECEIPT, Digest
from snapshot.place import Link, Placer, digest_of_file, write_file
from snapshot.rendering import Rendering
from snapshot.scan import encode
from snapshot.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.blueprint import Blueprint, Template
    from snapshot.progress import Progress
    from snapshot.store.manifest import Reference
    from snapshot.store.store import Store
    from snapshot.supply import Supply

_FIXED_NS = FIXED_MTIME * 1_000_000_000


class DestinationError(SnapshotError, OSError):
    """The destination cannot take an environment."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore made. `verified`: `full` when every byte was read and compared, `quick` when cached files were
    compared by size, mode and time. `link`: the way that was taken.
    """

    snapshot: Digest
    destination: Path
    python: Path
    parity_root: Digest
    verified: str
    linked_files: int
    written_files: int
    link: str
    seconds: float


def restore(
    reference: str,
    destination: str | os.PathLike[str],
    store: Store,
    *,
    link: Link = "auto",
    verify: Literal["full", "quick"] = "quick",
    python: str | os.PathLike[str] | None = None,
    candidates: Iterable[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
) -> Restored:
    """Make the environment of a snapshot at `destination`, which is missing or an empty directory.

    `reference` is a name, a snapshot id or its beginning. Layers that are not unpacked on this node yet are unpacked and
    verified, whatever `verify` says. `python` and `candidates` are host interpreters for a snapshot without one.
    The destination appears whole, by one rename, or not at all. Raises UnknownSnapshotError, DestinationError,
    DamagedBlobError, UnsafeSnapshotError, NoInterpreterError, LinkError.
    """
    begin = time.perf_counter()
    found = store.resolve(reference)
    target = _destination(destination)
    cache = LayerCache(store.cache)
    supply = _Supplies(store, found, cache, progress)
    blueprint = cache.blueprint(found.snapshot)
    if blueprint is None or not all(map(cache.has, blueprint.layers())):
        blueprint = supply.get().provide()
    base = None if blueprint.captured else _host(blueprint, python, candidates, cache)
    placer = Placer(link)
    parent = os.path.dirname(target)
    try:
        os.makedirs(parent, exist_ok=True)
        with scratch(parent) as tree:
            builder = _Builder(blueprint, tree, Rendering(blueprint, target, base), cache, supply, placer)
            builder.build(full=verify == "full")
            _receipt(tree, blueprint, target, base, store, placer)
            placer.written += 1
            builder.finish()
            os.rename(tree, target)
    except PermissionError as error:
        raise DestinationError(
            error.errno, f"no permission to write {error.filename or parent}; choose another destination"
        ) from error
    return Restored(
        snapshot=found.snapshot,
        destination=Path(target),
        python=Path(target, blueprint.python),
        parity_root=Digest(blueprint.parity_root),
        verified="full" if verify == "full" or supply.unpacked_all else "quick",
        linked_files=placer.linked,
        written_files=placer.written,
        link=placer.method,
        seconds=time.perf_counter() - begin,
    )


def _destination(destination: str | os.PathLike[str]) -> str:
    target = os.path.abspath(destination)
    try:
        if os.listdir(target):
            raise DestinationError(f"{target} is not empty; choose another destination or empty it first")
    except FileNotFoundError:
        return target
    except NotADirectoryError as error:
        raise DestinationError(f"{target} is a file; choose another destination") from error
    except PermissionError as error:
        raise DestinationError(f"no permission to look into {target}; choose another destination") from error
    # Through a link the rename would replace the link itself.
    return os.path.realpath(target)


def _host(
    blueprint: Blueprint,
    python: str | os.PathLike[str] | None,
    candidates: Iterable[str | os.PathLike[str]],
    cache: LayerCache,
) -> str:
    """The base directory of a host interpreter that fits."""
    from snapshot.hosts import find_host

    return find_host(blueprint, None if python is None else os.fspath(python), candidates, cache.directory)


class _Supplies:
    """The way to the store's layers, taken only when the cache lacks something."""

    def __init__(self, store: Store, reference: Reference, cache: LayerCache, progress: Progress | None) -> None:
        self._arguments = (store, reference, cache, progress)
        self._made: Supply | None = None

    def get(self) -> Supply:
        if self._made is None:
            from snapshot.supply import Supply

            self._made = Supply(*self._arguments)
        return self._made

    @property
    def unpacked_all(self) -> bool:
        """Whether every layer was unpacked, and so verified, for this restore."""
        return self._made is not None and self._made.unpacked_all


class _Builder:
    """Builds one tree from a blueprint."""

    def __init__(
        self,
        blueprint: Blueprint,
        tree: str,
        rendering: Rendering,
        cache: LayerCache,
        supply: _Supplies,
        placer: Placer,
    ) -> None:
        self._blueprint = blueprint
        self._tree = encode(tree)
        self._rendering = rendering
        self._cache = cache
        self._supply = supply
        self._placer = placer

    def build(self, *, full: bool) -> None:
        os.chmod(self._tree, 0o755)
        for directory in self._blueprint.directories:
            os.mkdir(os.path.join(self._tree, encode(directory)), 0o755)
        for diff_id, mount, rows in self._blueprint.files:
            self._layer(diff_id, mount, rows, full=full)
        for template, data in self._rendering.files(self._template):
            write_file(os.path.join(self._tree, encode(template.path)), data, template.mode, _FIXED_NS)
            self._placer.written += 1
        self._compile()
        # Last, so that nothing is ever written through a link.
        for path, target in self._rendering.links():
            os.symlink(encode(target), os.path.join(self._tree, encode(path)))

    def finish(self) -> None:
        for directory in self._blueprint.read_only:
            os.chmod(os.path.join(self._tree, encode(directory)), 0o555)

    def _layer(self, diff_id: str, mount: str, rows: list[list[Any]], *, full: bool) -> None:
        source = self._cache.layer(diff_id)
        target = os.path.join(os.fsdecode(self._tree), mount).rstrip("/")
        damaged = self._placer.place(rows, source, target, full=full)
        if damaged:
            # Changed through a link of an earlier restore, or removed: fresh files take the place of these.
            self._supply.get().heal(diff_id, [row[0] for row in damaged])
            again = self._placer.place(damaged, source, target, full=True)
            if again:
                raise SnapshotError(f"{source} changes while it is used: {again[0][0]!r}; restore again")

    def _template(self, template: Template) -> bytes:
        location = os.path.join(encode(self._cache.layer(template.diff_id)), encode(template.inner))
        if digest_of_file(location) != template.sha256:
            self._supply.get().heal(template.diff_id, [template.inner])
        with open(location, "rb") as file:
            return file.read()

    def _compile(self) -> None:
        """Bytecode of the sources that were written for this place (`blueprint.Blueprint.needs_compiling`)."""
        sources = self._blueprint.needs_compiling()
        if not sources:
            return
        from snapshot.bytecode import cache_path
        from snapshot.interpreter import Worker

        base = os.fsdecode(self._rendering.values["base"])
        if self._blueprint.captured:
            base = os.path.join(os.fsdecode(self._tree), self._blueprint.base_mount).rstrip("/")
        with Worker(os.path.join(base, self._blueprint.executable)) as worker:
            for path in sources:
                source = os.path.join(os.fsdecode(self._tree), path)
                # One that does not compile here did not where it came from, or never had bytecode.
                worker.ask(
                    op="compile",
                    path=source,
                    name=path,
                    out=cache_path(source, self._blueprint.cache_tag),
                    mtime=FIXED_MTIME,
                )


def _receipt(tree: str, blueprint: Blueprint, target: str, base: str | None, store: Store, placer: Placer) -> None:
    """What `verify` needs to know of a restored environment."""
    os.makedirs(os.path.join(tree, posixpath.dirname(RECEIPT)), exist_ok=True)
    content = {
        "schema": 1,
        "snapshot": blueprint.snapshot,
        "destination": target,
        "base": base,
        "store": str(store),
        "link": placer.method,
    }
    data = json.dumps(content, indent=1).encode("ascii") + b"\n"
    write_file(os.path.join(encode(tree), encode(RECEIPT)), data, 0o644, file_time("0" * 64))
