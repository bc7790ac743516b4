"""How bytes, files and differing files are spread over their owners: for the picture."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from diffing.observing.sides import owner_of
from diffing.report import Share
from diffing.verdict import Verdict
from snapshot.model import Kind

if TYPE_CHECKING:
    from diffing.observing.sides import Sides
    from snapshot.model import Layer, Snapshot


def share_out(sides: Sides) -> tuple[Share, ...]:
    """One share an owner, the largest first; where the sides differ in size, the larger. Verdicts come with the grades."""
    sizes, files = Counter[str](), Counter[str]()
    for totals, count in ((sizes, "size"), (files, "files")):
        for side in (sides.train, sides.serve):
            for owner, number in _totals(side.snapshot, count).items():
                totals[owner] = max(totals[owner], number)
    differing = Counter[str]()
    for change in sides.diff.files:
        differing.update({_name(state.owner) for state in change.states})
    shares = [
        Share(owner, size, files[owner], differing[owner], Verdict.IDENTICAL, None) for owner, size in sizes.items()
    ]
    return tuple(sorted(shares, key=lambda share: (-share.bytes, share.owner)))


def _totals(snapshot: Snapshot, count: str) -> Counter[str]:
    totals = Counter[str]()
    for layer in snapshot.layers:
        totals[_name(layer)] += getattr(layer, count)
    return totals


def _name(layer: Layer) -> str:
    """`unowned`, `environment` and `bytecode` are owners of the picture too."""
    if layer.kind is Kind.BYTECODE:
        return str(layer.kind)
    return owner_of(layer) or str(layer.kind)
