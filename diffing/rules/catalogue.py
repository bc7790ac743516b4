"""Rules as values: which observations one matches, and what it says of them. Read from a TOML file (docs/parity.md lists ours)."""

from __future__ import annotations

import os
import re
import string
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from diffing.errors import DiffError
from diffing.verdict import Flag, Verdict

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing.observation import Observation
    from diffing.reach import Reach

#: The version of the file's format.
FORMAT = 1
#: What a reason may name beside the attributes that its rule asks for.
_WORDS = frozenset({"subject", "owner", "path", "train", "serve"})
_ATTRIBUTES = frozenset({"name", "ulps", "share", "group"})
_KEYS = frozenset(
    {"id", "kind", "subject", "where", "train", "serve", "pickled", "verdict", "flags", "always", "reason", "evidence"}
)
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_EVIDENCE = re.compile(r"(?:[\w.-]+/[\w.-]+#\d+|PEP \d+|docs/[\w-]+\.md)\Z")


class CatalogueError(DiffError, ValueError):
    """A file of rules that cannot be used. The message lists everything that is wrong with it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It matches an observation of one of `kinds` whose subject fits one of the globs `subjects` (none: any), whose
    attributes are among those that `where` lists, and whose versions fit `train` and `serve` (PEP 440; a version that is none
    fits nothing).

    `pickled`: True for what lies in the model's pickles alone, False for what does not, None for either. `always`: what the model cannot reach counts too.
    `reason` is a template: `{train}` and the like become the observation's.
    """

    id: str
    kinds: tuple[str, ...]
    verdict: Verdict
    reason: str
    subjects: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    train: SpecifierSet | None = None
    serve: SpecifierSet | None = None
    pickled: bool | None = None
    flags: tuple[Flag, ...] = ()
    always: bool = False
    evidence: tuple[str, ...] = ()

    @property
    def general(self) -> bool:
        """Whether it matches everything of its kinds."""
        return not (self.subjects or self.where or self.train or self.serve) and self.pickled is None

    def matches(self, observation: Observation, attributes: Mapping[str, str]) -> bool:
        """Whether it matches. `attributes` are the observation's and those that follow from what the model reaches."""
        if self.pickled is not None and self.pickled != (attributes.get("pickled") == "yes"):
            return False
        if self.subjects and not any(fnmatchcase(observation.subject, glob) for glob in self.subjects):
            return False
        if any(attributes.get(name) not in values for name, values in self.where.items()):
            return False
        return _fits(self.train, observation.train) and _fits(self.serve, observation.serve)

    def explain(self, observation: Observation, attributes: Mapping[str, str]) -> str:
        """The reason, with the observation's values in it."""
        words = {name: getattr(observation, name) or "nothing" for name in _WORDS}
        return self.reason.format_map(defaultdict(lambda: "unknown", {**attributes, **words}))


@dataclass(frozen=True)
class Catalogue:
    """All rules in order: the first that matches wins, and each kind has a last rule that matches everything of it."""

    version: str
    rules: tuple[Rule, ...]

    @cached_property
    def _by_kind(self) -> dict[str, list[Rule]]:
        by_kind: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            for kind in rule.kinds:
                by_kind[kind].append(rule)
        return by_kind

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(rule.id for rule in self.rules)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(kind for rule in self.rules for kind in rule.kinds)

    def match(self, observation: Observation, reach: Reach) -> Rule:
        """The rule that says how much `observation` matters. Raises CatalogueError for a kind that no rule knows."""
        return self.match_attributes(observation, attributes_of(observation, reach))

    def match_attributes(self, observation: Observation, attributes: Mapping[str, str]) -> Rule:
        """The same, where `attributes_of` was asked already."""
        for rule in self._by_kind.get(observation.kind, ()):
            if rule.matches(observation, attributes):
                return rule
        raise CatalogueError(
            f"no rule of the catalogue {self.version} matches {observation.kind} of {observation.subject}"
        )


def attributes_of(observation: Observation, reach: Reach) -> dict[str, str]:
    """The observation's attributes, and what only the model decides: `pickled`; `reached` (`yes`, `no` or `unknown`: whether its
    closure has the owner; `optional` where nothing in it requires that; `unasked` where there is no model); `imported`, of the interpreter (`yes` where the model names a standard module that differs).
    """
    attributes = dict(observation.attributes)
    if observation.kind.startswith("python-"):
        attributes["pickled"] = "yes" if reach.pickled else "no"
        names = attributes.get("modules", "").split()
        attributes["imported"] = "no" if (reach.modules or frozenset()).isdisjoint(names) else "yes"
    else:
        attributes["pickled"] = "yes" if observation.owner in reach.pickled else "no"
        reached = reach.reaches(observation.owner)
        missing = "unknown" if reach.asked else "unasked"
        found = "optional" if observation.owner in reach.optional else "yes" if reached else "no"
        attributes["reached"] = missing if reached is None else found
    return attributes


@cache
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _fits(specifier: SpecifierSet | None, text: str | None) -> bool:
    if specifier is None:
        return True
    version = None if text is None else _version(text)
    return version is not None and specifier.contains(version, prereleases=True)


# -- reading


def load(path: str | os.PathLike[str] | None = None) -> Catalogue:
    """Read a catalogue of rules; without `path` the one that comes with envparity.

    Raises CatalogueError with everything that is wrong with it, and OSError where the file cannot be read.
    """
    if path is None:
        return _own()
    return _read(path)


