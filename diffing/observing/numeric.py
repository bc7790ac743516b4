"""The numeric fingerprint: what computes, and how far results have moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.observing.sides import Sides
    from snapshot.facts.model import Numeric


def observe_numeric(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.train.facts.numeric, sides.serve.facts.numeric
    if train is None or serve is None or train == serve:
        return
    yield from _backend(train, serve)
    yield from _results(train, serve)


def _backend(train: Numeric, serve: Numeric) -> Iterator[Observation]:
    one, two = ({row[:2]: row[2] for row in side.backend} for side in (train, serve))
    for component, name in sorted(one.keys() | two.keys()):
        mine, yours = one.get((component, name)), two.get((component, name))
        if mine != yours:
            yield Observation(
                kind="numeric-dispatch" if component == "numpy" else "numeric-backend",
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

    one, two = ({row.name: row for row in side.measurements} for side in (train, serve))
    results = {result.name: result for result in moved(train, serve)}
    for name in sorted(one.keys() | two.keys()):
        mine, yours = one.get(name), two.get(name)
        digests = tuple(None if row is None else row.digest for row in (mine, yours))
        if digests[0] == digests[1]:
            continue
        attributes = {
            "group": max(row.group for row in (mine, yours) if row is not None),
            "ulps": f"{results[name].ulps:g}" if name in results else "an unknown number of",
            "share": f"{results[name].share:.2%}" if name in results else "an unknown share",
        }
        yield Observation(
            kind="numeric-result",
            level=Level.NUMERIC,
            subject=name,
            train=digests[0],
            serve=digests[1],
            attributes=attributes,
        )
