"""Which layer is stored whole, and which as a delta against which, when all are known. Pure.

A capture can only look back: it makes the newest layer a delta against an older one. Here it is the other way round: the
newest is whole, so that the newest snapshot is restored at once, and each older one is a delta against the next newer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from snapshot.digest import Digest
    from snapshot.model import Kind, Layer


@dataclass(frozen=True, slots=True)
class Group:
    """The layers of one kind and name, the newest first."""

    layers: tuple[Layer, ...]

    @property
    def label(self) -> str:
        return self.layers[0].name

    @property
    def size(self) -> int:
        """Bytes of all tars."""
        return sum(layer.size for layer in self.layers)


def groups_of(snapshots: Sequence[Iterable[Layer]]) -> list[Group]:
    """The layers of all snapshots (the oldest first), each once; the largest groups first."""
    found: dict[tuple[Kind, str, str], dict[Digest, Layer]] = {}
    for layers in reversed(snapshots):
        for layer in layers:
            found.setdefault((layer.kind, layer.name, layer.mount), {}).setdefault(layer.diff_id, layer)
    seen: set[Digest] = set()
    groups = []
    for members in found.values():
        # The same content under two names is stored once.
        own = tuple(layer for diff_id, layer in members.items() if diff_id not in seen)
        seen.update(layer.diff_id for layer in own)
        if own:
            groups.append(Group(own))
    return sorted(groups, key=lambda group: -group.size)


def bases_of(group: Group, whole: Collection[Digest], depth: int) -> Iterator[tuple[Layer, Layer | None]]:
    """Each layer of the group with the one that it is to be a delta against; None for one that is stored whole.

    The newest is whole, and so are those in `whole`; there are at most `depth` deltas in a row: then a row begins at the whole
    layer before it again.
    """
    first, last, row = group.layers[0], group.layers[0], 0
    for layer in group.layers:
        if layer is group.layers[0] or layer.diff_id in whole:
            first, last, row = layer, layer, 0
            yield layer, None
            continue
        base = last if row < depth else first
        row = row + 1 if row < depth else 1
        last = layer
        yield layer, base
