"""Rebase: let layers go that only removed snapshots had, and that others are still stored as deltas against.

Only what is directly a delta against such a layer is encoded anew; what is a delta against that in turn stays as it is. Which manifests
these are the index of contents says (`store.contents`), so that those that have nothing to do with it are not read. An
index that is wrong costs room in the store and nothing else: what is encoded anew is found in the manifests themselves.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.codec import CAPTURE
from snapshot.errors import SnapshotError
from snapshot.optimizing import renewed
from snapshot.prefix import QUICK
from snapshot.progress import counter
from snapshot.recoding import Pass, Recoder
from snapshot.store.batch import BlobsVanishedError
from snapshot.store.manifest import reference_of
from snapshot.tars import UNREADABLE, bases
from snapshot.threads import pools

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from snapshot.digest import Descriptor, Digest
    from snapshot.model import Layer, Snapshot
    from snapshot.progress import Progress
    from snapshot.store.manifest import Manifest, Reference, Row
    from snapshot.store.store import Store

    Found = tuple[Reference, Manifest, Snapshot]

_HOW = Pass("rebase", 0, CAPTURE, QUICK)


@dataclass(frozen=True, slots=True)
class _Row:
    """Layers to encode anew, each with what it is to be a delta against. `head` is whole, before or by the first pair."""

    head: Layer
    pairs: tuple[tuple[Layer, Layer | None], ...]


def rebase(store: Store, removed: Iterable[Row], progress: Progress | None = None) -> int:
    """Encode anew what is a delta against layers that only the snapshots `removed` (rows that the index had) still have;
    return how many layers that was. Raises StoreError.
    """
    shelf = _Shelf(store)
    gone = shelf.gone(removed)
    strays = [layer for layer in gone.values() if shelf.owner(layer) is None and shelf.holders(layer.diff_id)]
    if not strays:
        return 0
    affected = shelf.affected(strays)
    blobs: dict[Digest, Descriptor] = {}
    for _, manifest, _ in affected:
        blobs.update(manifest.content)
    rows = list(_rows(shelf, affected, blobs, gone, {layer.diff_id for layer in strays}))
    return _encode(store, affected, {**shelf.content, **blobs}, rows, progress) if rows else 0


class _Shelf:
    """The manifests of a store, each read when something of it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        references = store.references()
        self._order = {each.manifest.digest: number for number, each in enumerate(references)}
        self._references = {each.manifest.digest: each for each in references}
        self._contents = store.contents()
        self._read: dict[Digest, Found | None] = {}
        self._owned: dict[Digest, Layer] = {}
        #: What the manifests list that were read.
        self.content: dict[Digest, Descriptor] = {}

    def gone(self, rows: Iterable[Row]) -> dict[Digest, Layer]:
        """The layers that the removed snapshots had."""
        kept = {each.snapshot for each in self._references.values()}
        found: dict[Digest, Layer] = {}
        for row in rows:
            snapshot = self._store.identify(row)
            if snapshot is None or snapshot in kept:
                continue
            # What cannot be read, or was collected, has nothing to give: `optimize` finds what it leaves behind.
            with suppress(SnapshotError):
                layers = self._store.snapshot(reference_of(row, snapshot)).layers
                found.update({layer.diff_id: layer for layer in layers})
        return found

    def holders(self, content: Digest) -> list[Digest]:
        return [each for each in self._contents.holders(content) if each in self._references]

    def owner(self, layer: Layer) -> Layer | None:
        """The layer as a snapshot has it that is not removed; None when none has it."""
        # A base is listed without its tree: who lists that as well has the layer.
        return self._search(layer.diff_id, (layer.tree, layer.diff_id))

    def layer(self, diff_id: Digest) -> Layer | None:
        """The same for one of which nothing else is known."""
        return self._search(diff_id, (diff_id,))

    def _search(self, diff_id: Digest, clues: Iterable[Digest]) -> Layer | None:
        for clue in clues:
            if diff_id in self._owned:
                break
            for digest in self.holders(clue):
                self.read(digest)
                if diff_id in self._owned:
                    break
        return self._owned.get(diff_id)

    def read(self, digest: Digest) -> Found | None:
        if digest not in self._read:
            self._read[digest] = None
            with suppress(SnapshotError):  # it stays as it is; `check` says what is wrong with it
                reference = self._references[digest]
                manifest, snapshot = self._store.manifest(reference), self._store.snapshot(reference)
                self._read[digest] = (reference, manifest, snapshot)
                self._owned.update({layer.diff_id: layer for layer in snapshot.layers})
                self.content.update(manifest.content)
        return self._read[digest]

    def affected(self, strays: Iterable[Layer]) -> list[Found]:
        """The snapshots whose manifests list a stray, the oldest first."""
        digests = {digest for layer in strays for digest in self.holders(layer.diff_id)}
        return [found for digest in sorted(digests, key=self._order.__getitem__) if (found := self.read(digest))]


def _rows(
    shelf: _Shelf,
    affected: list[Found],
    blobs: dict[Digest, Descriptor],
    gone: dict[Digest, Layer],
    strays: set[Digest],
) -> Iterator[_Row]:
    """What is to be encoded anew: against the next base that stays, or else the newest whole and others against that."""
    seen: set[Digest] = set()
    without: dict[Digest, list[Layer]] = {}
    for _, _, snapshot in reversed(affected):
        for layer in snapshot.layers:
            row = _bases(blobs, layer.diff_id)
            if layer.diff_id in seen or strays.isdisjoint(row) or _known(shelf, row[0], gone, strays):
                continue
            seen.add(layer.diff_id)
            base = next((found for each in row if (found := _known(shelf, each, gone, strays))), None)
            head = gone.get(row[-1]) or shelf.layer(row[-1])
            if base is None or head is None:
                without.setdefault(row[-1], []).append(layer)
            else:
                yield _Row(head, ((layer, base),))
    for first, *others in without.values():
        yield _Row(first, ((first, None), *((layer, first) for layer in others)))


def _known(shelf: _Shelf, diff_id: Digest, gone: dict[Digest, Layer], strays: set[Digest]) -> Layer | None:
    """The layer, when a snapshot has it that is not removed."""
    if diff_id in strays:
        return None
    return shelf.owner(gone[diff_id]) if diff_id in gone else shelf.layer(diff_id)


def _bases(blobs: dict[Digest, Descriptor], diff_id: Digest) -> list[Digest]:
    try:
        return bases(blobs, diff_id)
    except SnapshotError:
        return []  # damaged: it is left alone


def _encode(
    store: Store,
    affected: list[Found],
    blobs: dict[Digest, Descriptor],
    rows: list[_Row],
    progress: Progress | None,
) -> int:
    advance = counter(_HOW.stage, progress, sum(layer.size for row in rows for layer, _ in row.pairs))
    changed: dict[Digest, Descriptor] = {}
    with pools(2) as threads, store.begin() as batch:
        pool, heavy = threads.executors
        recoder = Recoder(store, blobs, batch, _HOW, heavy, threads.watched)

        def one(row: _Row) -> dict[Digest, Descriptor]:
            try:
                return recoder.row(row.head, row.pairs, advance)
            except UNREADABLE:
                return {}  # it stays as it is, and so does what it needs

        for found in pool.map(one, rows):
            changed.update(found)
        manifests, _ = renewed(store, affected, {**blobs, **changed}, changed.values())
        # Another process may have encoded or collected what this one built upon: then nothing is different.
        with suppress(BlobsVanishedError):
            if manifests and batch.rewrite(manifests):
                return len(changed)
    return 0
