"""How much room unpacking takes: the files, and for a while the bases of deltas. The one computation for restore and preflight."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from snapshot.codec import read_note
from snapshot.delta import decode_head
from snapshot.errors import SnapshotError
from snapshot.store.manifest import DELTA_TYPE
from snapshot.tars import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snapshot.digest import Descriptor, Digest
    from snapshot.store.store import Store


def peak(row: Sequence[int]) -> int:
    """Bytes on disk at one time while a row of deltas is read: `row` has the sizes of the bases, the layer's own base first.

    A base is written while the one that it is a delta against lies there in full, and no other.
    """
    return max((one + other for one, other in zip(row, [*row, 0][1:], strict=True)), default=0)


def unpacking(sizes: Sequence[int], rows: Sequence[Sequence[int]], parts: Sequence[Sequence[int]]) -> int:
    """The most bytes on disk while layers of `sizes` with bases `rows` are unpacked.

    `parts`: the numbers of those that each process does, one after the other. Each process may be at its worst at the same time.
    """
    total = 0
    for part in parts:
        done = accumulate(sizes[number] for number in part)
        total += max((so_far + peak(rows[number]) for so_far, number in zip(done, part, strict=True)), default=0)
    return total


def base_sizes(store: Store, content: Mapping[Digest, Descriptor], diff_id: Digest, label: str) -> list[int]:
    """The sizes of the tars that a layer's blob needs, its own base first, as the heads of the deltas declare them.

    Where a blob cannot be read the row ends: whoever unpacks the layer says what is wrong with it.
    """
    found: list[int] = []
    blob = content.get(diff_id)
    while blob is not None and blob.media_type == DELTA_TYPE and len(found) <= DEEPEST:
        what = f"layer {label} (blob {blob.digest})"
        try:
            with store.open(blob) as source:
                head = decode_head(read_note(source, what), what)
        except SnapshotError:
            break
        found.append(head.base_size)
        blob = content.get(head.base)
    return found
