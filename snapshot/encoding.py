"""Tar to blob: full, or as a delta against a layer that the store has, where that pays."""

from __future__ import annotations

import io
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.codec import CAPTURE, CHUNK, FRAME, Compressor, Frames, note
from snapshot.delta import Planner, encode_head, encode_segment, read_by
from snapshot.digest import Descriptor
from snapshot.errors import SnapshotError
from snapshot.prefix import QUICK, Prefix
from snapshot.store.manifest import BASE, CONTENT, DELTA_TYPE, LAYER_TYPE
from snapshot.tars import Tar, Tars, bases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from snapshot.codec import Sink
    from snapshot.delta import Delta, Range, Segment
    from snapshot.digest import Digest
    from snapshot.lineage import Lineage
    from snapshot.model import Layer, Tree
    from snapshot.prefix import Effort
    from snapshot.store.batch import Batch
    from snapshot.store.store import Store

#: A layer smaller than this (bytes) is stored whole: what a delta saves is less than what it takes to note it.
SMALLEST = 16 << 10

#: Most deltas in a row: the time of a restore grows with them.
DEPTH = 8

#: A delta larger than this part of the full blob is not worth the time that it takes to read.
PAYS = 0.85

#: A new full blob begins when the deltas in a row would take more than this many times the bytes of the full blob at their end.
_ROW = 2.0

#: A layer up to this size (bytes) is encoded both ways to see; for a larger one the full size is estimated.
_TRY_BOTH = 4 << 20

#: A base whose own delta is smaller than this part of the full blob at its end is passed over for its own base, where that is as
#: large. What changes little from version to version would become a long row; against the same base the deltas grow a little instead.
_NEAR = 0.03

#: How many layers of the same name are compared with a new one.
_CANDIDATES = 3


@dataclass(frozen=True, slots=True)
class Base:
    """A layer to make a delta against. `blobs` are its own and those that it needs, the full one last."""

    layer: Layer
    tree: Tree
    blobs: Mapping[Digest, Descriptor]

    @property
    def full(self) -> int:
        """Bytes of the full blob."""
        return list(self.blobs.values())[-1].size

    @property
    def row(self) -> int:
        """Bytes of the deltas before it."""
        return sum(blob.size for blob in self.blobs.values()) - self.full

    @property
    def near(self) -> Digest | None:
        """Its own base, if it is nearly the same."""
        own = list(self.blobs)[1:2]
        return own[0] if own and self.blobs[self.layer.diff_id].size < _NEAR * self.full else None


def write_delta(plan: Delta, raw: Tar, base: Tar, sink: Sink, pool: Executor, effort: Effort = QUICK) -> int:
    """Write the delta that makes `raw` out of `base`; return how many bytes it has. Segments are compressed by `pool`."""
    written = sink.write(note(encode_head(plan)))
    starts, at = [], 0
    for segment in plan.segments:
        starts.append(at)
        at += segment.length
    jobs = deque(
        pool.submit(_pack, segment, at, raw, base, effort) for segment, at in zip(plan.segments, starts, strict=True)
    )
    for segment in plan.segments:
        packed = jobs.popleft().result()  # nothing holds what was written
        written += sink.write(note(encode_segment(segment, len(packed))))
        written += sink.write(packed)
    return written


def stage(made: Tar, batch: Batch) -> tuple[Digest, int]:
    """Make a blob of what was written to `made`. Only what is used becomes one: a staged blob stays open as long as its batch."""
    blob = batch.blob()
    for offset in range(0, made.size, CHUNK):
        blob.write(made.read((offset, min(CHUNK, made.size - offset))))
    return blob.close()


