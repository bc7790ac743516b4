"""How often each named rule of docs/format.md, "Identity", found that a difference does not matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from diffing.report import Normalised
from snapshot.model import Kind
from snapshot.trees import apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.observing.sides import Sides
    from snapshot.description import Description
    from snapshot.model import Entry, Layer, Tree

#: A layer by what it is called in both environments.
Key = tuple[str, str, str]


def count_normalised(sides: Sides) -> tuple[Normalised, ...]:
    """Count the entries that differ and do not matter, in layers that are equal in what counts.

    Where a layer differs in what counts, its RECORD, its bytecode and the like follow from that and are no news.
    """
    counts: Counter[str] = Counter()
    one, two = (_by_key(side) for side in (sides.train, sides.serve))
    changed = _changed(one, two)
    for key in sorted(one.keys() | two.keys()):
        mine, yours = one.get(key), two.get(key)
        layer = mine or yours
        if layer is None or key[1:] in changed or (mine and yours and mine.tree == yours.tree):
            continue
        if layer.kind is Kind.BYTECODE and not (mine and yours):
            counts["bytecode"] += layer.files
        else:
            counts.update(_rules(*_entries(sides, mine, yours)))
    return tuple(Normalised(rule, count) for rule, count in sorted(counts.items()) if count)


def _by_key(side: Description) -> dict[Key, Layer]:
    layers = side.snapshot.layers
    return {(layer.kind.value, layer.name, layer.mount): layer for layer in layers if layer.kind is not Kind.MODEL}


def _changed(one: dict[Key, Layer], two: dict[Key, Layer]) -> set[tuple[str, str]]:
    """Name and mount of the layers that differ in what counts; their bytecode has the same name and mount."""
    return {key[1:] for key in one.keys() | two.keys() if _parity(one.get(key)) != _parity(two.get(key))}


def _parity(layer: Layer | None) -> str | None:
    return None if layer is None else layer.parity


def _entries(sides: Sides, mine: Layer | None, yours: Layer | None) -> tuple[Tree, Tree]:
    """The entries that are not the very same on both sides. None where a side does not know a layer's files."""
    train, serve = sides.train.trees, sides.serve.trees
    if (mine and mine.tree not in train) or (yours and yours.tree not in serve):
        return (), ()
    if mine and yours:
        return apart(train, mine.tree, serve, yours.tree)
    return train[mine.tree] if mine else (), serve[yours.tree] if yours else ()


def _rules(train: Tree, serve: Tree) -> Iterator[str]:
    """The rule for each path of which the entries differ. The layers are equal in what counts, so there is one."""
    rules: dict[str, set[str]] = defaultdict(set)
    for entry in (*train, *serve):
        rules[entry.path].update(filter(None, [_rule(entry)]))
    return (min(found, default="write-bit") for found in rules.values())


def _rule(entry: Entry) -> str | None:
    """A file of a bytecode layer says its rule itself, as every other does."""
    return "directory" if entry.type == "d" else entry.rule
