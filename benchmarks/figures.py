"""Medians, spread, pairwise ratios, and whether a bound is met: the bytes after each version: pure functions of samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of some samples and how far they spread."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        if not values:
            raise ValueError("no samples to summarise; run at least one round")
        return cls(median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, round by round: what slows a whole round down cancels out."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} samples cannot be paired with {len(theirs)}; take both in the same rounds")
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours, beside a contender's or by itself.

    `unit` is `s` or `B`. `call` is the part of a time that the library call takes, without starting the process. `bound`
    applies to the ratio when there is a contender, and else to our figure. None: a figure for information.
    """

    environment: str
    key: str
    what: str
    contender: str
    unit: str
    ours: Summary
    theirs: Summary | None = None
    ratio: Summary | None = None
    call: Summary | None = None
    bound: float | None = None

    @property
    def judged(self) -> float:
        """What the bound applies to: the median of the ratios, or the largest of our figures."""
        return self.ours.high if self.ratio is None else self.ratio.median

    @property
    def met(self) -> bool | None:
        return None if self.bound is None else self.judged <= self.bound


@dataclass(frozen=True, slots=True)
class Memory:
    """The peak of one of our commands, in bytes.

    `largest` is the maximum resident set of its largest process over all rounds. `together` is the most that all its
    processes took at once, pages they share counted once; None where the kernel does not tell.
    """

    environment: str
    key: str
    what: str
    largest: int
    together: int | None
    bound: float | None = None

    @property
    def judged(self) -> int:
        return max(self.largest, self.together or 0)

    @property
    def met(self) -> bool | None:
        return None if self.bound is None else self.judged <= self.bound


@dataclass(frozen=True, slots=True)
class Line:
    """The bytes that a contender keeps after each version, and the seconds that each step took, where they were noted.

    `totals` may lack versions: what is done once, at the end, has only the last.
    """

    name: str
    totals: Mapping[str, float]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def added(self, versions: Sequence[str]) -> dict[str, float]:
        """What each version added to the one before it."""
        found = {}
        for before, version in zip((None, *versions), versions, strict=False):
            start = 0.0 if before is None else self.totals.get(before)
            if start is not None and version in self.totals:
                found[version] = self.totals[version] - start
        return found


@dataclass(frozen=True, slots=True)
class Growth:
    """What all contenders keep after each version of a series."""

    environment: str
    versions: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """How long `operation` took with `size` snapshots or files: `axis` says which."""

    axis: str
    size: int
    operation: str
    seconds: float


def verdict(row: Row | Memory) -> str:
    """In words, for people."""
    return {None: "", True: "met", False: "MISSED"}[row.met]