class _Room(threading.local):
    """A buffer for each thread, as large as the largest segment needed: one that is mapped anew for each takes as long as reading."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, tar: Tar, ranges: Sequence[tuple[int, int]]) -> memoryview:
        """The bytes of all ranges; good until the next call."""
        size = sum(length for _, length in ranges)
        if size > len(self._buffer):
            self._buffer = bytearray()  # not two at a time
            self._buffer = bytearray(size)
        view = memoryview(self._buffer)[:size]
        tar.read_into(view, *ranges)
        return view


_ROOM = _Room()


def _pack(segment: Segment, at: int, raw: Tar, base: Tar, effort: Effort) -> bytes:
    new = []
    for step in segment.operations:
        if step.offset is None:
            new.append((at, step.length))
        at += step.length
    if not new:
        return b""
    # It keeps a copy, so the room is free for the new bytes.
    prefix = Prefix(_ROOM.read(base, segment.dictionary))
    return prefix.pack(_ROOM.read(raw, new), effort)


class Encoder:
    """Makes blobs of the layers of one capture. `have` says what the store holds; segments are compressed by `pool`."""

    def __init__(self, store: Store, have: Mapping[Digest, Descriptor], lineage: Lineage, pool: Executor) -> None:
        self._store = store
        self._have = have
        self._lineage = lineage
        self._pool = pool
        self._tars = Tars(store, have)
        self.directory = self._tars.directory

    def encode(self, layer: Layer, tree: Tree, raw: Tar, batch: Batch) -> dict[Digest, Descriptor]:
        """The new blob of a layer whose tar is `raw`, staged in `batch`, and the blobs of the bases that it needs."""
        whole = compressed(raw) if raw.size <= _TRY_BOTH else None
        base = self._base(layer, tree)
        if base is not None:
            expected = len(whole) if whole is not None else base.full * raw.size // max(base.layer.size, 1)
            found = self._delta(layer, tree, raw, base, expected, batch)
            if found is not None:
                return {layer.diff_id: found, **base.blobs}
        blob = batch.blob()
        if whole is not None:
            blob.write(whole)
        else:
            compress(raw, blob)
        return {layer.diff_id: Descriptor(LAYER_TYPE, *blob.close(), {CONTENT: layer.diff_id})}

    def _delta(self, layer: Layer, tree: Tree, raw: Tar, base: Base, expected: int, batch: Batch) -> Descriptor | None:
        """None when it does not pay, a full blob having about `expected` bytes, or when the base cannot be read."""
        plan = Planner(base.layer.diff_id, base.tree).plan(tree)
        other = self._read(base, read_by(plan))
        if other is None:
            return None
        with other, Tar(self.directory) as made:
            written = write_delta(plan, raw, other, made, self._pool)
            if written > PAYS * expected or base.row + written > _ROW * base.full:
                return None
            return Descriptor(DELTA_TYPE, *stage(made, batch), {CONTENT: layer.diff_id, BASE: base.layer.diff_id})

    def _base(self, layer: Layer, tree: Tree) -> Base | None:
        """Of the layers that the store has, the one with the most bytes of the new one."""
        if layer.size < SMALLEST:
            return None
        candidates = self._lineage.earlier(layer.kind, layer.name) or self._lineage.similar(tree)
        found = [base for each in candidates if each.diff_id != layer.diff_id and (base := self._usable(each))]
        sizes = {entry.sha256: entry.size for entry in tree}

        def shared(base: Base) -> int:
            return sum(sizes.get(entry.sha256, 0) for entry in base.tree)

        # Of equals the first, which is the newest.
        best = max(found[:_CANDIDATES], key=shared, default=None)
        usable = {base.layer.diff_id: base for base in found}
        while best is not None and best.near in usable and best.layer.size > usable[best.near].layer.size // 2:
            best = usable[best.near]
        return best

    def _read(self, base: Base, ranges: Sequence[Range]) -> Tar | None:
        """These ranges of the base's tar; None when it is damaged or gone: the new layer does without."""
        # By the pool, like all that takes memory: its threads bound how much is taken at once.
        reading = self._pool.submit(self._tars.file, base.layer.diff_id, base.layer.label, base.layer.size, ranges)
        try:
            return reading.result()
        except (SnapshotError, OSError):
            return None  # `check` says what is wrong with it; where the disk is full, a whole layer may still fit

    def _usable(self, layer: Layer) -> Base | None:
        """The layer as a base, unless there are too many deltas in a row already, or something of it is missing."""
        try:
            row = [layer.diff_id, *bases(self._have, layer.diff_id)]
            blobs = {each: self._have[each] for each in row}
            if len(row) > DEPTH or not all(self._store.has(blob.digest) for blob in blobs.values()):
                return None
            return Base(layer, self._lineage.tree(layer), blobs)
        except (SnapshotError, KeyError):
            return None  # `check` says what is wrong with it; the new layer does without


def compressed(raw: Tar) -> bytes:
    """The content of a full blob, for a small layer."""
    sink = io.BytesIO()
    compress(raw, sink)
    return sink.getvalue()


def compress(raw: Tar, sink: Sink, level: int = CAPTURE) -> int:
    """Write a full blob; return how many bytes it has."""
    if level == CAPTURE:
        frames = Frames(sink, raw.size)
        for offset in range(0, raw.size, FRAME):
            frames.write(raw.read((offset, min(FRAME, raw.size - offset))))
        return frames.written
    compressor = Compressor(sink, level)
    for offset in range(0, raw.size, CHUNK):
        compressor.write(raw.read((offset, min(CHUNK, raw.size - offset))))
    return compressor.close()
