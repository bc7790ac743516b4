"""The parity report as frozen values: what every renderer shows and the JSON document holds. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffing.verdict import Flag, Level, Verdict

#: The version of the JSON document. A reader refuses another major version.
SCHEMA = "1.0"


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One of the two sides. `label` is what the user calls it; `kind`: `snapshot`, `environment`, `requirements` or `pylock`.

    Digests are None for a side that is no environment.
    """

    label: str
    kind: str
    snapshot: str | None = None
    parity_root: str | None = None
    strict_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """Who lets a difference pass, why, and until when (ISO date, the last day that it holds)."""

    owner: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One graded difference.

    `rule` is the id of the rule that graded it. `subject` is what differs (a distribution, `python`, a soname, a variable), `path` the file
    where there is one. `train` and `serve` are the two values as shown, None where a side has none. `reachable`: whether the model can
    reach it, None where that is not known. `severity` already has the cap for what it cannot reach. `because` says how it got here: what
    requires it, what the model uses of it. `details` are folded lines (single files of a distribution). `digest` names exactly this
    difference, for waivers. `bytes` is the size of what differs. `owner` is the distribution that it belongs to, if any.
    """

    rule: str
    level: Level
    severity: Verdict
    subject: str
    path: str | None
    train: str | None
    serve: str | None
    reason: str
    digest: str
    flags: tuple[Flag, ...] = ()
    reachable: bool | None = None
    evidence: tuple[str, ...] = ()
    because: str = ""
    details: tuple[str, ...] = ()
    bytes: int = 0
    waived: Waiver | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Normalised:
    """How often a named rule found that a difference does not matter."""

    rule: str
    count: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be compared. `side` is `train`, `serve` or `both`."""

    aspect: str
    side: str
    why: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what there is to compare could be compared: `known` of `total` aspects."""

    known: int
    total: int
    unknown: tuple[Unknown, ...] = ()

    @property
    def percent(self) -> int:
        """Rounded down: 100 means all."""
        return 100 * self.known // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Distributions by how they compare, and what the first screen hides. `reachable` is None without a known closure.

    `by_verdict` counts distributions (of those that are reachable, where that is known) by their worst difference; identical ones are
    there too. `waived` counts differences; `harmless` is everything at or below EQUIVALENT, normalised files among it; `unreachable`
    counts differences that were capped.
    """

    distributions: int
    reachable: int | None
    by_verdict: tuple[tuple[Verdict, int], ...]
    differences: int
    waived: int
    harmless: int
    unreachable: int


@dataclass(frozen=True, slots=True)
class Share:
    """One distribution (or another owner of files) for the picture of bytes and differences: sizes in bytes."""

    owner: str
    bytes: int
    files: int
    differing: int
    verdict: Verdict
    reachable: bool | None


@dataclass(frozen=True, slots=True)
class PolicySummary:
    """The policy that decided. `name` is its file's, or `default`; `problems` are waivers that expired or match nothing.

    `overrides` say by rule id what its differences count as against the policy instead, None: not at all.
    """

    name: str
    digest: str
    maximum: Verdict
    forbidden: tuple[Flag, ...]
    problems: tuple[str, ...] = ()
    overrides: tuple[tuple[str, Verdict | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends it: a `command` to paste, and what that does in words. `pins` are exact requirements for pip."""

    command: str
    summary: str
    pins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison, graded and judged. `flags` and `verdict` are those of the diff; waivers and the policy only decide `passed`."""

    verdict: Verdict
    passed: bool
    flags: tuple[Flag, ...]
    coverage: Coverage
    train: SideSummary
    serve: SideSummary
    policy: PolicySummary
    rules_version: str
    counts: Counts
    differences: tuple[Difference, ...]
    normalised: tuple[Normalised, ...]
    shares: tuple[Share, ...]
    fix: Fix | None
