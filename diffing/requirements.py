"""Requirement files and lock files as one side of a comparison. `read` is an edge of `diffing`: it reads files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from diffing.errors import DiffError
from diffing.marking import holds, variables
from diffing.observation import Observation, Observations
from diffing.observing import ASPECTS
from diffing.observing.sides import change_of_version
from diffing.report import Normalised, Share, Unknown
from diffing.verdict import Level, Verdict
from snapshot.errors import summarise
from snapshot.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from packaging.markers import Marker

    from snapshot.description import Description
    from snapshot.facts.model import Facts, Source
    from snapshot.model import Layer

#: Of a file, in bytes.
_LARGEST = 16 << 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


class RequirementsError(DiffError, ValueError):
    """A file of requirements with something in it that cannot be read. The message has a line for each problem, or the first of many."""


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement. `name` is normalised; None for a path or URL that does not say what it installs.

    `url` is that of a direct reference, without secrets and without `vcs+` and `@commit`, which are `vcs` and `commit` (whatever the line says: a
    branch, a tag or a commit). `hashes` are those that files may have (`sha256:…`). `constraint`: only says which version, if it is installed.
    """

    name: str | None
    file: str
    line: int | None
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    extras: tuple[str, ...] = ()
    condition: Marker | None = None
    url: str = ""
    vcs: str = ""
    commit: str = ""
    subdirectory: str = ""
    hashes: tuple[str, ...] = ()
    editable: bool = False
    constraint: bool = False

    @property
    def where(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def pin(self) -> str | None:
        """The one version that will do, None if there are more."""
        clauses = list(self.specifier)
        if len(clauses) == 1 and clauses[0].operator in {"==", "==="} and not clauses[0].version.endswith(".*"):
            return clauses[0].version
        return None


@dataclass(frozen=True, slots=True)
class Requirements:
    """A file of requirements. `kind` is `requirements` or `pylock`: a lock says all that there is, a requirements.txt need not.

    `python` is the lock's `requires-python`, `groups` its default groups; empty where nothing is said. `indexes` are pip's options that say where to
    look, each with its value (`--index-url=URL`), with `${NAME}` as it stands there: not to be shown, for a URL may hold a password.
    """

    label: str
    kind: str
    items: tuple[Item, ...]
    python: str = ""
    groups: tuple[str, ...] = ()
    indexes: tuple[str, ...] = field(default=(), repr=False)

    def applicable(self, environment: Mapping[str, str]) -> tuple[Item, ...]:
        """The items whose marker holds with these values of its variables (`diffing.marking.variables`)."""
        lock = (
            {"extras": frozenset[str](), "dependency_groups": frozenset(self.groups)} if self.kind == "pylock" else None
        )
        return tuple(item for item in self.items if holds(item.condition, environment, lock=lock))


#: What serves where a requirement names the build for GPUs: MLflow requires xgboost of every model of that flavor, whichever is installed.
CPU_BUILDS = {"xgboost": "xgboost-cpu", "tensorflow": "tensorflow-cpu"}
#: Problems that are named; the file may be another one.
_MOST_PROBLEMS = 20
#: Ends of names of what is something else.
_OTHERS = (".yaml", ".yml", ".json", ".toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "Pipfile")
_QUERY = re.compile(r"\?[^#\s]+")


def masked(text: str) -> str:
    """`text` without what may be secret in a URL: its user part and its query."""
    return _QUERY.sub("?****", redact(text.encode("utf-8", "replace"))[0].decode()) if "//" in text else text


def read(path: str | os.PathLike[str]) -> Requirements:
    """Read a requirements.txt, or a lock file if its name is `pylock.toml` or `pylock.NAME.toml` (PEP 751).

    Raises RequirementsError with every problem, each with its file and line.
    """
    from diffing.local_paths import located

    path = os.fspath(path)
    label = os.path.basename(path)
    beside = os.path.dirname(os.path.abspath(path))
    problems: list[str] = []
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", label):
        from diffing.lockfile import read_lock

        found = read_lock(path, label, problems)
        places: tuple[str, ...] = (beside,)
    elif label.endswith(_OTHERS):
        raise RequirementsError(f"{label} is no requirements.txt; lock files are named pylock.toml or pylock.NAME.toml")
    else:
        from diffing.requirement_lines import read_lines

        indexes: list[str] = []
        items = tuple(read_lines(path, problems, indexes=indexes))
        found = Requirements(label, "requirements", items, indexes=tuple(indexes))
        places = ("", beside)  # of which the first is the working directory
    if problems or found is None:
        raise _error(problems)
    return replace(found, items=tuple(located(item, places) for item in found.items))


def read_note(text: str, label: str) -> Requirements:
    """Read the text of a requirements.txt that is no file here: it can include none. Raises RequirementsError as `read` does."""
    from diffing.requirement_lines import read_lines, read_pinned

    problems: list[str] = []
    items = read_pinned(text, label)
    if items is None:
        items = tuple(read_lines(label, problems, text))
    if problems:
        raise _error(problems)
    return Requirements(label, "requirements", items)


def _error(problems: Iterable[str]) -> RequirementsError:
    each = list(dict.fromkeys(problems))
    rest = [f"and {len(each) - _MOST_PROBLEMS:,} more"] if len(each) > _MOST_PROBLEMS else []
    return RequirementsError("\n".join([*each[:_MOST_PROBLEMS], *rest]))


def read_text(path: str, label: str, problems: list[str]) -> str | None:
    """The text of a file, or one more problem."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            problems.append(f"{label}: more than {_LARGEST:,} bytes; that is no file of requirements")
            return None
        return data.decode("utf-8-sig")
    except OSError as error:
        problems.append(f"{label}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{label}: not UTF-8 text")
    return None


def named(requirements: Requirements, *facts: Facts) -> Requirements:
    """The same, with a name for each path or URL that a distribution says it was installed from (direct_url.json)."""
    sources = {
        _place(row.source.url): str(canonicalize_name(row.name))
        for side in facts
        for row in side.distributions or ()
        if row.source is not None
    }
    items = tuple(
        item if item.name is not None else replace(item, name=sources.get(_place(item.url)))
        for item in requirements.items
    )
    return replace(requirements, items=items)


def _place(url: str) -> str:
    return masked(url).removeprefix("file://").removesuffix(".git").rstrip("/")


# -- as the train side


def observe(requirements: Requirements, serve: Description) -> Observations:
    """Hold an environment against a file of requirements. Pure.

    Versions are compared exactly: `==1.0` is not `1.0+cu1`. What a file of requirements does not say is unknown.
    """
    python = serve.snapshot.interpreter
    wanted = named(requirements, serve.facts)
    items = [item for item in wanted.applicable(variables(python)) if item.name is not None]
    installed = {str(canonicalize_name(layer.name)): layer for layer in serve.snapshot.distributions}
    sources = {str(canonicalize_name(row.name)): row.source for row in serve.facts.distributions or ()}
    found: dict[str, Observation] = {}
    satisfied: set[str] = set()
    for item in items:
        layer = installed.get(str(item.name)) or installed.get(CPU_BUILDS.get(str(item.name), ""))
        said = list(_differs(item, layer, sources.get(str(item.name)), known=serve.facts.distributions is not None))
        if said:
            found.setdefault(str(item.name), said[0])
        elif layer is not None and item.pin is None:
            satisfied.add(str(item.name))
    listed = {str(item.name) for item in items if not item.constraint}
    if wanted.kind == "pylock":
        found |= {name: _added(layer) for name, layer in installed.items() if name not in listed}
    if wanted.python and not SpecifierSet(wanted.python).contains(python.version, prereleases=True):
        found[""] = Observation(
            "python-version",
            Level.INTERPRETER,
            "python",
            train=wanted.python,
            serve=python.version,
            attributes={"change": "required"},
        )
    loose = len(satisfied - found.keys())
    return Observations(
        found=tuple(found[name] for name in sorted(found)),
        normalised=(Normalised("unpinned", loose),) if loose else (),
        aspects=len(ASPECTS),
        unknown=tuple(_unknown(wanted, items, listed, serve)),
        shares=tuple(
            Share(name, layer.size, layer.files, layer.files if name in found else 0, Verdict.IDENTICAL, None)
            for name, layer in sorted(installed.items(), key=lambda row: (-row[1].size, row[0]))
        ),
    )


def _differs(item: Item, layer: Layer | None, source: Source | None, *, known: bool) -> Iterator[Observation]:
    """The first way in which one distribution is not what the item says."""
    name = str(item.name)
    shown = item.pin or str(item.specifier) or origin(item) or "any version"
    if layer is None:
        if not item.constraint:
            yield _observation("distribution-removed", name, shown, None, size=0)
        return
    version = layer.version or ""
    if item.pin is not None and not _same(item.pin, version):
        change = change_of_version(item.pin, version)
        yield _observation("distribution-version", name, shown, version, size=layer.size, change=change)
    elif item.pin is None and not _contains(item.specifier, version):
        yield _observation("distribution-version", name, shown, version, size=layer.size, change="other")
    elif item.url and known and (differing := source_differs(item, source)):
        serve = _shown(source) if source else f"{version}, from an index"
        attributes = {"files": "other", "commit": differing}
        yield _observation("distribution-source", name, origin(item), serve, size=layer.size, **attributes)


def _observation(
    kind: str, name: str, train: str | None, serve: str | None, *, size: int, **attributes: str
) -> Observation:
    return Observation(
        kind=kind,
        level=Level.DISTRIBUTIONS,
        subject=name,
        owner=name,
        train=train,
        serve=serve,
        attributes=attributes,
        identity=(train, serve),
        bytes=size,
    )


def _added(layer: Layer) -> Observation:
    name = str(canonicalize_name(layer.name))
    return _observation("distribution-added", name, None, layer.version or "", size=layer.size)


def _same(pin: str, version: str) -> bool:
    """Whether it is that very version, local part included. PEP 440 knows several spellings of one."""
    try:
        return Version(pin) == Version(version)
    except InvalidVersion:
        return pin.lower() == version.lower()


def _contains(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not list(specifier)


def source_differs(item: Item, source: Source | None) -> str:
    """`other` or `same` (the commit) where the source is another one, empty where it is not."""
    if source is None:
        return "other" if item.vcs else "same"
    if item.vcs:
        demanded = item.commit.lower()
        if _COMMIT.match(demanded) and not source.commit.lower().startswith(demanded):
            return "other"  # of a branch or a tag only the URL can be compared
    digests = {source.digest.replace("=", ":", 1)} - {""}
    if item.editable and source.editable and not item.vcs:
        return ""  # where the source tree lay, before it was captured, is no part of an environment
    if item.hashes and digests and not digests & set(item.hashes):
        return "same"
    return "same" if _place(source.url) != _place(item.url) else ""


def origin(item: Item) -> str:
    """The direct reference as one text, empty where there is none."""
    if not item.url:
        return ""
    place = f"{item.vcs}+{item.url}@{item.commit}" if item.vcs else item.url
    return place.rstrip("@")


def _shown(source: Source) -> str:
    place = f"{source.vcs}+{source.url}@{source.commit}" if source.vcs else source.url
    return masked(place.rstrip("@"))


def _unknown(
    requirements: Requirements, items: Sequence[Item], listed: AbstractSet[str], serve: Description
) -> Iterator[Unknown]:
    label = requirements.label
    for aspect in ASPECTS:
        if aspect != "distributions":
            yield Unknown(aspect, "train", f"{label} says nothing of it")
    nameless = [item.where for item in requirements.items if item.name is None and not item.constraint]
    installed = {str(canonicalize_name(layer.name)) for layer in serve.snapshot.distributions}
    if nameless:
        yield Unknown(
            "distributions", "train", f"{summarise(nameless)}: a path or URL without the name of a distribution"
        )
    elif serve.facts.distributions is None and any(item.url for item in items):
        yield Unknown("distributions", "serve", "where they came from was not captured")
    elif requirements.kind != "pylock" and (rest := installed - listed):
        yield Unknown("distributions", "train", f"{label} does not name {len(rest)} of {len(installed)}")
