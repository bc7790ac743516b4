"""Give back what nothing needs: blobs in the store, unpacked layers and stamps on this node, and what killed processes left."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.cache import LayerCache
from snapshot.errors import SnapshotError
from snapshot.rebasing import rebase
from snapshot.scratch import sweep
from snapshot.space import FULL
from snapshot.store.errors import MissingBlobError
from snapshot.store.removed import is_over, load_removed
from snapshot.store.store import GRACE, NoCacheError

if TYPE_CHECKING:
    from snapshot.progress import Progress
    from snapshot.store.manifest import Row
    from snapshot.store.store import Store


class GraceError(SnapshotError, ValueError):
    """A grace period that is none."""


@dataclass(frozen=True, slots=True)
class Collection:
    """`blobs` deleted, and the `bytes` that the store is smaller by; unpacked `layers` forgotten; `leftovers` of interrupted commands removed; layers
    `rebased`: encoded anew, since their deltas needed a layer that no snapshot has any more.

    `full`: the disk was, so that nothing was encoded anew; what is kept by that `optimize` frees.

    `kept_blobs`, `kept_bytes`: what nothing needs, but stays for now; from `kept_until` on (seconds since the epoch; None
    when there is nothing) all of it may go. `removed`: the removed snapshots that went for good, by name where they had one.
    """

    blobs: int
    bytes: int
    layers: int
    leftovers: int
    kept_blobs: int = 0
    kept_bytes: int = 0
    kept_until: int | None = None
    removed: tuple[str, ...] = ()
    rebased: int = 0
    full: bool = False


def collect(
    store: Store, *, grace: float = GRACE, dry_run: bool = False, progress: Progress | None = None
) -> Collection:
    """Delete the blobs that no snapshot reaches, and forget the unpacked layers that no snapshot has. Before that, layers
    that are stored as differences from one that no snapshot has any more are encoded anew.

    What was removed less than `grace` seconds ago stays, so that a capture or a restore that began before loses nothing;
    so do blobs written that lately. Environments that were restored from a forgotten layer stay whole: their files are
    links of their own. `dry_run`: only say what would go; leftovers are not looked for then, and what encoding anew would free is not
    counted. Raises GraceError, StoreError.
    """
    if not grace >= 0:
        raise GraceError(f"a grace period of {grace} seconds: give 0 or more")
    # Only a removal makes a base superfluous.
    going = [each.row for each in load_removed(store.backend) if is_over(each, grace, time.time())]
    before = _stored(store) if going and not dry_run else 0
    rebased = _rebase(store, going, progress) if going and not dry_run else 0
    grown = _stored(store) - before if rebased else 0
    done = store.collect(grace=grace, dry_run=dry_run)
    layers = leftovers = 0
    with suppress(NoCacheError):  # a store without a cache has nothing on this node
        directory = os.fspath(store.cache)
        # Where no document was read, what the node needs is not known.
        if os.path.isdir(directory) and done.named is not None:
            layers, leftovers = _node(directory, done.named, dry_run=dry_run)
    return Collection(
        done.blobs,
        max(0, done.bytes - grown),
        layers,
        done.staging + leftovers,
        done.kept_blobs,
        done.kept_bytes,
        done.kept_until,
        done.removed,
        rebased or 0,
        full=rebased is None,
    )


def _stored(store: Store) -> int:
    """Bytes of all blobs."""
    total = 0
    for digest in store.backend.digests():
        with suppress(MissingBlobError):  # gone meanwhile
            total += store.backend.size(digest)
    return total


def _rebase(store: Store, going: list[Row], progress: Progress | None) -> int | None:
    """None when the disk is full: then nothing is encoded anew. What a removed layer is needed for keeps it, and all else makes room."""
    try:
        return rebase(store, going, progress)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return None


def _node(directory: str, needed: frozenset[str], *, dry_run: bool) -> tuple[int, int]:
    cache = LayerCache(directory)
    if dry_run:
        return len(cache.forgettable(needed)), 0
    leftovers = sweep(directory)
    return cache.forget(needed), leftovers + cache.sweep()
