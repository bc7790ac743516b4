"""How bytes, files and differing files are spread over their owners: for the picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from diffing.observing.sides import owner_of
from diffing.report import Share
from diffing.verdict import Verdict
from snapshot.model import Kind

if TYPE_CHECKING:
    from diffing.observing.sides import Sides
    from snapshot.model import Layer


def share_out(sides: Sides) -> tuple[Share, ...]:
    """One share an owner, the largest first; where the sides differ in size, the larger.

    The verdict is what follows from the files alone: EQUIVALENT where any stored byte differs. Grades come on top of that.
    """
    sizes, files = Counter[str](), Counter[str]()
    stored: tuple[defaultdict[str, set[object]], defaultdict[str, set[object]]] = (defaultdict(set), defaultdict(set))
    for side, rows in zip((sides.train, sides.serve), stored, strict=True):
        size, count = Counter[str](), Counter[str]()
        for layer in side.snapshot.layers:
            if layer.kind is Kind.MODEL:  # no part of the environment
                continue
            owner = _name(layer)
            size[owner] += layer.size
            count[owner] += layer.files
            rows[owner].add((layer.name, layer.version, layer.mount, layer.tree))
        sizes |= size
        files |= count
    differing = Counter[str]()
    names: dict[int, str] = {}
    for change in sides.diff.files:
        for owner in {_named(state.owner, names) for state in change.states}:
            differing[owner] += 1
    shares = [
        Share(owner, sizes[owner], files[owner], differing[owner], _verdict(stored[0][owner], stored[1][owner]), None)
        for owner in stored[0].keys() | stored[1].keys()
    ]
    return tuple(sorted(shares, key=lambda share: (-share.bytes, share.owner)))


def _verdict(train: set[object], serve: set[object]) -> Verdict:
    return Verdict.IDENTICAL if train == serve else Verdict.EQUIVALENT


def _named(layer: Layer, names: dict[int, str]) -> str:
    """`_name`, asked once a layer."""
    if id(layer) not in names:
        names[id(layer)] = _name(layer)
    return names[id(layer)]


def _name(layer: Layer) -> str:
    """`unowned`, `environment` and `bytecode` are owners of the picture too."""
    if layer.kind is Kind.BYTECODE:
        return str(layer.kind)
    return owner_of(layer) or str(layer.kind)
