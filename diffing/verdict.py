"""How much a difference matters: six verdicts in order, and two flags beside them."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(IntEnum):
    """The worse, the larger. The verdict of a whole is the worst of its parts."""

    IDENTICAL = 0
    EQUIVALENT = 1
    COMPATIBLE = 2
    NUMERIC = 3
    DRIFTED = 4
    INCOMPATIBLE = 5

    def __str__(self) -> str:
        return self.name


class Flag(str, Enum):
    """INTEGRITY: content disagrees with what its own RECORD says. UNKNOWN: something was not captured on one side."""

    INTEGRITY = "INTEGRITY"
    UNKNOWN = "UNKNOWN"

    def __str__(self) -> str:
        return self.value


class Level(str, Enum):
    """Where a difference lies."""

    INTERPRETER = "interpreter"
    PLATFORM = "platform"
    DISTRIBUTIONS = "distributions"
    FILES = "files"
    ENTRY_POINTS = "entry-points"
    STARTUP = "startup"
    SEARCH_PATH = "search-path"
    NATIVE = "native"
    VARIABLES = "variables"
    NUMERIC = "numeric"

    def __str__(self) -> str:
        return self.value


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, default=Verdict.IDENTICAL)
