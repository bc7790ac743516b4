"""The comparison: layers whose parity is equal are never looked into, the rest is merged by path."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.utils import canonicalize_name

from diffing.errors import MissingTreeError
from diffing.model import DistributionChange, EnvironmentDiff, FactChange, FileChange, FileCounts, FileState
from snapshot.model import BESIDE, Kind
from snapshot.parity import counted
from snapshot.trees import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from snapshot.description import Description
    from snapshot.model import Layer, Snapshot, Tree

#: Two layers that are to be compared; None where the other environment has no such layer.
Pair = tuple["Layer | None", "Layer | None"]
#: What a layer is called in both environments: its kind and its normalised name.
Key = tuple[str, str]
#: A file, and the number of the pair that its layer belongs to.
Owned = tuple[int, FileState]
#: Path by which the two sides are matched, to the files that lie there. More than one if several layers have it.
Table = dict[str, list[Owned]]
Item = TypeVar("Item")


def compare(a: Description, b: Description) -> EnvironmentDiff:
    """Find every difference that keeps the parity roots of `a` and `b` apart."""
    pairs = list(_differing_layers(a, b))
    files = tuple(_files(a, b, pairs))
    return EnvironmentDiff(
        before=a.snapshot,
        after=b.snapshot,
        facts=tuple(_facts(a.snapshot, b.snapshot)),
        distributions=tuple(_distributions(pairs, files)),
        files=files,
    )


def _facts(a: Snapshot, b: Snapshot) -> Iterator[FactChange]:
    for name in ("implementation", "version", "soabi", "platform", "digest"):
        before, after = getattr(a.interpreter, name), getattr(b.interpreter, name)
        if before != after:
            yield FactChange(f"interpreter.{name}", before, after)
    if a.environment.system_site_packages != b.environment.system_site_packages:
        yield FactChange("system_site_packages", a.environment.system_site_packages, b.environment.system_site_packages)


# -- which layers


def _key(layer: Layer) -> Key:
    distribution = layer.kind is Kind.DISTRIBUTION
    return (layer.kind.value, canonicalize_name(layer.name) if distribution else layer.name)


def _row(layer: Layer) -> tuple[str, ...]:
    """What the parity root has of this layer."""
    return (layer.kind.value, layer.name, layer.version or "", layer.parity or "")


def _row_in_place(layer: Layer) -> tuple[str, ...]:
    return (*_row(layer), layer.mount)


def _differing_layers(a: Description, b: Description) -> Iterator[Pair]:
    """Pair the layers that the parity roots do not have in common."""
    skipped = set(BESIDE)
    if a.snapshot.interpreter.digest == b.snapshot.interpreter.digest or not (has_base(a) and has_base(b)):
        # Equal, or not to be told apart by file: the digest's own fact stands for them.
        skipped.add(Kind.INTERPRETER)
    left, right = (
        sorted((layer for layer in side.snapshot.layers if layer.kind not in skipped), key=lambda layer: layer.sort_key)
        for side in (a, b)
    )
    kept = [layer for layer in left if layer.parity], [layer for layer in right if layer.parity]
    # In place first: of two equal layers the one that lies where its counterpart lies is the counterpart.
    kept = _without_common(*kept, _row_in_place)
    kept = _without_common(*kept, _row)
    # Where nothing of a layer counts the root does not have it, but it still is what its namesake became.
    spare = [layer for layer in left if not layer.parity], [layer for layer in right if not layer.parity]
    groups: tuple[dict[Key, list[Layer]], dict[Key, list[Layer]]] = (defaultdict(list), defaultdict(list))
    for group, layers in zip(groups, kept, strict=True):
        for layer in layers:
            group[_key(layer)].append(layer)
    for key in sorted(groups[0].keys() | groups[1].keys()):
        mine, yours = groups[0][key], groups[1][key]
        mine += [layer for layer in spare[0] if _key(layer) == key][: max(0, len(yours) - len(mine))]
        yours += [layer for layer in spare[1] if _key(layer) == key][: max(0, len(mine) - len(yours))]
        # An environment can hold a distribution twice: in two places, or as two versions in one place.
        pairs = _match(
            mine,
            yours,
            lambda layer: layer.sort_key,
            (lambda layer: (layer.mount, layer.version), lambda layer: layer.mount, lambda _: None),
        )
        # In an order that does not depend on which side is the first.
        yield from sorted(pairs, key=lambda pair: sorted(layer.sort_key for layer in pair if layer))


def has_base(side: Description) -> bool:
    """Whether the interpreter's files are known one by one."""
    layers = [layer for layer in side.snapshot.layers if layer.kind is Kind.INTERPRETER]
    return bool(layers) and all(layer.tree in side.trees for layer in layers)


def _without_common(
    left: list[Layer], right: list[Layer], row: Callable[[Layer], tuple[str, ...]]
) -> tuple[list[Layer], list[Layer]]:
    common = Counter(map(row, left)) & Counter(map(row, right))
    return _less(left, common.copy(), row), _less(right, common, row)


def _less(
    layers: list[Layer], common: Counter[tuple[str, ...]], row: Callable[[Layer], tuple[str, ...]]
) -> list[Layer]:
    kept = []
    for layer in layers:
        if common[row(layer)]:
            common[row(layer)] -= 1
        else:
            kept.append(layer)
    return kept


