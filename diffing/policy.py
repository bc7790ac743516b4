"""What is allowed to differ: a TOML file with the worst verdict, forbidden flags, overrides and waivers. It never changes the diff."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from diffing.errors import DiffError
from diffing.report import PolicySummary, Waiver
from diffing.verdict import Flag, Verdict, worst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diffing.report import Difference

#: The version of the policy file that is read here.
SCHEMA = 1

#: What an override says instead of a verdict: differences of the rule do not count at all, nor do their flags.
IGNORE = "ignore"

#: A policy is written by hand: bytes of a file, dots of a line (a TOML reader takes memory by their square), problems that are named.
_LARGEST = 1 << 20
_MOST_DOTS = 1000
_MOST_PROBLEMS = 20

_KEYS = ("schema", "max-verdict", "forbid", "rules", "waivers")
_WAIVER_KEYS = ("rule", "subject", "digest", "owner", "reason", "expires")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


class PolicyError(DiffError, ValueError):
    """A policy that cannot be read, or that says something else than it may."""


@dataclass(frozen=True, slots=True)
class PolicyWaiver:
    """One `[[waivers]]`: lets exactly the difference with this rule, subject and digest pass. `expires` is the last day that it holds."""

    rule: str
    subject: str
    digest: str
    owner: str
    reason: str
    expires: date


@dataclass(frozen=True, slots=True)
class Policy:
    """What a comparison may come out as. `rules` are overrides by rule id; None: ignored."""

    name: str = "default"
    maximum: Verdict = Verdict.NUMERIC
    forbidden: tuple[Flag, ...] = (Flag.INTEGRITY,)
    rules: tuple[tuple[str, Verdict | None], ...] = ()
    waivers: tuple[PolicyWaiver, ...] = ()

    @property
    def digest(self) -> str:
        """Equal for policies that decide alike in every case, whatever their file's name, comments and order."""
        from snapshot.documents import canonical, digest_of

        document = {
            "schema": SCHEMA,
            "max-verdict": str(self.maximum),
            "forbid": sorted(map(str, set(self.forbidden))),
            "rules": {rule: IGNORE if verdict is None else str(verdict) for rule, verdict in self.rules},
            "waivers": sorted(
                [each.rule, each.subject, each.digest, each.owner, each.reason, each.expires.isoformat()]
                for each in set(self.waivers)
            ),
        }
        return str(digest_of(canonical(document)))


DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a policy says: the same differences, with `waived` attached where a waiver holds, and whether it lets them pass."""

    differences: tuple[Difference, ...]
    passed: bool
    summary: PolicySummary


def read(path: str | os.PathLike[str], known_rules: frozenset[str] | None = None) -> Policy:
    """Read a policy file. With `known_rules`, rule ids are checked too. Raises PolicyError, which names all that is wrong."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise PolicyError(f"{name}: the policy cannot be read: {error.strerror}") from error
    return parse(data, os.path.basename(name), known_rules)


def parse(data: bytes, name: str, known_rules: frozenset[str] | None = None) -> Policy:
    """Read the content of a policy file; `name` is what reports call it. Raises PolicyError, which names all that is wrong."""
    if sys.version_info >= (3, 11):  # here: few commands need it
        import tomllib
    else:
        import tomli as tomllib
    if len(data) > _LARGEST:
        raise PolicyError(f"{name}: more than {_LARGEST:,} bytes; that is no policy")
    if any(line.count(b".") > _MOST_DOTS for line in data.splitlines()):
        raise PolicyError(f"{name}: a line with more than {_MOST_DOTS:,} dots; that is no policy")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested without end
        raise PolicyError(f"{name}: not TOML: {error}") from error
    schema = table.get("schema", SCHEMA)
    if type(schema) is not int or schema < 1:
        raise PolicyError(f"{name}: schema: want {SCHEMA}, found {schema!r}")
    if schema > SCHEMA:
        # Nothing else is looked at: what a newer version calls an error is not known here.
        raise PolicyError(
            f"{name}: schema: {schema} is newer than this envparity reads ({SCHEMA}); install a newer one"
        )
    reader = _Reader(name, known_rules)
    policy = reader.policy(table)
    reader.finish()
    return policy


