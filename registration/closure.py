"""What an environment has of a model's requirements: the distributions that they reach, and what is broken among them. Pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from diffing.marking import holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing.requirements import Item
    from registration.surroundings import Installed, Surroundings


def reached(items: Iterable[Item], here: Surroundings) -> tuple[list[Installed], list[str]]:
    """Every installed distribution that the requirements need, themselves among them, and the names of those that are missing."""
    waiting = deque(
        (str(item.name), extra)
        for item in items
        if item.name is not None and not item.constraint
        for extra in ("", *item.extras)
    )
    seen = set(waiting)
    while waiting:
        name, extra = waiting.popleft()
        found = here.find(name)
        for needed in _requires(found, here, extra) if found is not None else ():
            for wanted in ("", *map(canonicalize_name, sorted(needed.extras))):
                node = (str(canonicalize_name(needed.name)), str(wanted))
                if node not in seen:
                    seen.add(node)
                    waiting.append(node)
    names = sorted({name for name, _ in seen})
    there = {name: here.find(name) for name in names}
    return (
        list({found.name: found for found in there.values() if found is not None}.values()),
        [name for name, found in there.items() if found is None],
    )


def breakage(here: Surroundings) -> frozenset[str]:
    """What `pip check` would say: requirements of installed distributions that are missing, or there in a version that does not do."""
    return frozenset(_broken(here))


def _broken(here: Surroundings) -> Iterator[str]:
    for one in here.installed.values():
        for needed in _requires(one, here, ""):
            found = here.find(canonicalize_name(needed.name))
            if found is None:
                yield f"{one.name} {one.version} requires {needed.name}, which is not installed"
            elif not _contains(needed, found.version):
                yield f"{one.name} {one.version} requires {needed.name}{needed.specifier}, and {found.version} is installed"


def _requires(one: Installed, here: Surroundings, extra: str) -> Iterator[Requirement]:
    for line in one.requires:
        try:
            found = Requirement(line)
        except InvalidRequirement:
            continue  # pip says so when it installs it, and goes on without
        if holds(found.marker, here.markers, extra=extra):
            yield found


def _contains(needed: Requirement, version: str) -> bool:
    try:
        return needed.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True
