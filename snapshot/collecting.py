"""Give back what nothing needs: blobs in the store, unpacked layers and stamps on this node, and what killed processes left."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.cache import LayerCache
from snapshot.errors import SnapshotError
from snapshot.scratch import sweep
from snapshot.store.store import NoCacheError

if TYPE_CHECKING:
    from snapshot.store.store import Store


@dataclass(frozen=True, slots=True)
class Collection:
    """`blobs` deleted and their `bytes`; unpacked `layers` forgotten; `leftovers` of interrupted commands removed."""

    blobs: int
    bytes: int
    layers: int
    leftovers: int


def collect(store: Store) -> Collection:
    """Delete the blobs that no snapshot reaches, and forget the unpacked layers that no snapshot has.

    Environments that were restored from a forgotten layer stay whole: their files are links of their own. Raises StoreError.
    """
    done = store.collect()
    layers = leftovers = 0
    with suppress(NoCacheError):  # a store without a cache has nothing on this node
        directory = os.fspath(store.cache)
        if os.path.isdir(directory):
            layers, leftovers = _node(store, directory)
    return Collection(done.blobs, done.bytes, layers, done.staging + leftovers)


def _node(store: Store, directory: str) -> tuple[int, int]:
    leftovers = sweep(directory)
    cache = LayerCache(directory)
    needed: set[str] = set()
    for reference in store.references():
        try:
            needed.update(layer.tree for layer in store.snapshot(reference).layers)
        except SnapshotError:
            return 0, leftovers  # what a damaged snapshot needs is not known, so nothing is forgotten
    return cache.forget(needed), leftovers + cache.sweep()
