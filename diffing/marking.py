"""Environment markers (PEP 508), evaluated for the interpreter of an environment: nothing is taken from the running one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from packaging.markers import Marker

    from snapshot.model import Interpreter

_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}


def variables(python: Interpreter) -> dict[str, str]:
    """The variables of markers on that interpreter, as far as it says."""
    system, _, machine = python.platform.partition("-")
    name = python.implementation
    return {
        "implementation_name": name.lower(),
        "implementation_version": python.version,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": _IMPLEMENTATIONS.get(name.lower(), name),
        "platform_release": "",
        "platform_system": system.capitalize(),
        "platform_version": "",
        "python_full_version": python.version,
        "python_version": python.minor,
        "sys_platform": system,
    }


def holds(
    marker: Marker | None,
    environment: Mapping[str, str],
    *,
    extra: str = "",
    lock: Mapping[str, AbstractSet[str]] | None = None,
) -> bool:
    """Whether a marker holds, with `extra` wanted, or in a lock file with `lock`'s extras and groups (PEP 751).

    One that cannot be evaluated does: what may be needed counts as needed.
    """
    if marker is None:
        return True
    try:
        if lock is not None:
            return bool(marker.evaluate({**environment, **lock}, context="lock_file"))
        return bool(marker.evaluate({**environment, "extra": extra}))
    except (UndefinedEnvironmentName, UndefinedComparison):
        return True
