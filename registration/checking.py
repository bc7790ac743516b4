"""Whether a restored environment still is what was captured, and whether this host makes the same of it. Asked before anything serves."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from registration.errors import RegistrationError
from registration.serving import MODEL, process_variables
from registration.variables import unset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from diffing.policy import Policy
    from diffing.report import Difference, Report
    from diffing.requirements import Requirements
    from diffing.sides import Side
    from diffing.usage import Usage
    from registration.events import Log
    from registration.resolving import Target
    from snapshot.facts.model import Numeric
    from snapshot.progress import Progress
    from snapshot.store import Problem


class RefusedError(RegistrationError, ValueError):
    """An environment that may not serve: the message names the first difference.

    `problems` are files that are not the snapshot's, `report` is the parity report where the policy decided.
    """

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), report: Report | None = None) -> None:
        super().__init__(message)
        self.problems = problems
        self.report = report


def check(
    target: Target,
    place: Path,
    log: Log,
    *,
    policy: Policy | None = None,
    variables: Mapping[str, str] | None = None,
    full: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Verify the environment at `place` against the snapshot that it was restored from, and grade what this host makes of it.

    `policy` None: the default one. `variables` are those that a server is started with; None: they are not compared. `full` reads every byte
    and describes the environment anew; otherwise the files are compared by size, mode and time, and their facts are the snapshot's. Where the
    snapshot has no interpreter it is described anew all the same. Raises RefusedError.
    """
    import snapshot

    with log.step("verify") as step:
        verified = snapshot.verify(place, target.store, progress, quick=not full)
        step.files, step.detail = verified.files, "every byte" if full else "size, mode and time"
        if not verified.ok:
            raise RefusedError(_modified(place, verified.problems), problems=verified.problems)
    with log.step("parity") as step:
        report = _report(target, place, policy, variables, progress, full=full)
        step.detail = f"{report.verdict}, policy {report.policy.name}"
        if not report.passed:
            raise RefusedError(_beyond(place, report), report=report)
    return report


def _report(
    target: Target,
    place: Path,
    policy: Policy | None,
    variables: Mapping[str, str] | None,
    progress: Progress | None,
    *,
    full: bool,
) -> Report:
    import snapshot

    stored = snapshot.load(target.reference.snapshot, target.store)
    chosen = None if variables is None else process_variables(variables, place)
    key = target.store.variables_key()
    fingerprint = stored.facts.numeric is not None
    # Which Python runs what was restored onto this machine's is no fact of the snapshot.
    anew = full or not stored.snapshot.interpreter.captured
    with _measuring(place, chosen, wanted=fingerprint and not anew) as measured:
        from diffing import policy as policies
        from diffing.assessing import assess
        from diffing.sides import Side
        from registration.sides import noted_variables
        from snapshot.facts.here import here

        train = Side(target.label, "snapshot", stored, name=target.reference.snapshot)
        usage, declared = _used(train, place, target)
        # This process may have imported what the model imports, and then has the variables already that loading sets.
        own = None if chosen is None else unset(chosen, noted_variables(train.name, target.store))
        found = (
            snapshot.describe(place, variables=own, fingerprint=fingerprint, key=key, progress=progress)
            if anew
            else here(stored, place, variables=own, key=key, measured=measured)
        )
    return assess(
        train,
        Side(os.fspath(place), "environment", found),
        today=dt.datetime.now(tz=dt.timezone.utc).date(),
        usage=usage,
        declared=declared,
        policy=policies.DEFAULT if policy is None else policy,
    )


@contextmanager
def _measuring(
    place: Path, variables: Mapping[str, str] | None, *, wanted: bool
) -> Iterator[Callable[[], Numeric] | None]:
    """Run the numeric probe in the environment at `place`, which is a process of its own, while this one goes on."""
    if not wanted:
        yield None
        return
    from concurrent.futures import ThreadPoolExecutor

    from snapshot.facts.numeric import fingerprint

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(fingerprint, os.fspath(place / "bin" / "python"), environ=variables).result


def _used(train: Side, place: Path, target: Target) -> tuple[Usage | None, Requirements | None]:
    """What the model uses: what its registration has noted, as `envparity diff` has it, or else what its files say."""
    from diffing.requirements import read
    from diffing.usage import read_model
    from registration.sides import noted

    usage, declared = noted(train, target.store)
    model = place / MODEL
    if usage is not None or not model.is_dir():
        return usage, declared
    usage = read_model(model)
    return usage, read(usage.requirements) if usage.requirements else None


def _modified(place: Path, problems: tuple[Problem, ...]) -> str:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return (
        f"{place} is not what was captured: {first.kind} {first.path}: {first.detail}{more}; nothing is served from it: "
        "deploy to a new directory"
    )


def _beyond(place: Path, report: Report) -> str:
    first = _decisive(report)
    what = "something could not be compared" if first is None else _said(first)
    return (
        f"{place} is {report.verdict}, which is not within the policy {report.policy.name} (at most {report.policy.maximum}, and no more than its "
        f"rules say); first: {what}"
    )


def _said(difference: Difference) -> str:
    subject = f"{difference.subject} {difference.path}" if difference.path else difference.subject
    values = f" ({difference.train or 'nothing'} when trained, {difference.serve or 'nothing'} here)"
    return f"{subject}{values}: {difference.reason} [{difference.rule}]"


def _decisive(report: Report) -> Difference | None:
    """The worst difference that the policy does not let pass."""
    from diffing.policy import beyond

    return next((each for each in report.differences if beyond(each, report.policy)), None)
