"""Find an interpreter of this machine for a snapshot that was captured without one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError, summarise
from snapshot.interpreter import InterpreterError, run_probe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.interpreter import Probe
    from snapshot.model import Interpreter


class NoInterpreterError(SnapshotError, LookupError):
    """No interpreter of this machine fits; the message says what is needed and what was looked at."""


def find_host(
    needed: Interpreter, python: str | None, candidates: Iterable[str | os.PathLike[str]], recorded_base: str | None
) -> Probe:
    """The interpreter to restore onto: `python` when it is given, else the first that fits best.

    It must have the implementation, minor version, ABI and platform of `needed`; the same patch release is preferred,
    then the base the environment was captured with. Raises NoInterpreterError.
    """
    tried: dict[str, str] = {}
    fitting: list[Probe] = []
    paths = (
        [python]
        if python is not None
        else [*_recorded(needed, recorded_base), *(os.fspath(path) for path in candidates)]
    )
    for path in paths:
        real = os.path.realpath(path)
        if real in tried or not os.access(real, os.X_OK):
            tried.setdefault(real, "not executable")
            continue
        try:
            probe = run_probe(real, os.path.dirname(os.path.dirname(real)))
        except InterpreterError as error:
            tried[real] = str(error)
            continue
        unfit = _unfit(needed, probe)
        tried[real] = unfit or "fits"
        if unfit is None and probe.version == needed.version:
            return probe
        if unfit is None:
            fitting.append(probe)
    if fitting:
        return fitting[0]
    looked = summarise(f"{path}: {why}" for path, why in tried.items()) or "none was found"
    raise NoInterpreterError(
        f"the snapshot has no interpreter and needs {needed.implementation} {needed.minor} "
        f"({needed.soabi}, {needed.platform}; captured with {needed.version}); looked at {looked}. "
        "Install one, name it with --python, or capture with the interpreter"
    )


def _recorded(needed: Interpreter, base: str | None) -> list[str]:
    return [] if base is None else [os.path.join(base, needed.executable)]


def _unfit(needed: Interpreter, found: Probe) -> str | None:
    minor = ".".join(found.version.split(".")[:2])
    for what, have, want in (
        ("", found.implementation, needed.implementation),
        ("version ", minor, needed.minor),
        ("ABI ", found.soabi, needed.soabi),
        ("platform ", found.platform, needed.platform),
    ):
        if have != want:
            return f"{what}{have}"
    return None
