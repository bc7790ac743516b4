"""Compares two environments, file by file. Pure: what it needs of a file it gets from the descriptions it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffing.comparison import compare
    from diffing.errors import DiffError
    from diffing.model import DistributionChange, EnvironmentDiff, FactChange, FileChange, FileCounts, FileState

__all__ = [
    "DiffError",
    "DistributionChange",
    "EnvironmentDiff",
    "FactChange",
    "FileChange",
    "FileCounts",
    "FileState",
    "compare",
]

_ROOMS = {"compare": "diffing.comparison", "DiffError": "diffing.errors"}


def __getattr__(name: str) -> Any:
    """Import a room when something of it is asked for: `import diffing` alone must cost nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_ROOMS.get(name, "diffing.model")), name)
    globals()[name] = value
    return value
