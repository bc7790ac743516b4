"""What a model can reach: from the requirements and modules that it names, along Requires-Dist, on both sides. Pure."""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from diffing.marking import holds, variables
from diffing.reach import EVERYTHING, Reach
from diffing.requirements import named
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.markers import Marker

    from diffing.requirements import Requirements
    from diffing.usage import Usage, Use
    from snapshot.description import Description

_ONLY_EXTRA = re.compile(r""";\s*extra\s*==\s*(['"])([A-Za-z0-9._-]+)\1\s*\Z""")
#: Extras, by their normalised names, of those who work on a package. That for its tests is no such one: scikit-learn names pandas there
#: alone, and uses it where it is.
_DEVELOPERS = re.compile(
    r"(?:dev|develop|developer|development|docs?|documentation|lint|linting|build|typing|types|release|maintenance)\Z"
)
#: Distributions that run, check, measure or document code: no model's code imports them.
_TOOLS = re.compile(
    r"(?:pytest|pluggy|iniconfig|coverage|hypothesis|tox|nox|asv|black|ruff|mypy|flake8|pylint|pyright|isort|bandit|codespell|pre-commit|"
    r"sphinx|sphinxcontrib|numpydoc|twine|build|wheel|setuptools|meson|meson-python|ninja|cmake|scikit-build|virtualenv|towncrier|types)"
    r"(?:-.*)?\Z"
)
_BEGINNING = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)\])?")
#: A distribution, and one of its extras (empty: itself).
_Node = tuple[str, str]
#: What a line of Requires-Dist names: a distribution, extras of it, and when.
_Edge = tuple[str, tuple[str, ...], "Marker | None"]
#: By name, the lines of its metadata, each with the extra that it is for.
_Graph = dict[str, list[tuple[str | None, str]]]


def reach(usage: Usage | None, requirements: Requirements | None, *sides: Description) -> Reach:
    """Find what the model can reach on any of `sides` (train and serve; serve alone when train is a file of requirements).

    The closure is not known, so that everything counts as reachable, when there is neither a model nor requirements, when a side
    does not say what its distributions require or which module is whose, and when part of the model could not be read. Where only
    the model's files were looked at, and not what it imports when it runs, what its packages can make use of counts too.
    """
    if usage is None and requirements is None:
        return EVERYTHING
    if requirements is not None:
        requirements = named(requirements, *(side.facts for side in sides))
    owners = _owners(sides)
    used = {use: found for use in usage.uses if (found := _owner(use, owners))} if usage else {}
    unnamed = requirements is not None and any(item.name is None and not item.constraint for item in requirements.items)
    unread = usage is not None and (
        bool(usage.problems) or says_nothing(usage, requirements) or any(side.facts.modules is None for side in sides)
    )
    incomplete = unnamed or unread or any(side.facts.distributions is None for side in sides)
    because = _because(used, requirements, sides)
    roots = {(owner, "") for found in used.values() for owner in found}
    graphs = [(_requires(side), variables(side.snapshot.interpreter)) for side in sides]
    for _, environment in graphs:
        roots |= _required(requirements, environment)
    needed = dict(_walk(roots, graphs))
    optional: frozenset[str] = frozenset()
    if usage is not None and not usage.listed:
        # What a package offers for an extra it imports when it is there, extra or not: sklearn does so with pandas.
        spare = {name: by for name, by in _optional(needed, graphs) if name not in needed}
        with_it = dict(_walk({(name, "") for name in spare}, graphs))
        optional = frozenset(with_it.keys() - needed.keys())
        needed = {**with_it, **needed}
        because = {**{name: f"optional for {by}" for name, by in spare.items()}, **because}
    installed = {name for requires, _ in graphs for name in requires}
    for name, by in needed.items():
        said = because.get(name) or f"required by {by}"
        because[name] = said if name in installed or incomplete else f"{said}; not installed"
    return Reach(
        distributions=None if incomplete else frozenset(needed),
        modules=usage.modules if usage and not usage.problems else None,
        pickled=frozenset(owner for use, found in used.items() if use.how == "pickle" for owner in found),
        because=dict(sorted(because.items())),
        asked=True,
        optional=optional,
    )


def says_nothing(usage: Usage, requirements: Requirements | None) -> bool:
    """Whether nothing says what a model uses (the wrong directory, a format without code): not the same as using nothing."""
    return not usage.uses and not (requirements is not None and requirements.items)


# -- where it begins


def _owners(sides: Iterable[Description]) -> dict[str, set[str]]:
    """Which distributions the modules belong to, by name; a module may be another's on the other side."""
    found: dict[str, set[str]] = {}
    for side in sides:
        for module in side.facts.modules or ():
            found.setdefault(module.name, set())
            if module.owner not in {"", PYTHON}:
                found[module.name].add(module.owner)
    return found


