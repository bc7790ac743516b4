"""Where imports look, and what they find: `sys.path`, and the file that each module's name stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing.observing.sides import Sides
    from snapshot.facts.model import Module


def observe_modules(sides: Sides) -> tuple[Observation, ...]:
    """Modules that an import finds elsewhere or with other owners, and those outside of the environment that one side alone finds."""
    train, serve = sides.train.facts.modules, sides.serve.facts.modules
    if train is None or serve is None:
        return ()
    one, two = ({module.name: module for module in side} for side in (train, serve))
    explained = {change.name for change in sides.diff.distributions if not change.same_version}
    found = [
        _observe(one[name], two[name])
        for name in one.keys() & two.keys()
        if _differs(one[name], two[name], sides, explained)
    ]
    # Of one that lies within, the file or its distribution says that it came or went.
    found += [_observe(module, None) for name, module in one.items() if name not in two and module.path.startswith("/")]
    found += [_observe(None, module) for name, module in two.items() if name not in one and module.path.startswith("/")]
    return tuple(sorted(found, key=lambda each: each.subject))


def _differs(train: Module, serve: Module, sides: Sides, explained: set[str]) -> bool:
    if train.owner != serve.owner:
        return True
    if sides.neutral(train.path) == sides.neutral(serve.path):
        return False
    # A distribution may arrange its modules anew with a version.
    return not (train.owner in explained or (train.owner == PYTHON and not sides.same_python))


def _observe(train: Module | None, serve: Module | None) -> Observation:
    there = [module for module in (train, serve) if module is not None]
    hides = {bool(module.hidden) for module in there}
    return Observation(
        kind="module-resolution",
        level=Level.SEARCH_PATH,
        subject=there[0].name,
        owner=_owner(there),
        train=None if train is None else train.path,
        serve=None if serve is None else serve.path,
        attributes={
            "shadow": "yes" if len(hides) > 1 else "no",
            "module": there[0].name,
            "there": "both" if len(there) > 1 else "serve" if train is None else "train",
        },
        identity=(_identity(train), _identity(serve)),
    )


def _identity(module: Module | None) -> str | None:
    return None if module is None else f"{module.owner} {module.path}"


def _owner(there: list[Module]) -> str | None:
    """Who had the name before somebody else took it: the standard library before a distribution, a distribution before nobody."""
    owners = {module.owner for module in there if module.owner}
    return PYTHON if PYTHON in owners else min(owners, default=None)


def observe_search_path(sides: Sides, modules: Sequence[Observation]) -> tuple[Observation, ...]:
    """One observation where `sys.path` differs in its entries or their order. `modules` are those that resolve differently."""
    train, serve = sides.train.facts.search_path, sides.serve.facts.search_path
    if train is None or serve is None:
        return ()
    one, two = (tuple(map(sides.neutral, side)) for side in (train, serve))
    if one == two:
        return ()
    known = sides.train.facts.modules is not None and sides.serve.facts.modules is not None
    resolves = "unknown" if not known else "yes" if modules else "no"
    reordered = sorted(one) == sorted(two)
    return (
        Observation(
            kind="search-path",
            level=Level.SEARCH_PATH,
            subject="sys.path",
            train=_show(one, () if reordered else two),
            serve=_show(two, () if reordered else one),
            attributes={"resolves": resolves, "order": "yes" if reordered else "no"},
            identity=("\n".join(one), "\n".join(two)),
            details=tuple(f"train {path}" for path in train) + tuple(f"serve {path}" for path in serve),
        ),
    )


def _show(mine: Sequence[str], others: Sequence[str]) -> str:
    """What only this side has; all of it where the two differ in order alone."""
    return ", ".join(path or "''" for path in mine if path not in others) or "nothing more"
