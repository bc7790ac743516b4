"""Observations become differences: the rule that matches, the cap for what the model cannot reach, and a digest as name. Pure."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from diffing.report import Difference
from diffing.rules.catalogue import attributes_of
from diffing.verdict import Flag, Level, Verdict
from snapshot.documents import canonical
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diffing.observation import Observation, Observations
    from diffing.reach import Reach
    from diffing.report import Unknown
    from diffing.rules.catalogue import Catalogue

#: What is beyond the model's reach counts no more than this.
CAP = Verdict.COMPATIBLE
#: Whatever the model is, it runs in these.
_SHARED = frozenset({Level.INTERPRETER, Level.PLATFORM, Level.STARTUP, Level.NATIVE, Level.VARIABLES, Level.NUMERIC})


def grade(observations: Observations, reach: Reach, catalogue: Catalogue) -> tuple[Difference, ...]:
    """Say of each observation how much it matters to a model that reaches `reach`: the worst first."""
    differences = [_grade(observation, reach, catalogue) for observation in observations.found]
    return tuple(sorted(differences, key=_order))


def _order(difference: Difference) -> tuple[object, ...]:
    return (-difference.severity, difference.subject, difference.path or "", difference.rule, difference.digest)


def _grade(observation: Observation, reach: Reach, catalogue: Catalogue) -> Difference:
    attributes = attributes_of(observation, reach)
    rule = catalogue.match_attributes(observation, attributes)
    reachable = True if rule.always else _reachable(observation, reach)
    return Difference(
        rule=rule.id,
        level=observation.level,
        severity=min(rule.verdict, CAP) if reachable is False else rule.verdict,
        subject=observation.subject,
        path=observation.path,
        train=observation.train,
        serve=observation.serve,
        reason=rule.explain(observation, attributes),
        digest=_digest(observation),
        flags=rule.flags,
        reachable=reachable,
        evidence=rule.evidence,
        because=_because(observation, reach) if reachable else "",
        details=observation.details,
        bytes=observation.bytes,
        owner=observation.owner,
    )


def _digest(observation: Observation) -> str:
    """Names exactly this difference. What people read is not part of it: better words do not void a waiver."""
    identity = observation.identity
    if identity == (None, None):
        identity = (observation.train, observation.serve)
    named = {
        "kind": observation.kind,
        "subject": observation.subject,
        "path": observation.path,
        "train": identity[0],
        "serve": identity[1],
    }
    return "sha256:" + sha256(canonical(named)).hexdigest()


def _reachable(observation: Observation, reach: Reach) -> bool | None:
    if observation.level in _SHARED or observation.kind == "search-path" or observation.owner == PYTHON:
        return True
    if not reach.known:
        return None
    within = observation.attributes.get("within")
    if reach.reaches(observation.owner) or reach.reaches(within) or within == PYTHON:
        return True
    if observation.attributes.get("loaded") == "yes":
        return True
    if observation.attributes.get("package") == "unknown":
        return None
    return _imported(observation.attributes.get("module"), reach)


def _imported(module: str | None, reach: Reach) -> bool | None:
    """Whether the model imports a module that resolves to the file. None: it is one, and what the model imports is not known."""
    if not module:
        return False
    if reach.modules is None:
        return None
    return any(name == module or name.startswith(module + ".") for name in reach.modules)


def _because(observation: Observation, reach: Reach) -> str:
    if observation.owner is not None and observation.owner in reach.because:
        return reach.because[observation.owner]
    module = observation.attributes.get("module")
    if module and reach.modules is not None and _imported(module, reach):
        return f"the model imports {module}"
    return ""


def flags(differences: Iterable[Difference], unknown: Iterable[Unknown]) -> tuple[Flag, ...]:
    """The flags of the whole: those of any difference, reachable or not, and UNKNOWN where something could not be compared."""
    found = {flag for difference in differences for flag in difference.flags}
    if any(True for _ in unknown):
        found.add(Flag.UNKNOWN)
    return tuple(flag for flag in Flag if flag in found)
