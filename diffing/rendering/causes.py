"""Differences by root cause: all those of one distribution are one, and the worst of them stands for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.policy import beyond
from diffing.verdict import Flag, Level, Verdict, worst

if TYPE_CHECKING:
    from diffing.report import Difference, PolicySummary, Report

#: Levels whose differences have one cause: another interpreter, another numeric library.
_WHOLE = (Level.INTERPRETER, Level.NUMERIC)


@dataclass(frozen=True, slots=True)
class Cause:
    """Differences that belong together, the one that tells most first. `beyond`: one of them is more than the policy allows."""

    differences: tuple[Difference, ...]
    beyond: bool
    hidden: bool

    @property
    def head(self) -> Difference:
        return self.differences[0]

    @property
    def severity(self) -> Verdict:
        return worst(each.severity for each in self.differences)

    @property
    def flags(self) -> tuple[Flag, ...]:
        return tuple(flag for flag in Flag if any(flag in each.flags for each in self.differences))

    @property
    def waived(self) -> bool:
        return all(each.waived for each in self.differences)


def causes(report: Report) -> tuple[Cause, ...]:
    """All differences of the report, each in one cause: what the policy refuses first, then the worst."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for difference in report.differences:
        groups.setdefault(_key(difference), []).append(difference)
    found = [_cause(group, report.policy) for group in groups.values()]
    return tuple(sorted(found, key=_order))


def _order(cause: Cause) -> tuple[bool, bool, int, bool, bool]:
    """Of equally bad ones first what should not be possible, then what somebody is known to have stumbled over."""
    integrity = Flag.INTEGRITY in cause.flags
    return not cause.beyond, cause.waived, -cause.severity, not integrity, not cause.head.evidence


def _key(difference: Difference) -> tuple[str, str]:
    if difference.level in _WHOLE:
        return str(difference.level), ""
    if difference.owner is not None:
        return "distribution", difference.owner
    if difference.level is Level.DISTRIBUTIONS:
        return "distribution", difference.subject
    return str(difference.level), difference.subject


def _cause(group: list[Difference], policy: PolicySummary) -> Cause:
    group.sort(
        key=lambda each: (
            not beyond(each, policy),
            each.waived is not None,
            -each.severity,
            each.level is not Level.DISTRIBUTIONS,
            each.level is Level.NUMERIC
            and (each.train or "").startswith("sha256:"),  # what computes, then what comes out
        )
    )
    refused = beyond(group[0], policy)
    return Cause(tuple(group), refused, not refused and all(map(hidden, group)))


def hidden(difference: Difference) -> bool:
    """Whether the first screen only counts it: harmless, or capped because the model cannot reach it."""
    capped = difference.reachable is False and difference.severity <= Verdict.COMPATIBLE
    return capped or difference.severity <= Verdict.EQUIVALENT
