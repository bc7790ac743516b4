"""Native libraries that the environment takes from the system."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diffing.observing.sides import Sides
    from snapshot.facts.model import SystemLibrary

#: What glibc is made of: its version stands for all of them.
_GLIBC = re.compile(
    r"(?:ld-linux[\w.-]*|lib(?:c|m|mvec|dl|rt|pthread|util|resolv|nsl|anl|BrokenLocale|thread_db))\.so\.\d+\Z"
)


def observe_native(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.train.facts.native, sides.serve.facts.native
    if train is None or serve is None:
        return
    one, two = (_by_soname(side.libraries) for side in (train, serve))
    hosts = [side.facts.host for side in (sides.train, sides.serve)]
    announced = None not in hosts and len({(host.libc, host.libc_version) for host in hosts if host}) > 1
    for soname in sorted(one.keys() | two.keys()):
        if not (announced and _GLIBC.match(soname)):
            mine, yours = one.get(soname, {}), two.get(soname, {})
            # Two places may have a library of the same name: what both sides have in common is no difference.
            left = [mine[each] for each in sorted(mine.keys() - yours.keys())]
            right = [yours[each] for each in sorted(yours.keys() - mine.keys())]
            for before, after in zip_longest(left, right):
                yield from _library(soname, before, after)


def _by_soname(libraries: Iterable[SystemLibrary]) -> dict[str, dict[str, SystemLibrary]]:
    """By soname what is found under it, by what tells it from another."""
    found: dict[str, dict[str, SystemLibrary]] = {}
    for library in libraries:
        found.setdefault(library.soname, {})[_identity(library)] = library
    return found


def _library(soname: str, train: SystemLibrary | None, serve: SystemLibrary | None) -> Iterator[Observation]:
    found = [library is not None and bool(library.path) for library in (train, serve)]
    attributes: dict[str, str]
    if train and serve and found[0] != found[1]:
        kind, attributes = "library-missing", {"side": "serve" if found[0] else "train"}
    elif train is None or serve is None:
        there = train or serve
        missing = there is not None and not there.path
        kind = "library-missing" if missing else "library-added" if train is None else "library-removed"
        attributes = {"side": "serve" if train is None else "train"} if missing else {}
    elif train.version != serve.version:
        kind, attributes = "library-version", {"change": "version"}
    elif train.build_id != serve.build_id:
        kind, attributes = "library-version", {"change": "build"}
    else:
        return
    users = {owner for library in (train, serve) if library for owner in library.needed_by}
    yield Observation(
        kind=kind,
        level=Level.NATIVE,
        subject=soname,
        train=_show(train, build=attributes.get("change") == "build"),
        serve=_show(serve, build=attributes.get("change") == "build"),
        attributes=attributes,
        identity=(None if train is None else _identity(train), None if serve is None else _identity(serve)),
        details=tuple(f"needed by {owner or 'unowned files'}" for owner in sorted(users)),
    )


def _show(library: SystemLibrary | None, *, build: bool) -> str | None:
    if library is None:
        return None
    if not library.path:
        return "not found"
    if build:
        return f"build-id {library.build_id[:12] or 'none'}"
    return library.version or library.path


def _identity(library: SystemLibrary) -> str:
    return f"{bool(library.path)} {library.version} {library.build_id}"
