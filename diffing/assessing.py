"""From two sides to a parity report: compare, observe, find what the model reaches, grade, judge. Orchestration only, pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from diffing import closure, fixing, grading, observing, requirements
from diffing import policy as policies
from diffing.comparison import compare
from diffing.report import Counts, Coverage, Report, Unknown
from diffing.rules import catalogue as rules
from diffing.verdict import Verdict, worst
from snapshot.facts.model import PYTHON
from snapshot.parity import strict_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from diffing.model import EnvironmentDiff
    from diffing.observation import Observations
    from diffing.policy import Policy
    from diffing.reach import Reach
    from diffing.report import Difference, Share
    from diffing.requirements import Requirements
    from diffing.rules.catalogue import Catalogue
    from diffing.sides import Side
    from diffing.usage import Usage


def assess(
    train: Side,
    serve: Side,
    *,
    today: date,
    usage: Usage | None = None,
    declared: Requirements | None = None,
    policy: Policy = policies.DEFAULT,
    catalogue: Catalogue | None = None,
) -> Report:
    """Grade every difference between `train` and `serve`, and judge them by `policy`.

    `usage` is what the model uses (`usage.read_model`) and `declared` what its requirements.txt says (`requirements.read`): without either
    everything counts as reachable. `today` decides which waivers hold.
    Raises DiffError: `serve` has to be an environment.
    """
    catalogue = catalogue or rules.load()
    diff = None if train.requirements else compare(train.environment, serve.environment)
    found = _with_problems(_observe(train, serve, diff), usage, declared)
    reach = _reach(train, serve, usage, declared)
    graded = grading.grade(found, reach, catalogue)
    flags = grading.flags(graded, found.unknown)
    verdict = worst((_floor(train, serve), *(each.severity for each in graded)))
    judged = policies.judge(policy, graded, flags, verdict, today, catalogue.ids)
    shares = _shares(found, judged.differences, reach)
    report = Report(
        verdict=verdict,
        passed=judged.passed,
        flags=flags,
        coverage=Coverage(found.aspects - len({each.aspect for each in found.unknown}), found.aspects, found.unknown),
        train=train.summary(),
        serve=serve.summary(),
        policy=judged.summary,
        rules_version=catalogue.version,
        counts=_counts(found, judged.differences, shares, reach, _names(train, serve)),
        differences=judged.differences,
        normalised=found.normalised,
        shares=shares,
        fix=None,
    )
    return replace(report, fix=fixing.fix(report, train, serve, diff))


def _observe(train: Side, serve: Side, diff: EnvironmentDiff | None) -> Observations:
    if train.requirements is not None:
        return requirements.observe(train.requirements, serve.environment)
    assert diff is not None  # noqa: S101
    return observing.observe(train.environment, serve.environment, diff)


def _with_problems(found: Observations, usage: Usage | None, declared: Requirements | None) -> Observations:
    """What could not be read of the model is one aspect more."""
    if usage is None:
        return found
    problems = usage.problems
    if not problems and closure.says_nothing(usage, declared):
        problems = (f"nothing in {usage.label} says what it uses",)
    unknown = tuple(Unknown("model", "both", problem) for problem in problems)
    return replace(found, aspects=found.aspects + 1, unknown=(*found.unknown, *unknown))


def _reach(train: Side, serve: Side, usage: Usage | None, declared: Requirements | None) -> Reach:
    sides = (side.description for side in (train, serve) if side.description is not None)
    return closure.reach(usage, declared or train.requirements, *sides)


def _floor(train: Side, serve: Side) -> Verdict:
    """What two sides without a difference are: IDENTICAL when every stored byte is equal."""
    if train.description is None or serve.description is None:
        return Verdict.EQUIVALENT
    left, right = (strict_digest(side.environment.snapshot) for side in (train, serve))
    return Verdict.IDENTICAL if left == right else Verdict.EQUIVALENT


def _shares(found: Observations, differences: Iterable[Difference], reach: Reach) -> tuple[Share, ...]:
    """The shares of the picture, each with its owner's worst verdict and whether the model can reach it."""
    verdicts: dict[str, Verdict] = {}
    for each in differences:
        owner = each.owner or each.subject
        verdicts[owner] = max(verdicts.get(owner, Verdict.IDENTICAL), each.severity)
    return tuple(
        replace(
            share,
            verdict=max(share.verdict, verdicts.get(share.owner, Verdict.IDENTICAL)),
            reachable=True if share.owner == PYTHON else reach.reaches(share.owner),
        )
        for share in found.shares
    )


def _counts(
    found: Observations,
    differences: Sequence[Difference],
    shares: Iterable[Share],
    reach: Reach,
    names: frozenset[str],
) -> Counts:
    own = {share.owner: share.verdict for share in shares}
    counted = names if reach.distributions is None else names & reach.distributions
    verdicts = Counter(own.get(name, Verdict.IDENTICAL) for name in counted)
    return Counts(
        distributions=len(names),
        reachable=len(counted) if reach.known else None,
        by_verdict=tuple((verdict, verdicts[verdict]) for verdict in Verdict if verdicts[verdict]),
        differences=len(differences),
        waived=sum(each.waived is not None for each in differences),
        harmless=sum(each.count for each in found.normalised)
        + sum(each.severity <= Verdict.EQUIVALENT for each in differences),
        unreachable=sum(each.reachable is False for each in differences),
    )


def _names(*sides: Side) -> frozenset[str]:
    """The distributions of either side."""
    return frozenset(
        str(canonicalize_name(layer.name))
        for side in sides
        if side.description is not None
        for layer in side.description.snapshot.distributions
    )
