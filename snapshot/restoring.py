"""Restore: snapshot to blueprint, blobs to unpacked layers, these and the templates to a tree. Orchestration only."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from snapshot.blueprint import file_time
from snapshot.cache import LayerCache
from snapshot.digest import Digest
from snapshot.errors import SnapshotError
from snapshot.forked import balanced, run_all, shares
from snapshot.home import FIXED_MTIME, HOME, RECEIPT
from snapshot.place import METHODS, Link, Placer, is_trusted, write_file
from snapshot.rendering import Rendering
from snapshot.scan import encode, read_regular
from snapshot.scratch import scratch
from snapshot.space import FULL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from snapshot.blueprint import Blueprint, Files, Template
    from snapshot.progress import Progress
    from snapshot.store.manifest import Reference
    from snapshot.store.store import Store
    from snapshot.supply import Supply

_FIXED_NS = FIXED_MTIME * 1_000_000_000

#: A child process costs some milliseconds: less than this many links take.
_WORTH_A_FORK = 2000


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
    The destination appears whole, by one rename, or not at all; an empty directory that
    was there keeps its owner and mode. Raises UnknownSnapshotError, AmbiguousSnapshotError, DestinationError, MissingBlobError, DamagedBlobError,
    DamagedLayerError, FormatError, UnsafeSnapshotError, NoInterpreterError, InterpreterError, LinkError, NoSpaceError, NoCacheError.
    """
    begin = time.perf_counter()
    found = store.resolve(reference)
    target = destination_of(destination)
    cache = LayerCache(store.cache)
    supply = _Supplies(store, found, cache, progress)
    placer = Placer(link)
    with _explained(target, cache.directory):
        blueprint = cache.blueprint(found.snapshot)
        if blueprint is None or not all(map(cache.has, blueprint.layers())):
            blueprint = supply.get().provide()
        base = None if blueprint.captured else _host(blueprint, python, candidates, cache)
        rendering = Rendering(blueprint, target, base)
        parent = os.path.dirname(target)
        os.makedirs(parent, exist_ok=True)
        with scratch(parent) as tree:
            builder = _Builder(blueprint, tree, rendering, cache, supply, placer)
            builder.build(full=verify == "full")
            _receipt(tree, blueprint, target, base, store, placer)
            placer.written += 1
            builder.finish()
            _take_place(tree, target)
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