def judge(
    policy: Policy,
    differences: Sequence[Difference],
    flags: Iterable[Flag],
    verdict: Verdict,
    today: date,
    known_rules: frozenset[str],
) -> Judgement:
    """Attach the waivers that hold on `today`, and decide.

    Flags and verdict are those of the diff, and stay. What counts against the policy is each difference that is not waived, as severe
    as its rule says or as an override says instead; an override does not lift the cap of what the model cannot reach. Besides, what no
    waiver takes away: UNKNOWN, and that the two are not identical where the policy asks for that.

    Raises PolicyError for rule ids that are not in `known_rules`.
    """
    reader = _Reader(policy.name, known_rules)
    for rule, _ in policy.rules:
        reader.rule(rule, _path("rules", rule))
    for number, waiver in enumerate(policy.waivers):
        reader.rule(waiver.rule, f"waivers[{number}].rule")
    reader.finish()
    holding = {_key(waiver): waiver for waiver in sorted(policy.waivers, key=lambda each: each.expires)}
    marked = tuple(_waived(difference, holding, today) for difference in differences)
    summary = PolicySummary(
        policy.name,
        policy.digest,
        policy.maximum,
        tuple(flag for flag in Flag if flag in policy.forbidden),
        tuple(_problems(policy.waivers, differences, today)),
        tuple(sorted(policy.rules, key=lambda row: row[0])),
    )
    uncarried = verdict > worst(each.severity for each in differences)
    allowed = (verdict if uncarried else min(verdict, Verdict.EQUIVALENT)) <= policy.maximum
    stray = set(flags) - {flag for each in differences for flag in each.flags if flag is not Flag.UNKNOWN}
    passed = allowed and not stray & set(policy.forbidden) and not any(beyond(each, summary) for each in marked)
    return Judgement(marked, passed, summary)


def beyond(difference: Difference, policy: PolicySummary) -> bool:
    """Whether this difference alone, as it was judged, is more than the policy allows."""
    if difference.waived:
        return False
    severity = difference.severity
    overrides = dict(policy.overrides)
    if difference.rule in overrides:
        override = overrides[difference.rule]
        if override is None:
            return False
        capped = difference.reachable is False and severity <= Verdict.COMPATIBLE
        severity = min(override, Verdict.COMPATIBLE) if capped else override
    return severity > policy.maximum or not set(difference.flags).isdisjoint(policy.forbidden)


def _key(waiver: PolicyWaiver) -> tuple[str, str, str]:
    return waiver.rule, waiver.subject, waiver.digest


def _keys(difference: Difference) -> tuple[tuple[str, str, str], ...]:
    """What a waiver of it may say: its subject, or only whose it is (`click`, where that is `click 8.1.7`)."""
    names = dict.fromkeys((difference.subject, difference.owner or difference.subject))
    return tuple((difference.rule, name, difference.digest) for name in names)


def _waived(difference: Difference, holding: dict[tuple[str, str, str], PolicyWaiver], today: date) -> Difference:
    waiver = next((holding[key] for key in _keys(difference) if key in holding), None)
    if waiver is None or waiver.expires < today:
        return replace(difference, waived=None)
    return replace(difference, waived=Waiver(waiver.owner, waiver.reason, waiver.expires.isoformat()))


def _problems(waivers: Iterable[PolicyWaiver], differences: Sequence[Difference], today: date) -> Iterable[str]:
    known = dict.fromkeys(key for each in differences for key in _keys(each))
    others = {(rule, name): digest for rule, name, digest in known}
    subjects = {(each.rule, each.digest): each.subject for each in differences}
    for number, waiver in enumerate(waivers):
        where = f"waivers[{number}] ({waiver.rule}, {waiver.subject})"
        if waiver.expires < today:
            yield f"{where}: expired on {waiver.expires.isoformat()}; {waiver.owner} had it"
        elif _key(waiver) not in known:
            now = others.get((waiver.rule, waiver.subject))
            named = subjects.get((waiver.rule, waiver.digest))
            yield f"{where}: matches nothing" + (
                f"; that digest is of {named!r}"
                if named
                else f"; that difference is another one now: {now}"
                if now
                else ""
            )


def _path(*keys: str) -> str:
    """A TOML key path: what is no bare key is quoted."""
    return ".".join(
        key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else '"' + key.replace('"', '\\"') + '"' for key in keys
    )


