"""How much room unpacking takes: the files, and for a while the bases of deltas. The one computation for restore and preflight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from snapshot.codec import read_note
from snapshot.delta import decode_head
from snapshot.errors import SnapshotError
from snapshot.store.manifest import DELTA_TYPE
from snapshot.tars import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snapshot.digest import Descriptor, Digest
    from snapshot.model import Layer
    from snapshot.store.store import Store

#: To make a file takes as long as to write this many bytes.
_FILE = 1 << 14


def unpacking(sizes: Sequence[int], rows: Sequence[Sequence[int]], parts: Sequence[Sequence[int]]) -> int:
    """The most bytes on disk while layers of `sizes` with bases `rows` are unpacked.

    `parts`: the numbers of those that each process does, one after the other. Each has a file for bases, which only grows. What a
    base has in common with its own base is written once, but how much that is only the deltas say.
    """
    return sum(sizes[number] for part in parts for number in part) + sum(
        max((sum(rows[number]) for number in part), default=0) for part in parts
    )


class Bases(NamedTuple):
    """What a layer needs: the sizes of the tars of its bases, its own base first, and of all blobs, its own too; in bytes."""

    sizes: list[int]
    packed: int


def bases_of(store: Store, content: Mapping[Digest, Descriptor], diff_id: Digest, label: str) -> Bases:
    """The bases of a layer, as the heads of the deltas declare them.

    Where a blob cannot be read the row ends: whoever unpacks the layer says what is wrong with it.
    """
    sizes: list[int] = []
    blob = content.get(diff_id)
    packed = 0 if blob is None else blob.size
    while blob is not None and blob.media_type == DELTA_TYPE and len(sizes) <= DEEPEST:
        what = f"layer {label} (blob {blob.digest})"
        try:
            with store.open(blob) as source:
                head = decode_head(read_note(source, what), what)
        except SnapshotError:
            break
        sizes.append(head.base_size)
        blob = content.get(head.base)
        packed += 0 if blob is None else blob.size
    return Bases(sizes, packed)


def work(layer: Layer, bases: Bases) -> int:
    """About how long it takes to unpack `layer`, for comparison with others (docs/format.md, "Figures")."""
    return layer.size + sum(bases.sizes) // 2 + 8 * bases.packed + _FILE * layer.files
