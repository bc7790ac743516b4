"""Encode layers anew that the store has already: one group of layers at a time, into blobs that are staged and not yet used."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.arrangement import bases_of
from snapshot.codec import decompress, read_note
from snapshot.delta import Planner, decode_head
from snapshot.digest import Descriptor
from snapshot.encoding import DEPTH, PAYS, SMALLEST, compress, stage, write_delta
from snapshot.errors import SnapshotError
from snapshot.memory import Spare
from snapshot.store.manifest import BASE, CONTENT, DELTA_TYPE, EFFORT, LAYER_TYPE, REFUSED
from snapshot.tars import Tar, Tars, blob_of, segments
from snapshot.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from snapshot.arrangement import Group
    from snapshot.codec import Piece, Sink
    from snapshot.digest import Digest
    from snapshot.model import Layer, Tree
    from snapshot.prefix import Effort
    from snapshot.store.batch import Batch
    from snapshot.store.store import Store


@dataclass(frozen=True, slots=True)
class Pass:
    """How hard one pass over the store tries: `level` for full blobs, `effort` for deltas. What it wrote has its `rank`, and
    is not written again by a pass of the same rank.
    """

    stage: str
    rank: int
    level: int
    effort: Effort


class RecodingError(SnapshotError, RuntimeError):
    """A new blob that does not hold its layer."""


class Recoder:
    """Encodes groups. `blobs` says where every content is now; compression is done by `heavy`, so that its threads
    bound the memory, however many groups are on their way. `watched` makes a sink one that can be interrupted.
    """

    def __init__(
        self,
        store: Store,
        blobs: Mapping[Digest, Descriptor],
        batch: Batch,
        how: Pass,
        heavy: Executor,
        watched: Callable[[Sink], Sink],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._batch = batch
        self._how = how
        self._heavy = heavy
        self._watched = watched
        self._tars = Tars(store, blobs)

    def group(
        self, group: Group, whole: Collection[Digest], advance: Callable[[int], None]
    ) -> dict[Digest, Descriptor]:
        """The blob of each layer of the group by its diff_id; those in `whole` are stored whole. Some are as they were."""
        return self.row(group.layers[0], bases_of(group, whole, DEPTH), advance)

    def row(
        self, head: Layer, pairs: Iterable[tuple[Layer, Layer | None]], advance: Callable[[int], None]
    ) -> dict[Digest, Descriptor]:
        """The blob of each layer as a delta against the one beside it, or whole where that is None. `head` is one that is whole,
        before this or by the first pair: what a whole blob of the others would take is judged by it.
        """
        found: dict[Digest, Descriptor] = {}
        with ExitStack() as stack:
            raws = _Raws(self._tars, self._heavy, stack)
            for layer, base in pairs:
                done = self._kept(layer, base)
                if done is None and base is not None and layer.size >= SMALLEST:
                    like = found.get(head.diff_id) or blob_of(self._blobs, head.diff_id, head.label)
                    expected = like.size * layer.size // max(head.size, 1)
                    done = self._delta(layer, base, raws, expected)
                found[layer.diff_id] = done or self._full(layer, base, raws)
                raws.close_all_but(head, layer)
                advance(layer.size)
        return found

    def _kept(self, layer: Layer, base: Layer | None) -> Descriptor | None:
        """The blob that is there, when this pass would make no better one."""
        blob = blob_of(self._blobs, layer.diff_id, layer.label)
        notes = blob.annotations
        if blob.media_type == DELTA_TYPE:
            # Beyond the first, every pass tries as hard with deltas.
            fits = base is not None and notes.get(BASE) == base.diff_id
            return blob if fits and _effort(notes) >= min(self._how.rank, 1) else None
        tried = base is None or layer.size < SMALLEST or notes.get(REFUSED) == base.diff_id
        return blob if tried and _effort(notes) >= self._how.rank else None

    def _delta(self, layer: Layer, base: Layer, raws: _Raws, expected: int) -> Descriptor | None:
        """None when it does not pay: a full blob would have about `expected` bytes."""
        plan = Planner(base.diff_id, self._tree(base)).plan(self._tree(layer))
        with Tar(self._tars.directory) as made:
            written = write_delta(plan, raws.get(layer), raws.get(base), made, self._heavy, self._how.effort)
            if written > PAYS * expected:
                return None
            self._heavy.submit(_prove_delta, made, raws.get(base), layer).result()
            return Descriptor(DELTA_TYPE, *stage(made, self._batch), self._notes(layer) | {BASE: base.diff_id})

    def _full(self, layer: Layer, base: Layer | None, raws: _Raws) -> Descriptor:
        """A new full blob, or the one that is there when that is no larger."""
        notes = self._notes(layer) | ({} if base is None else {REFUSED: str(base.diff_id)})
        old = self._blobs[layer.diff_id]
        if not self._how.rank and old.media_type == LAYER_TYPE:
            return replace(old, annotations={**old.annotations, **notes})
        with Tar(self._tars.directory) as made:
            sink = self._watched(made)
            written = self._heavy.submit(compress, raws.get(layer), sink, self._how.level).result()
            if old.media_type == LAYER_TYPE and old.size <= written:
                return replace(old, annotations={**old.annotations, **notes})
            self._heavy.submit(_prove_full, made, layer).result()
            return Descriptor(LAYER_TYPE, *stage(made, self._batch), notes)

    def _notes(self, layer: Layer) -> dict[str, str]:
        return {CONTENT: layer.diff_id, EFFORT: str(self._how.rank)}

    def _tree(self, layer: Layer) -> Tree:
        return read_tree(self._store, self._blobs, layer.tree, layer.label)


def _prove_delta(made: Tar, base: Tar, layer: Layer) -> None:
    """Read what was written: the blob that it replaces will be deleted."""
    what = f"layer {layer.label}"
    with made.reader() as source:
        _prove(segments(source, decode_head(read_note(source, what), what), base, what, Spare()), layer)


def _prove_full(made: Tar, layer: Layer) -> None:
    with made.reader() as source:
        _prove(decompress(source, f"layer {layer.label}"), layer)


def _prove(chunks: Iterator[Piece], layer: Layer) -> None:
    digest = sha256()
    for chunk in chunks:
        digest.update(chunk)
    if digest.hexdigest() != layer.diff_id.hex:
        raise RecodingError(
            f"layer {layer.label}: what was written does not give it back, so the store was left as it is; "
            "see that memory and disk of this machine are well"
        )


def _effort(notes: Mapping[str, str]) -> int:
    """How hard was tried, by an annotation that may be anybody's."""
    said = notes.get(EFFORT, "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 4 else 0


class _Raws:
    """Tars of a group that are at hand: each is read from the store once, as long as it is kept."""

    def __init__(self, tars: Tars, heavy: Executor, stack: ExitStack) -> None:
        self._tars = tars
        self._heavy = heavy
        self._open: dict[Digest, Tar] = {}
        stack.callback(self.close_all_but)

    def get(self, layer: Layer) -> Tar:
        if layer.diff_id not in self._open:
            reading = self._heavy.submit(self._tars.file, layer.diff_id, layer.label, layer.size)
            self._open[layer.diff_id] = reading.result()
        return self._open[layer.diff_id]

    def close_all_but(self, *layers: Layer) -> None:
        for diff_id in self._open.keys() - {layer.diff_id for layer in layers}:
            self._open.pop(diff_id).close()
