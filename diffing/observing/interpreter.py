"""The interpreter: version, implementation, ABI, build and settings, and its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.observing.distributions import bytes_of, details_of
from diffing.observing.paths import standard_module
from diffing.observing.sides import change_of_version
from diffing.verdict import Level
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from diffing.model import FileChange
    from diffing.observing.files import FileFindings
    from diffing.observing.sides import Sides


def observe_interpreter(sides: Sides, files: FileFindings) -> Iterator[Observation]:
    train, serve = sides.interpreters
    if train.implementation != serve.implementation:
        yield _plain("python-implementation", train.implementation, serve.implementation)
    # A minor version announces its own ABI; flags (debug, free-threaded) it does not.
    if sides.neutral(train.soabi) != sides.neutral(serve.soabi):
        yield _plain("python-abi", train.soabi, serve.soabi)
    if not sides.same_python:
        yield _version(sides, files.base)
    elif train.digest != serve.digest:
        yield _files(sides, files.base)
    systems = [side.snapshot.environment.system_site_packages for side in (sides.train, sides.serve)]
    if systems[0] != systems[1]:
        yield _plain("system-site-packages", *("yes" if system else "no" for system in systems))
    yield from _build(sides)


def _plain(kind: str, train: str | None, serve: str | None, subject: str = PYTHON, **attributes: str) -> Observation:
    return Observation(kind, Level.INTERPRETER, subject, owner=PYTHON, train=train, serve=serve, attributes=attributes)


def _version(sides: Sides, changes: Sequence[FileChange]) -> Observation:
    train, serve = sides.interpreters
    return Observation(
        kind="python-version",
        level=Level.INTERPRETER,
        subject=PYTHON,
        owner=PYTHON,
        train=train.version,
        serve=serve.version,
        attributes={"change": change_of_version(train.version, serve.version), **_modules(sides, changes)},
        identity=(f"{train.version} {train.digest}", f"{serve.version} {serve.digest}"),
        details=details_of(changes),
        bytes=bytes_of(changes),
    )


def _files(sides: Sides, changes: Sequence[FileChange]) -> Observation:
    train, serve = sides.interpreters
    return Observation(
        kind="python-files",
        level=Level.INTERPRETER,
        subject=PYTHON,
        owner=PYTHON,
        train=train.digest.short,
        serve=serve.digest.short,
        attributes=_modules(sides, changes),
        identity=(train.digest, serve.digest),
        details=details_of(changes),
        bytes=bytes_of(changes),
    )


def _modules(sides: Sides, changes: Sequence[FileChange]) -> dict[str, str]:
    """The standard library's modules that differ, separated by spaces, where they are known; and whether anything else does."""
    if not (sides.base_seen and changes):
        return {}
    names = [standard_module(state.path) for change in changes for state in change.states]
    return {
        "modules": " ".join(sorted({name for name in names if name})),
        "executable": "yes" if None in names else "no",
    }


def _build(sides: Sides) -> Iterator[Observation]:
    train, serve = sides.train.facts.build, sides.serve.facts.build
    if train is None or serve is None:
        return
    # Another version is another build: that says nothing more.
    if sides.same_python and train.build != serve.build:
        yield _plain("python-build", train.build, serve.build, name="build")
    if train.compiler != serve.compiler:
        yield _plain("python-build", train.compiler, serve.compiler, name="compiler")
    one, two = dict(train.settings), dict(serve.settings)
    for name in sorted(one.keys() | two.keys()):
        if one.get(name) != two.get(name):
            yield _plain("python-setting", one.get(name), two.get(name), subject=name, name=name)
