"""Find an interpreter of this machine for a snapshot that was captured without one."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from snapshot.errors import SnapshotError, summarise
from snapshot.store.cached import replace_cached

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.blueprint import Blueprint


class NoInterpreterError(SnapshotError, LookupError):
    """No interpreter of this machine fits; the message says what is needed and what was looked at."""


def find_host(needed: Blueprint, python: str | None, candidates: Iterable[str | os.PathLike[str]], cache: str) -> str:
    """The base directory of the interpreter to restore onto: `python` when it is given, else the one that fits best.

    It must have the implementation, minor version, ABI and platform of `needed`; the same patch release is preferred,
    then the base the environment was captured with. What an interpreter said is kept in `cache`, for as long as its
    file stays as it is. Raises NoInterpreterError.
    """
    answers = _Answers(cache)
    tried: dict[str, str] = {}
    fitting: list[str] = []
    recorded = [] if needed.origin is None else [os.path.join(needed.origin, needed.executable)]
    paths = iter((python,)) if python is not None else (os.fspath(path) for path in _chain(recorded, candidates))
    for path in paths:
        real = os.path.realpath(path)
        if real in tried:
            continue
        found = answers.ask(real)
        unfit = found if isinstance(found, str) else _unfit(needed, found)
        if unfit is None and not os.path.exists(os.path.join(found["base"], needed.executable)):  # type: ignore[index]
            unfit = f"its base has no {needed.executable}"
        tried[real] = unfit or "fits"
        if unfit is None and not isinstance(found, str):
            base = os.path.realpath(found["base"])
            if found["version"] == needed.version:
                answers.save()
                return base
            fitting.append(base)
    answers.save()
    if fitting:
        return fitting[0]
    looked = summarise(f"{path}: {why}" for path, why in tried.items()) or "nothing: there is none"
    raise NoInterpreterError(
        f"the snapshot has no interpreter and needs {needed.implementation} {_minor(needed.version)} "
        f"({needed.soabi}, {needed.platform}; captured with {needed.version}); looked at {looked}. "
        "Install one, name it with --python, or capture with the interpreter"
    )


def _chain(first: Iterable[str], then: Iterable[str | os.PathLike[str]]) -> Iterable[str | os.PathLike[str]]:
    yield from first
    yield from then


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _unfit(needed: Blueprint, found: dict[str, str]) -> str | None:
    for what, have, want in (
        ("", found["implementation"], needed.implementation),
        ("version ", _minor(found["version"]), _minor(needed.version)),
        ("ABI ", found["soabi"], needed.soabi),
        ("platform ", found["platform"], needed.platform),
    ):
        if have != want:
            return f"{what}{have}"
    return None


class _Answers:
    """What interpreters said of themselves, by path, size, time and inode of their executables."""

    _FACTS = ("implementation", "version", "soabi", "platform", "base")

    def __init__(self, cache: str) -> None:
        self._path = os.path.join(cache, "interpreters.json")
        self._changed = False
        try:
            with open(self._path, "rb") as file:
                known = json.load(file)
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, dict[str, Any]] = known if isinstance(known, dict) else {}

    def ask(self, path: str) -> dict[str, str] | str:
        """The facts, or why there are none."""
        if not os.path.isfile(path) or not os.access(path, os.X_OK):
            return "not an executable"
        status = os.stat(path)
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        row = self._known.get(path)
        if (
            isinstance(row, dict)
            and row.get("mark") == mark
            and all(isinstance(row.get(key), str) for key in self._FACTS)
        ):
            return {key: row[key] for key in self._FACTS}
        from snapshot.interpreter import InterpreterError, run_probe

        try:
            probe = run_probe(path, os.path.dirname(os.path.dirname(path)))
        except InterpreterError as error:
            return str(error)
        facts = {key: str(getattr(probe, key)) for key in self._FACTS}
        self._known[path] = {"mark": mark, **facts}
        self._changed = True
        return facts

    def save(self) -> None:
        if self._changed:
            # Who cannot write it does without: it takes longer the next time.
            with suppress(OSError):
                replace_cached(self._path, json.dumps(self._known).encode("ascii"))
