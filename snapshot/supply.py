"""Bring a snapshot's layers from the store into the node's cache: the cold half of a restore.

`restoring` imports this only when something is missing: a warm restore is over in the time that the import takes.
"""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

from snapshot.digest import Digest
from snapshot.flattening import blueprint_of
from snapshot.forked import balanced, run_all, shares
from snapshot.memory import kept
from snapshot.progress import counter
from snapshot.room import bases_of, unpacking, work
from snapshot.space import NoSpaceError, room_in
from snapshot.store.manifest import DELTA_TYPE
from snapshot.stretches import Log
from snapshot.tars import Tars, blob_of
from snapshot.trees import StoredTrees, read_record
from snapshot.unpack import Unpacker, read_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snapshot.blueprint import Blueprint
    from snapshot.cache import LayerCache
    from snapshot.model import Layer, Snapshot
    from snapshot.progress import Progress
    from snapshot.room import Bases
    from snapshot.store.manifest import Manifest, Reference
    from snapshot.store.store import Store


#: Bytes from which a child process is worth its start.
_WORTH_A_FORK = 4 << 20

#: Bytes of bases that each process keeps in memory (docs/format.md, "Figures").
_MEMORY = 64 << 20


def processes(layers: Sequence[Layer], bases: Sequence[Bases]) -> list[list[int]]:
    """Which layers, by number, each process unpacks, in its order."""
    takes = [work(layer, each) for layer, each in zip(layers, bases, strict=True)]
    return balanced(takes, shares(sum(layer.size for layer in layers), _WORTH_A_FORK))


class Supply:
    """Brings layers of one snapshot from the store into the cache."""

    def __init__(self, store: Store, reference: Reference, cache: LayerCache, progress: Progress | None) -> None:
        self._store = store
        self._reference = reference
        self._cache = cache
        self._progress = progress
        self._loaded: tuple[Manifest, Snapshot, StoredTrees] | None = None
        self.unpacked_all = False

    def _load(self) -> tuple[Manifest, Snapshot, StoredTrees]:
        if self._loaded is None:
            manifest = self._store.manifest(self._reference)
            snapshot = self._store.snapshot(self._reference)
            self._loaded = manifest, snapshot, StoredTrees(self._store, manifest, snapshot)
        return self._loaded

    def _layer(self, tree: str) -> Layer:
        return next(layer for layer in self._load()[1].layers if layer.tree == tree)

    def provide(self) -> Blueprint:
        """Unpack what the cache lacks, and keep the blueprint."""
        manifest, snapshot, trees = self._load()
        record = read_record(self._store, manifest)
        blueprint = blueprint_of(self._reference.snapshot, snapshot, trees, None if record is None else record.base)
        needed = blueprint.layers()
        missing = [self._layer(tree) for tree in sorted(needed) if not self._cache.has(tree)]
        self.unpacked_all = len(missing) == len(needed)
        bases = [bases_of(self._store, manifest.content, layer.diff_id, layer.label) for layer in missing]
        sizes = [layer.size for layer in missing]
        parts = processes(missing, bases)
        self._check_space(unpacking(sizes, [each.sizes for each in bases], parts))
        # Each process reports its own share to its own copy of `progress`: the caller sees the first share's.
        advance = counter("restore", self._progress, sum(sizes[number] for number in parts[0]))
        with room_in(self._cache.directory):
            run_all([partial(self._add, [missing[number] for number in part], advance) for part in parts])
            with suppress(PermissionError):  # another user's cache: it is quick to make again
                self._cache.keep(blueprint)
        return blueprint

    def _add(self, layers: list[Layer], advance: Callable[[int], None]) -> None:
        content = self._load()[0].content
        rows = any(layer.diff_id in content and content[layer.diff_id].media_type == DELTA_TYPE for layer in layers)
        with kept() if rows else nullcontext(), Log(self._cache.directory, _MEMORY) as log:
            for layer in layers:
                self._cache.add(layer.tree, partial(self.unpack, layer, advance=advance, log=log))

    def unpack(
        self, layer: Layer, root: str, advance: Callable[[int], None] = lambda _: None, log: Log | None = None
    ) -> None:
        manifest, _, trees = self._load()
        blob = blob_of(manifest.content, layer.diff_id, layer.label)
        chunks = Tars(self._store, manifest.content, log).chunks(layer.diff_id, layer.label)
        unpacker = Unpacker(root, f"layer {layer.label} (blob {blob.digest})", advance)
        read_layer(chunks, layer, trees[layer.tree], blob.digest, unpacker.take)

    def digests(self, tree: str) -> dict[str, str]:
        """sha256 (hexadecimal) by path of a layer's files."""
        return {entry.path: entry.sha256 for entry in self._load()[2][Digest(tree)]}

    def heal(self, tree: str) -> None:
        """Unpack a layer anew, in place of what is damaged."""
        with room_in(self._cache.directory):
            self._cache.replace(tree, partial(self.unpack, self._layer(tree)))

    def _check_space(self, needed: int) -> None:
        """A declared size that does not fit is refused before it fills the disk."""
        os.makedirs(self._cache.directory, exist_ok=True)
        status = os.statvfs(self._cache.directory)
        free = status.f_bavail * status.f_frsize
        if needed > free:
            raise NoSpaceError(
                f"{self._cache.directory} has {free / 1e6:,.0f} MB free and unpacking needs {needed / 1e6:,.0f} MB; "
                "make room or move the store"
            )