def _owner(use: Use, owners: Mapping[str, set[str]]) -> set[str]:
    """The distributions that a module belongs to: by the longest part of its dotted name that is known."""
    parts = use.module.split(".")
    if use.name and use.how == "code":
        parts += use.name.split(".")  # what is taken of a namespace package is a module itself
    for length in range(len(parts), 0, -1):
        found = owners.get(".".join(parts[:length]))
        if found is not None:
            return found
    return set()


def _required(requirements: Requirements | None, environment: Mapping[str, str]) -> set[_Node]:
    if requirements is None:
        return set()
    return {
        (item.name, extra)
        for item in requirements.applicable(environment)
        if item.name is not None and not item.constraint
        for extra in ("", *item.extras)
    }


# -- along Requires-Dist


def _requires(side: Description) -> _Graph:
    """The lines of Requires-Dist of each distribution, with the one extra that a line is for, where that is all that its marker says."""
    found: _Graph = {}
    for row in side.facts.distributions or ():
        named = found.setdefault(canonicalize_name(row.name), [])
        for line in row.requires:
            match = _ONLY_EXTRA.search(line)
            named.append((canonicalize_name(match[2]) if match else None, line))
    return found


@lru_cache(maxsize=4096)  # both sides have nearly the same lines
def _parse(line: str) -> _Edge | None:
    """One value of Requires-Dist. Of one that is not valid the name counts, whatever its marker was."""
    try:
        found = Requirement(line)
    except InvalidRequirement:
        match = _BEGINNING.match(line)
        return (canonicalize_name(match[1]), (), None) if match else None
    return canonicalize_name(found.name), tuple(sorted(map(canonicalize_name, found.extras))), found.marker


def _walk(start: Iterable[_Node], graphs: Sequence[tuple[_Graph, Mapping[str, str]]]) -> Iterator[tuple[str, str]]:
    """Each distribution that is needed, with the one that needs it, nearest first: whatever any side's metadata says."""
    waiting = deque((node, "") for node in sorted(start))
    seen, named = set(start), set()
    while waiting:
        (name, extra), by = waiting.popleft()
        if name not in named:
            named.add(name)
            yield name, by
        for requires, environment in graphs:
            for only, line in requires.get(name, ()):
                # Most lines are for an extra that nobody wants: they need not be parsed.
                edge = _parse(line) if only in {None, extra} else None
                if edge is not None and holds(edge[2], environment, extra=extra):
                    needed, extras, _ = edge
                    fresh = [(needed, wanted) for wanted in ("", *extras) if (needed, wanted) not in seen]
                    seen.update(fresh)
                    waiting.extend((node, name) for node in fresh)


def _optional(names: Iterable[str], graphs: Sequence[tuple[_Graph, Mapping[str, str]]]) -> Iterator[tuple[str, str]]:
    """Installed distributions that one of `names` has an extra for, each with that one; but what only its developers need."""
    for name in sorted(names):
        for requires, _ in graphs:
            for only, line in requires.get(name, ()):
                edge = _parse(line) if only is not None and not _DEVELOPERS.match(only) else None
                if edge is not None and edge[0] in requires and not _TOOLS.match(edge[0]):
                    yield edge[0], name


# -- why

_ORDER = ("pickle", "code", "flavor", "listed", "mention")


def _because(
    used: Mapping[Use, set[str]], requirements: Requirements | None, sides: Iterable[Description]
) -> dict[str, str]:
    """Why a distribution is reachable by itself, for people: who uses it first, then which line wants it."""
    found: dict[str, list[str]] = {}
    best: dict[str, tuple[int, bool, str, str]] = {}
    for use, owners in used.items():
        shown = _public(use.module)
        # A module below the top says more than the top itself.
        rank = (_ORDER.index(use.how), "." not in shown, use.file, shown)
        for owner in owners:
            best[owner] = min(rank, best.get(owner, rank))
    for owner, (how, _, file, module) in best.items():
        found[owner] = [f"{file} {'may use' if _ORDER[how] == 'mention' else 'uses'} {module}"]
    for side in sides:
        for item in requirements.applicable(variables(side.snapshot.interpreter)) if requirements else ():
            if item.name is not None and not item.constraint:
                found.setdefault(item.name, []).append(f"from {item.where}")
    return {name: "; ".join(dict.fromkeys(said)) for name, said in found.items()}


def _public(module: str) -> str:
    """`sklearn.ensemble._forest` is `sklearn.ensemble` to people."""
    first, *rest = module.split(".")
    for number, part in enumerate(rest):
        if part.startswith("_"):
            return ".".join([first, *rest[:number]])
    return module
