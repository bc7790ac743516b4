"""What the store has that a capture can build on: the layers of earlier snapshots, those of the same name first."""

from __future__ import annotations

import posixpath
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError
from snapshot.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.digest import Descriptor, Digest
    from snapshot.model import Kind, Layer, Tree
    from snapshot.store.manifest import Reference
    from snapshot.store.store import Store

#: How many of the newest snapshots are looked at.
_RECENT = 8

#: The part of a layer's bytes that another layer must have, or have in files of the same name, to be taken for its origin.
_ALIKE = 0.3


class Lineage:
    """The layers of the newest snapshots of the name `NAME` in `NAME/VERSION`, and then of the newest others."""

    def __init__(self, store: Store, name: str | None, content: Mapping[Digest, Descriptor]) -> None:
        self._store = store
        self._content = content
        self._layers: dict[tuple[Kind, str], list[Layer]] = {}
        self._newest: list[Layer] = []
        self._lock = threading.Lock()
        self._owners: dict[str, list[tuple[Layer, int]]] | None = None
        self._trees: dict[Digest, Tree] = {}
        for reference in _ordered(store.references(), name)[:_RECENT]:
            # What cannot be read is not built upon: layers are packed anew, and `check` says what is wrong with it.
            with suppress(SnapshotError):
                layers = store.snapshot(reference).layers
                self._newest = self._newest or list(layers)
                for layer in layers:
                    known = self._layers.setdefault((layer.kind, layer.name), [])
                    if layer.diff_id not in {each.diff_id for each in known}:
                        known.append(layer)

    def knows(self, kind: Kind, name: str, version: str | None) -> bool:
        """Whether the store may have this very layer already."""
        return any(layer.version == version for layer in self._layers.get((kind, name), ()))

    def same(self, layer: Layer) -> Layer | None:
        """The layer that the store may have, with the digest of its tar, of one that was described without."""
        return next((each for each in self.earlier(layer.kind, layer.name) if replace(each, tar=None) == layer), None)

    def earlier(self, kind: Kind, name: str) -> list[Layer]:
        """Layers of the same kind and name, the likeliest base of a delta first."""
        return self._layers.get((kind, name), [])

    def similar(self, tree: Tree) -> list[Layer]:
        """The layer of the newest snapshot that a new one was renamed or split from, if there is one: it has the same files, or
        files of the same name in another directory.
        """
        owners = self._index()
        shares: Counter[Digest] = Counter()
        layers: dict[Digest, Layer] = {}
        for entry in tree:
            best: dict[Digest, int] = {}
            for key in (entry.sha256, posixpath.basename(entry.path)) if entry.size else ():
                for layer, size in owners.get(key, ()):
                    layers[layer.diff_id] = layer
                    best[layer.diff_id] = max(best.get(layer.diff_id, 0), min(size, entry.size))
            shares.update(best)
        total = sum(entry.size for entry in tree)
        return [layers[diff_id] for diff_id, share in shares.most_common(1) if share >= _ALIKE * total]

    def tree(self, layer: Layer) -> Tree:
        """Raises SnapshotError."""
        with self._lock:
            if layer.tree not in self._trees:
                self._trees[layer.tree] = read_tree(self._store, self._content, layer.tree, layer.label)
            return self._trees[layer.tree]

    def _index(self) -> dict[str, list[tuple[Layer, int]]]:
        """Who has a file, by its digest and by its name."""
        if self._owners is None:
            owners: dict[str, list[tuple[Layer, int]]] = {}
            for layer, tree in self._readable():
                for entry in tree:
                    if entry.size:
                        for key in (entry.sha256, posixpath.basename(entry.path)):
                            owners.setdefault(key, []).append((layer, entry.size))
            # A name that many have, such as __init__.py, says nothing.
            self._owners = {key: found for key, found in owners.items() if len(found) <= 8}
        return self._owners

    def _readable(self) -> Iterator[tuple[Layer, Tree]]:
        for layer in self._newest:
            with suppress(SnapshotError):
                yield layer, self.tree(layer)


def _ordered(references: tuple[Reference, ...], name: str | None) -> list[Reference]:
    """The newest first, and those of the same name before all others."""
    stem = (name or "").partition("/")[0]

    def other(reference: Reference) -> bool:
        return not stem or (reference.name or "").partition("/")[0] != stem

    newest_first = references[::-1]
    return sorted(newest_first, key=other)
