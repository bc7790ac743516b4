"""The two sides as every level's observer sees them, and the few questions that several of them ask."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from diffing.comparison import has_base
from snapshot.facts.model import PYTHON
from snapshot.home import PYTHON_MOUNT
from snapshot.model import Kind

if TYPE_CHECKING:
    from diffing.model import EnvironmentDiff, FileChange, FileState
    from snapshot.description import Description
    from snapshot.facts.model import DistributionFacts
    from snapshot.model import Interpreter, Layer

#: A distribution by its normalised name and its version.
Pin = tuple[str, str]


class Sides:
    """Both descriptions and what was found between them. Computes what several observers need once."""

    def __init__(self, train: Description, serve: Description, diff: EnvironmentDiff) -> None:
        self.train = train
        self.serve = serve
        self.diff = diff

    @property
    def interpreters(self) -> tuple[Interpreter, Interpreter]:
        return self.train.snapshot.interpreter, self.serve.snapshot.interpreter

    @property
    def same_python(self) -> bool:
        """Whether the interpreter says the same version on both sides."""
        train, serve = self.interpreters
        return train.version == serve.version

    @property
    def base_seen(self) -> bool:
        """Whether both sides know the interpreter's files one by one."""
        return has_base(self.train) and has_base(self.serve)

    @cached_property
    def metadata(self) -> tuple[dict[Pin, DistributionFacts], dict[Pin, DistributionFacts]] | None:
        """What is recorded of each distribution, on both sides; None where one of them has nothing recorded."""
        train, serve = self.train.facts.distributions, self.serve.facts.distributions
        if train is None or serve is None:
            return None
        return _by_pin(train), _by_pin(serve)

    def package_of(self, path: str) -> dict[str, str]:
        """Whether a file lies in a package that a distribution owns (`package`), and which that is (`within`)."""
        if "/" not in path.partition("-packages/")[2]:
            return {"package": "no"}
        # Below a namespace package (`google`, that nobody owns) it is the next directory that a distribution has.
        names = posixpath.dirname(path.partition("-packages/")[2]).split("/")
        for depth in range(len(names), 0, -1):
            owner = self._package_owners.get(".".join(names[:depth]))
            if owner is not None:
                return {"package": "yes", "within": owner}
        return {"package": "unknown" if self.module_paths is None else "no"}

    @cached_property
    def module_paths(self) -> dict[str, list[str]] | None:
        """Where modules lie, by top-level name, on either side. None where one of them does not have that recorded."""
        train, serve = self.train.facts.modules, self.serve.facts.modules
        if train is None or serve is None:
            return None
        paths: dict[str, list[str]] = defaultdict(list)
        for module in (*train, *serve):
            paths[module.name.partition(".")[0]].append(module.path)
        return paths

    @cached_property
    def _package_owners(self) -> dict[str, str]:
        rows = [module for side in (self.serve, self.train) for module in side.facts.modules or ()]
        return {module.name: module.owner for module in rows if module.owner and module.owner != PYTHON}

    def owner_of_module(self, name: str) -> str | None:
        """The distribution that has a top-level module, `python` where the standard library has it, None where nobody is known to."""
        return PYTHON if name in self._standard else self._package_owners.get(name)

    @cached_property
    def _standard(self) -> frozenset[str]:
        rows = [module for side in (self.serve, self.train) for module in side.facts.modules or ()]
        return frozenset(module.name for module in rows if module.owner == PYTHON)

    @cached_property
    def one_is_base(self) -> bool:
        """Whether one side is an interpreter's own prefix, and the other an environment made from one."""
        kinds = {side.snapshot.environment.kind == "base" for side in (self.train, self.serve)}
        return len(kinds) == 2

    def neutral(self, text: str) -> str:
        """A path or an ABI tag without what the two sides differ in: Python's minor version, and where the interpreter lies.

        A virtual environment has its base beside it; of an interpreter's own prefix, such as an image's, it is the environment.
        """
        if self.one_is_base:
            text = text.removeprefix(f"{PYTHON_MOUNT}/")
        minors = {side.minor for side in self.interpreters}
        if len(minors) == 1:
            return text
        for minor in minors:
            short = minor.replace(".", "")
            text = text.replace(f"python{minor}", "python").replace(f"cpython-{short}", "cpython")
            text = text.replace(f"python{short}.zip", "python.zip")
        return text


def _by_pin(rows: tuple[DistributionFacts, ...]) -> dict[Pin, DistributionFacts]:
    return {(str(canonicalize_name(row.name)), row.version): row for row in rows}


def owner_of(layer: Layer) -> str | None:
    """Whom a layer's files belong to, as reachability counts: a distribution's normalised name, `python`, or nobody."""
    if layer.kind in (Kind.DISTRIBUTION, Kind.SOURCE):
        return str(canonicalize_name(layer.name))
    return PYTHON if layer.kind is Kind.INTERPRETER else None


def change_of_version(train: str, serve: str) -> str:
    """Which part of a version differs first (PEP 440): `major`, `minor`, `patch`, `local`, or `other` for anything else."""
    try:
        one, two = Version(train), Version(serve)
    except InvalidVersion:
        return "other"
    if one.epoch != two.epoch:
        return "major"
    length = max(len(one.release), len(two.release))
    releases = zip(*(version.release + (0,) * (length - len(version.release)) for version in (one, two)), strict=True)
    for place, (mine, yours) in enumerate(releases):
        if mine != yours:
            return ("major", "minor", "patch")[min(place, 2)]
    return "local" if one.public == two.public and one.local != two.local else "other"


def place_of(change: FileChange) -> str:
    """A file's path, the same whichever side comes first: with another version of Python it lies elsewhere."""
    if change.before is None or change.after is None:
        return change.path
    return max(change.before.path, change.after.path)


def identity_of(state: FileState | None) -> str | None:
    """What names one side of a file exactly: whose it is, what it is, and its content."""
    if state is None:
        return None
    return f"{state.owner.kind} {state.owner.name} {state.type} {'x' if state.executable else '-'} {state.content}"


def short(content: str) -> str:
    """A digest as people see it."""
    return f"sha256:{content.removeprefix('sha256:')[:12]}"
