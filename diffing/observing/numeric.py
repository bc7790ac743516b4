"""The numeric fingerprint: what computes, and how far results have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level
from snapshot.documents import canonical, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.numeric import Moved
    from diffing.observing.sides import Sides
    from snapshot.facts.model import Numeric


#: What NumPy says of the instructions that it runs.
_DISPATCH = frozenset({"baseline", "dispatch"})


def observe_numeric(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.train.facts.numeric, sides.serve.facts.numeric
    if train is None or serve is None or train == serve:
        return
    yield from _backend(train, serve, {change.name for change in sides.diff.distributions if not change.same_version})
    yield from _results(train, serve)


def _backend(train: Numeric, serve: Numeric, announced: set[str]) -> Iterator[Observation]:
    """`announced` are distributions of another version: that it has another version is no news of the component."""
    one, two = ({row[:2]: row[2] for row in side.backend} for side in (train, serve))
    for component, name in sorted(one.keys() | two.keys()):
        mine, yours = one.get((component, name)), two.get((component, name))
        if mine != yours and not (name == "version" and component in announced):
            yield Observation(
                kind="numeric-dispatch" if (component == "numpy" and name in _DISPATCH) else "numeric-backend",
                level=Level.NUMERIC,
                subject=f"{component} {name}",
                train=mine,
                serve=yours,
                attributes={"component": component, "name": name},
            )


def _results(train: Numeric, serve: Numeric) -> Iterator[Observation]:
    """One observation for each group of measurements: what moves a product of matrices moves all that is made of them."""
    from diffing.numeric import moved

    one, two = ({(row.group, row.name): row.digest for row in side.measurements} for side in (train, serve))
    results = {(result.group, result.name): result for result in moved(train, serve)}
    groups: dict[str, list[str]] = {}
    for group, name in sorted(one.keys() | two.keys()):
        if one.get((group, name)) != two.get((group, name)):
            groups.setdefault(group, []).append(name)
    for group, names in groups.items():
        # A measurement that only one side has cannot be said to have moved by anything.
        found = [results[group, name] for name in names if (group, name) in results]
        worst = max(found, key=lambda each: (each.ulps, each.share), default=None)
        values = [_digest({name: side[group, name] for name in names if (group, name) in side}) for side in (one, two)]
        yield Observation(
            kind="numeric-result",
            level=Level.NUMERIC,
            subject=f"{group} results",
            train=values[0],
            serve=values[1],
            attributes={
                "group": group,
                "name": worst.name if worst else names[0],
                "ulps": f"{worst.ulps:g}" if worst else "an unknown number of",
                "share": f"{worst.share:.2g}" if worst else "an unknown share",
            },
            details=tuple(_line(name, results.get((group, name))) for name in names),
        )


def _digest(results: dict[str, str]) -> str | None:
    return digest_of(canonical(results)) if results else None


def _line(name: str, result: Moved | None) -> str:
    if result is None:
        return f"{name}: only one side has it"
    return f"{name}: up to {result.ulps:g} ULP, {result.share:.0%} of the sample"
