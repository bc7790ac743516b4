"""Make each change of the catalogue to a fresh copy, and hear what parity says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.parity.distributions import DISTRIBUTIONS
from benchmarks.parity.files import FILES
from benchmarks.parity.harmless import HARMLESS
from benchmarks.parity.hosts import HOSTS
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from benchmarks.parity.catalogue import Change
    from benchmarks.parity.laboratory import Laboratory, Serving
    from diffing.report import Report

#: Every change, the harmless ones last.
CHANGES: dict[str, Change] = {**FILES.changes, **DISTRIBUTIONS.changes, **HOSTS.changes, **HARMLESS.changes}


@dataclass(frozen=True, slots=True)
class Examined:
    """A change, and the report on it."""

    change: Change
    report: Report

    @property
    def as_expected(self) -> bool:
        """Whether the report has the expected verdict and flags, and the expected rule with that verdict."""
        if self.change.harmless:
            return self.report.verdict <= Verdict.EQUIVALENT
        if self.report.verdict is not self.change.verdict or not self.change.flags <= set(self.report.flags):
            return False
        return any(
            each.rule == self.change.rule and each.severity is self.change.verdict for each in self.report.differences
        )

    def __str__(self) -> str:
        said = ", ".join(
            f"{each.rule} {each.severity} {' '.join(map(str, each.flags))} ({each.subject} {each.path or ''})"
            for each in self.report.differences[:6]
        )
        wanted = self.change.rule or "nothing"
        return (
            f"{self.change.name}: want {wanted} {self.change.verdict}, got {self.report.verdict}: {said or 'nothing'}"
        )


def examine(laboratory: Laboratory, change: Change) -> tuple[Examined, Serving]:
    """Make `change` to a fresh copy of the environment, and compare it with the snapshot."""
    serving = laboratory.restore(change.name)
    if change.apply is not None:
        change.apply(serving)
    description = serving.describe()
    if change.describe is not None:
        description = change.describe(description)
    return Examined(change, laboratory.assess(description, str(serving.root))), serving