def _match(
    left: Iterable[Item], right: Iterable[Item], order: Callable[[Item], Any], likeness: Sequence[Callable[[Item], Any]]
) -> Iterator[tuple[Item | None, Item | None]]:
    """Pair items that are alike: first by the first likeness, what is left over by the next, and so on.

    Within a likeness `order` decides, so that the result is the same whichever side comes first.
    """
    mine, yours = sorted(left, key=order), sorted(right, key=order)
    for alike in likeness:
        waiting: dict[Any, list[Item]] = defaultdict(list)
        for item in yours:
            waiting[alike(item)].append(item)
        rest = []
        for item in mine:
            if waiting[alike(item)]:
                yield item, waiting[alike(item)].pop(0)
            else:
                rest.append(item)
        mine, yours = rest, sorted((item for items in waiting.values() for item in items), key=order)
    for item in mine:
        yield item, None
    for item in yours:
        yield None, item


# -- which files


def _files(a: Description, b: Description, pairs: Iterable[Pair]) -> Iterator[FileChange]:
    align = alignment(a.snapshot, b.snapshot)
    left: Table = {}
    right: Table = {}
    for number, (before, after) in enumerate(pairs):
        if before and after and before.parity == after.parity:
            continue  # another version or name of the very same files
        mount = max((layer.mount for layer in (before, after) if layer), key=lambda mount: (len(mount), mount))
        one, two = _trees(a, b, before, after)
        if before:
            _collect(one, before, mount, align, number=number, table=left)
        if after:
            _collect(two, after, mount, align, number=number, table=right)
    for path in sorted(left.keys() | right.keys(), key=_path_bytes):
        mine, yours = left.get(path, []), right.get(path, [])
        if len(mine) > 1 or len(yours) > 1:
            yield from _merge(mine, yours)
        elif change := _change(mine[0] if mine else None, yours[0] if yours else None):
            yield change


def _trees(a: Description, b: Description, before: Layer | None, after: Layer | None) -> tuple[Tree, Tree]:
    """The entries of a pair of layers that have to be looked at.

    An entry that both have in the same place is its own counterpart, whatever else lies there.
    """
    try:
        if (
            before
            and after
            and before.mount == after.mount
            and a.snapshot.interpreter.minor == b.snapshot.interpreter.minor
        ):
            return apart(a.trees, before.tree, b.trees, after.tree)
        return a.trees[before.tree] if before and before.parity else (), b.trees[
            after.tree
        ] if after and after.parity else ()
    except KeyError as error:
        gone = next(layer for side, layer in ((a, before), (b, after)) if layer and layer.tree not in side.trees)
        raise MissingTreeError(
            f"the description says that {gone.label} has the tree {gone.tree}, but does not hold it;"
            " load it again from its store"
        ) from error


def _path_bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def alignment(a: Snapshot, b: Snapshot) -> Callable[[str], str]:
    """Between two minor versions of Python match lib/python3.11/… with lib/python3.12/….

    Otherwise every file would count as removed and added. The fact itself is shown once, as the interpreter's version.
    """
    if a.interpreter.minor == b.interpreter.minor:
        return lambda path: path
    minors = "|".join(re.escape(side.interpreter.minor) for side in (a, b))
    directory = re.compile(rf"((?:^|/)(?:lib|lib64|include)/python)(?:{minors})(?=t?/)")
    return lambda path: directory.sub(r"\1", path, count=1)


def _collect(tree: Tree, layer: Layer, mount: str, align: Callable[[str], str], *, number: int, table: Table) -> None:
    lead, own = (f"{place}/" if place else "" for place in (mount, layer.mount))
    for entry in tree:
        row = counted(entry)
        if row is not None:
            state = FileState(own + entry.path, layer, row[1], row[2], row[3], entry.size)
            table.setdefault(align(lead + entry.path), []).append((number, state))


def _merge(left: list[Owned], right: list[Owned]) -> Iterator[FileChange]:
    """The differences at one path: files of the same owner belong together, then any two."""
    for mine, yours in _match(
        left, right, lambda item: item[1].owner.sort_key, (lambda item: item[0], _owner, lambda _: None)
    ):
        if change := _change(mine, yours):
            yield change


def _change(mine: Owned | None, yours: Owned | None) -> FileChange | None:
    if mine is None or yours is None:
        return FileChange(mine and mine[1], yours and yours[1])
    moved = ("owner",) if mine[0] != yours[0] else ()
    what = (*moved, *_what(mine[1], yours[1]))
    return FileChange(mine[1], yours[1], what) if what else None


def _owner(item: Owned) -> Key:
    return _key(item[1].owner)


def _what(before: FileState, after: FileState) -> tuple[str, ...]:
    if before.type != after.type:
        return ("type",)
    mode = ("mode",) if before.executable != after.executable else ()
    if before.content == after.content:
        return mode
    return (*mode, "target" if before.type == "l" else "content")


# -- which distributions


def _distributions(pairs: list[Pair], files: Iterable[FileChange]) -> Iterator[DistributionChange]:
    number_of = {id(layer): number for number, pair in enumerate(pairs) for layer in pair if layer}
    added, removed, changed = Counter[int](), Counter[int](), Counter[int]()
    for change in files:
        mine = None if change.before is None else number_of[id(change.before.owner)]
        yours = None if change.after is None else number_of[id(change.after.owner)]
        if mine is None or yours is None or "owner" in change.what:
            if mine is not None:
                removed[mine] += 1
            if yours is not None:
                added[yours] += 1
        else:
            changed[mine] += 1
    for number, (before, after) in enumerate(pairs):
        layer = before or after
        if layer is None or layer.kind is not Kind.DISTRIBUTION:
            continue
        found = FileCounts(added[number], removed[number], changed[number])
        same = before and after and (before.name, before.version) == (after.name, after.version)
        if not same or found != FileCounts():
            yield DistributionChange(canonicalize_name(layer.name), before, after, found)
