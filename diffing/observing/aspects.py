"""What there is to compare, and what of it could not be: the coverage of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observing.variables import incomparable
from diffing.report import Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from diffing.observing.sides import Sides
    from snapshot.description import Description
    from snapshot.facts.model import Facts

#: Everything that two environments are compared in. `files` and `interpreter` are in every description, though not always all of them.
ASPECTS = (
    "interpreter",
    "build",
    "host",
    "distributions",
    "record",
    "files",
    "entry-points",
    "startup",
    "search-path",
    "modules",
    "native",
    "variables",
    "numeric",
    "gpu-driver",
)
#: The collector that each aspect comes from.
_COLLECTED: dict[str, Callable[[Facts], object]] = {
    "build": lambda facts: facts.build,
    "host": lambda facts: facts.host,
    "distributions": lambda facts: facts.distributions,
    "record": lambda facts: facts.distributions,
    "entry-points": lambda facts: facts.distributions,
    "startup": lambda facts: facts.startup,
    "search-path": lambda facts: facts.search_path,
    "modules": lambda facts: facts.modules,
    "native": lambda facts: facts.native,
    "variables": lambda facts: facts.variables,
    "numeric": lambda facts: facts.numeric,
    "gpu-driver": lambda facts: facts.host,
}


def unknown_aspects(sides: Sides) -> Iterator[Unknown]:
    """The aspects that could not be compared, each once, in the order of ASPECTS."""
    for aspect in ASPECTS:
        if aspect in _COLLECTED:
            collected = _COLLECTED[aspect]
            missing = [collected(side.facts) is None for side in (sides.train, sides.serve)]
            if any(missing):
                yield Unknown(aspect, _side(missing), "not captured")
                continue
        found = _SPECIAL[aspect](sides) if aspect in _SPECIAL else None
        if found is not None:
            yield found


def _side(which: list[bool]) -> str:
    return "both" if all(which) else "train" if which[0] else "serve"


def _interpreter(sides: Sides) -> Unknown | None:
    if sides.interpreters[0].digest == sides.interpreters[1].digest or sides.base_seen:
        return None
    from diffing.comparison import has_base

    missing = [not has_base(side) for side in (sides.train, sides.serve)]
    return Unknown("interpreter", _side(missing), "its files differ, and were not captured one by one")


def _record(sides: Sides) -> Unknown | None:
    missing = [_without_record(side) for side in (sides.train, sides.serve)]
    names = sorted({name for side in missing for name in side})
    if not names:
        return None
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Unknown("record", _side([bool(side) for side in missing]), f"no RECORD with digests: {shown}")


def _without_record(side: Description) -> list[str]:
    return [row.name for row in side.facts.distributions or () if not row.record]


#: Findings of a capture about code that is used and was not captured.
_OUTSIDE = ("link-outside", "path-outside")


def _files(sides: Sides) -> Unknown | None:
    paths = [{found.path for found in side.findings if found.kind in _OUTSIDE} for side in (sides.train, sides.serve)]
    every = sorted(paths[0] | paths[1])
    if not every:
        return None
    shown = ", ".join(every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")
    return Unknown(
        "files",
        _side([bool(side) for side in paths]),
        f"it leads out of the environment, and was not captured: {shown}",
    )


def _variables(sides: Sides) -> Unknown | None:
    names = incomparable(sides)
    if not names:
        return None
    train, serve = sides.train.facts.variables, sides.serve.facts.variables
    keys = train is not None and serve is not None and train.key != serve.key
    count = f"{len(names)} variable{'s' if len(names) > 1 else ''}"
    return Unknown(
        "variables", "both", f"{count} with digests of different keys" if keys else f"{count} without a digest"
    )


_SPECIAL: dict[str, Callable[[Sides], Unknown | None]] = {
    "files": _files,
    "interpreter": _interpreter,
    "record": _record,
    "variables": _variables,
}