def _take_place(tree: str, target: str) -> None:
    """One rename. An empty directory that was there decided who may look inside: its owner and its mode are those of what takes its place."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        os.rename(tree, target)
        return
    with suppress(PermissionError):  # only root gives things away
        os.chown(tree, status.st_uid, status.st_gid)
    mode = stat.S_IMODE(status.st_mode)
    os.chmod(tree, mode | 0o200)  # a directory that may not be written cannot be moved to another
    os.rename(tree, target)
    if not mode & 0o200:
        os.chmod(target, mode)


def destination_of(destination: str | os.PathLike[str]) -> str:
    """Where to rename the finished tree to. Raises DestinationError for what is neither missing nor an empty directory."""
    target = os.path.abspath(destination)
    try:
        if os.listdir(target):
            raise DestinationError(f"{target} is not empty; choose another destination or empty it first")
    except FileNotFoundError as error:
        if os.path.islink(target):
            raise DestinationError(f"{target} is a link that leads nowhere; choose another destination") from error
        # What is written into the environment, and what `verify` finds there later, is the place itself.
        return os.path.join(os.path.realpath(os.path.dirname(target)), os.path.basename(target))
    except NotADirectoryError as error:
        what = "is a file" if os.path.exists(target) else "lies below a file"
        raise DestinationError(f"{target} {what}; choose another destination") from error
    except PermissionError as error:
        raise DestinationError(f"no permission to look into {target}; choose another destination") from error
    # Through a link the rename would replace the link itself.
    return os.path.realpath(target)


@contextmanager
def _explained(target: str, cache: str) -> Iterator[None]:
    """Turn what the file system says into what the user can do."""
    try:
        yield
    except SnapshotError:
        raise
    except OSError as error:
        place = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else target
        in_cache = place == cache or place.startswith(cache + os.sep)
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            remedy = "use another cache directory (--cache)" if in_cache else "choose another destination"
            why = "no permission to write" if isinstance(error, PermissionError) else "a read-only file system has"
            raise DestinationError(error.errno, f"{why} {place}; {remedy}") from error
        if error.errno in FULL:
            raise DestinationError(
                error.errno, f"no space left on the disk of {place}; nothing was restored: make room and repeat"
            ) from error
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and _leads_to(error, target):
            raise DestinationError(
                error.errno, f"another process has put something into {target} meanwhile; choose another destination"
            ) from error
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise DestinationError(
                error.errno, f"{target} is a mount point, and cannot be replaced; restore to a directory in it"
            ) from error
        raise


def _leads_to(error: OSError, target: str) -> bool:
    """Whether it is about the rename to the destination."""
    return isinstance(error.filename2, (str, bytes)) and os.fsdecode(error.filename2) == target


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
        self._directories()
        self._files(full=full)
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

    def _directories(self) -> None:
        """Those that several layers need; each of the others comes with its layer, perhaps in another process."""
        os.chmod(self._tree, 0o755)
        wanted = dict.fromkeys([*self._blueprint.directories, HOME])
        for files in self._blueprint.files:
            for directory in files.directories:
                wanted.pop(directory, None)
        self._make(wanted)

    def _make(self, directories: Iterable[str]) -> None:
        made = [os.path.join(self._tree, encode(directory)) for directory in directories]
        for path in made:
            os.mkdir(path, 0o755)
        if made and stat.S_IMODE(os.lstat(made[0]).st_mode) != 0o755:  # a umask that hides things from others
            for path in made:
                os.chmod(path, 0o755)

    def _files(self, *, full: bool) -> None:
        """Place all layers, in several processes when there are enough files for it."""
        layers = self._blueprint.files
        counts = [len(files.paths) for files in layers]
        if full:
            self._supply.get()  # what it imports and reads is needed in every process
        parts = balanced(counts, shares(sum(counts), _WORTH_A_FORK))
        jobs = [partial(self._share, [layers[number] for number in part], full=full) for part in parts]
        placer = self._placer
        placer.linked = placer.written = 0
        damaged: dict[int, list[str]] = {}
        for part, (wrong, linked, written, method) in zip(parts, run_all(jobs), strict=True):
            damaged.update(zip(part, wrong, strict=True))
            placer.linked += linked
            placer.written += written
            placer.method = max(placer.method, method, key=METHODS.index)
        for number, paths in sorted(damaged.items()):
            if paths:
                self._heal(layers[number].only(set(paths)))

    def _share(self, layers: list[Files], *, full: bool) -> tuple[list[list[str]], int, int, str]:
        """Place some of the layers: the damaged paths of each, and the placer's counts, for another process to add up."""
        placer = Placer(self._placer.asked)
        for files in layers:
            self._make(files.directories)
        damaged = [self._place(files, placer, full=full) for files in layers]
        return damaged, placer.linked, placer.written, placer.used

    def _place(self, files: Files, placer: Placer, *, full: bool) -> list[str]:
        layer = self._cache.layer(files.tree)
        # Its owner could change a file, and its times, after it was linked into an environment that is not theirs.
        apart = not is_trusted(layer)
        digests = self._supply.get().digests(files.tree) if full or apart else None
        return placer.place(files, layer, self._target(files), digests, apart=apart)

    def _target(self, files: Files) -> str:
        return os.path.join(os.fsdecode(self._tree), files.mount).rstrip("/")

    def _heal(self, files: Files) -> None:
        """Files that were changed through a link of an earlier restore, or removed: fresh ones take their place."""
        self._supply.get().heal(files.tree)
        again = self._place(files, self._placer, full=True)
        if again:
            source = self._cache.layer(files.tree)
            raise SnapshotError(f"{source} changes while it is used: {again[0]!r}; restore again")

    def _template(self, template: Template) -> bytes:
        location = os.path.join(encode(self._cache.layer(template.tree)), encode(template.inner))
        data = read_regular(location)
        if data is not None and sha256(data).hexdigest() == template.sha256:
            return data
        self._supply.get().heal(template.tree)
        with open(location, "rb") as file:
            return file.read()

    def _compile(self) -> None:
        """Bytecode of the sources that were written for this place (`blueprint.Blueprint.needs_compiling`)."""
        sources = self._blueprint.needs_compiling()
        if not sources:
            return
        from snapshot.bytecode import cache_path
        from snapshot.interpreter import InterpreterError, Worker

        base = os.fsdecode(self._rendering.values["base"])
        if self._blueprint.captured:
            base = os.path.join(os.fsdecode(self._tree), self._blueprint.base_mount).rstrip("/")
        try:
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
        except InterpreterError as error:
            # Not where it lies now, in a directory that is gone in a moment, but where it would have been.
            destination = os.fsdecode(self._rendering.values["prefix"])
            raise InterpreterError(str(error).replace(os.fsdecode(self._tree), destination)) from error


def _receipt(tree: str, blueprint: Blueprint, target: str, base: str | None, store: Store, placer: Placer) -> None:
    """What `verify` needs to know of a restored environment."""
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