class _Reader:
    """Takes a policy apart, and keeps every problem until the end."""

    def __init__(self, name: str, known_rules: frozenset[str] | None) -> None:
        self._name = name
        self._known = known_rules
        self._problems: list[str] = []

    def finish(self) -> None:
        if self._problems:
            more = len(self._problems) - _MOST_PROBLEMS
            shown = self._problems[:_MOST_PROBLEMS] + ([f"and {more:,} more"] if more > 0 else [])
            raise PolicyError(f"{self._name}: {'; '.join(shown)}")

    def policy(self, table: dict[str, Any]) -> Policy:
        self._keys(table, _KEYS, "")
        maximum = self._verdict(table.get("max-verdict", str(DEFAULT.maximum)), "max-verdict")
        return Policy(
            self._name,
            DEFAULT.maximum if maximum is None else maximum,
            tuple(self._flags(table.get("forbid", [str(flag) for flag in DEFAULT.forbidden]))),
            tuple(self._overrides(table.get("rules", {}))),
            tuple(self._waivers(table.get("waivers", []))),
        )

    def rule(self, rule: str, where: str) -> None:
        if self._known is not None and rule not in self._known:
            self._problems.append(f"{where}: there is no rule {rule!r}{_meant(rule, self._known)}")

    def _keys(self, table: dict[str, Any], known: Sequence[str], where: str) -> None:
        for key in sorted(table.keys() - set(known)):
            meant = _meant(key, known) or f"; want {', '.join(known)}"
            self._problems.append(f"{where}{_path(key)}: not known{meant}")

    def _verdict(self, value: object, where: str, also: str = "") -> Verdict | None:
        if isinstance(value, str) and value in Verdict.__members__:
            return Verdict[value]
        self._problems.append(f"{where}: want {also}{', '.join(Verdict.__members__)}, found {value!r}")
        return None

    def _flags(self, value: object) -> Iterable[Flag]:
        names = [str(flag) for flag in Flag]
        if not isinstance(value, list):
            self._problems.append(f"forbid: want a list of {', '.join(names)}, found {value!r}")
            return
        for number, each in enumerate(value):
            if each in names:
                yield Flag(each)
            else:
                self._problems.append(f"forbid[{number}]: want {' or '.join(names)}, found {each!r}")

    def _overrides(self, value: object) -> Iterable[tuple[str, Verdict | None]]:
        if not isinstance(value, dict):
            self._problems.append(f"rules: want a table of rule ids, found {value!r}")
            return
        for rule, verdict in value.items():
            where = _path("rules", rule)
            self.rule(rule, where)
            if verdict == IGNORE:
                yield rule, None
            else:
                found = self._verdict(verdict, where, f"{IGNORE}, ")
                if found is not None:
                    yield rule, found

    def _waivers(self, value: object) -> Iterable[PolicyWaiver]:
        if not isinstance(value, list):
            self._problems.append(f"waivers: want tables [[waivers]], found {value!r}")
            return
        for number, each in enumerate(value):
            where = f"waivers[{number}]"
            if not isinstance(each, dict):
                self._problems.append(f"{where}: want a table, found {each!r}")
                continue
            before = len(self._problems)
            self._keys(each, _WAIVER_KEYS, f"{where}.")
            for key in _WAIVER_KEYS:
                self._field(each, key, where)
            if len(self._problems) == before:
                yield PolicyWaiver(**each)

    def _field(self, waiver: dict[str, Any], key: str, where: str) -> None:
        where = f"{where}.{key}"
        value = waiver.get(key)
        if key not in waiver:
            self._problems.append(f"{where}: missing")
        elif key == "expires":
            if not isinstance(value, date) or isinstance(value, datetime):  # a datetime is a date, and has a time zone
                self._problems.append(f"{where}: want a date, such as 2027-01-31 without quotes, found {value!r}")
        elif not isinstance(value, str) or not value.strip():
            self._problems.append(f"{where}: want a text, found {value!r}")
        elif key == "digest" and not _DIGEST.match(value):
            self._problems.append(f"{where}: want the digest of a difference (sha256:...), found {value!r}")
        elif key == "rule":
            self.rule(value, where)


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