@cache
def _own() -> Catalogue:
    return _read(os.path.join(os.path.dirname(__file__), "rules.toml"))


def _read(path: str | os.PathLike[str]) -> Catalogue:
    with open(path, "rb") as file:
        data = file.read()
    name = os.path.basename(os.fspath(path))
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{name} is not a TOML file: {error}") from error
    problems: list[str] = []
    if document.get("format") != FORMAT:
        raise CatalogueError(f"{name}: format is {document.get('format')!r}, this envparity reads {FORMAT}")
    version = document.get("version")
    if not isinstance(version, str):
        problems.append("version: want a text")
    rows = document.get("rule", [])
    problems += [f"{key}: not a key of a catalogue" for key in sorted(document.keys() - {"format", "version", "rule"})]
    rules = [rule for number, row in enumerate(rows) if (rule := _rule(row, f"rule[{number}]", problems))]
    problems += _as_a_whole(rules)
    if problems:
        raise CatalogueError(f"{name}: " + "; ".join(problems))
    return Catalogue(str(version), tuple(rules))


def _rule(row: Any, where: str, problems: list[str]) -> Rule | None:
    if not isinstance(row, dict):
        problems.append(f"{where}: want a table")
        return None
    if isinstance(row.get("id"), str):
        where = f"{where} ({row['id']})"
    before = len(problems)
    problems += [f"{where}.{key}: not a key of a rule" for key in sorted(row.keys() - _KEYS)]
    asked = row.get("where", {})
    if not isinstance(asked, dict):
        problems.append(f"{where}.where: want a table")
        asked = {}
    conditions = {name: _texts(asked, name, f"{where}.where", problems) for name in asked}
    rule_id, reason = row.get("id"), row.get("reason")
    if not isinstance(rule_id, str) or not _ID.match(rule_id):
        problems.append(f"{where}.id: want lower-case words with hyphens between them")
    if not isinstance(reason, str) or not reason:
        problems.append(f"{where}.reason: want a text")
    else:
        problems += _template(reason, _WORDS | _ATTRIBUTES | conditions.keys(), f"{where}.reason")
    for key in ("pickled", "always"):
        if not isinstance(row.get(key, False), bool):
            problems.append(f"{where}.{key}: want true or false")
    kinds = _texts(row, "kind", where, problems)
    if not kinds:
        problems.append(f"{where}.kind: want at least one")
    flags = tuple(found for text in _texts(row, "flags", where, problems) if (found := _flag(text, where, problems)))
    evidence = _texts(row, "evidence", where, problems)
    problems += [
        f"{where}.evidence: {text!r} is no owner/repository#number, PEP or page of docs"
        for text in evidence
        if not _EVIDENCE.match(text)
    ]
    rule = Rule(
        str(rule_id),
        kinds,
        _verdict(row.get("verdict"), where, problems),
        str(reason),
        subjects=_texts(row, "subject", where, problems),
        where=conditions,
        train=_specifier(row, "train", where, problems),
        serve=_specifier(row, "serve", where, problems),
        pickled=row.get("pickled"),
        flags=flags,
        always=row.get("always", False),
        evidence=evidence,
    )
    return rule if len(problems) == before else None


def _texts(row: Mapping[str, Any], key: str, where: str, problems: list[str]) -> tuple[str, ...]:
    value = row.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        problems.append(f"{where}.{key}: want a text or a list of texts")
        return ()
    return tuple(texts)


def _template(reason: str, words: frozenset[str], where: str) -> list[str]:
    try:
        parts = list(string.Formatter().parse(reason))
    except ValueError as error:
        return [f"{where}: {error}"]
    return [
        f"{where}: {{{name}}} is not known"
        for _, name, form, conversion in parts
        if name is not None and (name not in words or form or conversion)
    ]


def _verdict(value: object, where: str, problems: list[str]) -> Verdict:
    if isinstance(value, str) and value in Verdict.__members__:
        return Verdict[value]
    problems.append(f"{where}.verdict: {value!r} is none of {', '.join(Verdict.__members__)}")
    return Verdict.INCOMPATIBLE


def _flag(text: str, where: str, problems: list[str]) -> Flag | None:
    if text in Flag.__members__:
        return Flag[text]
    problems.append(f"{where}.flags: {text!r} is none of {', '.join(Flag.__members__)}")
    return None


def _specifier(row: Mapping[str, Any], key: str, where: str, problems: list[str]) -> SpecifierSet | None:
    value = row.get(key)
    if value is None:
        return None
    try:
        return SpecifierSet(value)
    except (InvalidSpecifier, AttributeError, TypeError):
        problems.append(f"{where}.{key}: {value!r} is no version specifier (PEP 440)")
        return None


def _as_a_whole(rules: list[Rule]) -> list[str]:
    """Ids are unique; each kind ends with a rule that matches everything, and none comes behind it."""
    problems = []
    seen: set[str] = set()
    ended: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            problems.append(f"the id {rule.id} is there twice")
        seen.add(rule.id)
        if ended.intersection(rule.kinds):
            problems.append(f"{rule.id} comes behind a rule that matches everything of its kind")
        if rule.general:
            ended.update(rule.kinds)
    kinds = {kind for rule in rules for kind in rule.kinds}
    return problems + [f"no rule matches every {kind}" for kind in sorted(kinds - ended)]
