"""Everything that a run found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.environments import Built
    from benchmarks.figures import Growth, Memory, Point, Row
    from benchmarks.measuring import Series


@dataclass(frozen=True, slots=True)
class Results:
    """`series` has the samples, by environment and workload; `absent` who was left out, and why."""

    when: str
    rounds: int
    quick: bool
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    environments: Sequence[Built]
    rows: Sequence[Row]
    memory: Sequence[Memory]
    series: Mapping[str, Mapping[str, Mapping[str, Series]]]
    growths: Sequence[Growth] = ()
    scale: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def judged(self) -> list[Row | Memory]:
        rows: list[Row | Memory] = [*self.rows, *self.memory]
        return [row for row in rows if row.bound is not None]

    @property
    def missed(self) -> list[Row | Memory]:
        return [row for row in self.judged if not row.met]

    @property
    def groups(self) -> dict[str, list[Built]]:
        """The environments by the name under which their figures appear: one, or all versions of a series."""
        found: dict[str, list[Built]] = {}
        for built in self.environments:
            found.setdefault(built.recipe.group, []).append(built)
        return found
