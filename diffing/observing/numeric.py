"""The numeric fingerprint: what computes, and how far results have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

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
                subject=component,
                train=mine,
                serve=yours,
                attributes={"name": name},
                # One component has several properties.
                identity=(f"{name} {mine}", f"{name} {yours}"),
            )


def _results(train: Numeric, serve: Numeric) -> Iterator[Observation]:
    from diffing.numeric import moved

    one, two = ({(row.group, row.name): row for row in side.measurements} for side in (train, serve))
    results = {(result.group, result.name): result for result in moved(train, serve)}
    for key in sorted(one.keys() | two.keys()):
        mine, yours = one.get(key), two.get(key)
        digests = tuple(None if row is None else row.digest for row in (mine, yours))
        if digests[0] == digests[1]:
            continue
        attributes = {
            "group": key[0],
            "ulps": f"{results[key].ulps:g}" if key in results else "an unknown number of",
            "share": f"{results[key].share:.2g}" if key in results else "an unknown share",
        }
        yield Observation(
            kind="numeric-result",
            level=Level.NUMERIC,
            subject=key[1],
            train=digests[0],
            serve=digests[1],
            attributes=attributes,
        )
