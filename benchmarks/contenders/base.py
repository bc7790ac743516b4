"""What all contenders that keep environments have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Runs a command that is not measured, and returns what it printed.
Call = Callable[[Sequence[str | Path]], str]


def no_figures(_output: bytes) -> Mapping[str, float]:
    """For a command that tells nothing of itself."""
    return {}


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `shown` is for readers; `collect` makes figures of what it printed; `watched`: look at its memory."""

    argv: tuple[str, ...]
    shown: str
    collect: Callable[[bytes], Mapping[str, float]] = no_figures
    watched: bool = False

    @classmethod
    def of(cls, argv: Sequence[str | Path], shown: str) -> Command:
        return cls(tuple(os.fspath(part) for part in argv), shown)


class Packer(Protocol):
    """A way to keep environments in a directory `place`, which is there and belongs to it alone.

    `slug` is a name for directories. `shares`: versions in one place share what they have in common, so that it matters which
    others are there; otherwise each version is a file by itself. `rounds`: how often it is measured at most, because it is slow.
    """

    @property
    def name(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def shares(self) -> bool: ...
    @property
    def rounds(self) -> int | None: ...

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        """What has to be there before the environment at `prefix` is kept, such as an empty repository. Not measured."""

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        """Keep the environment at `prefix` under the name `version`."""

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        """Make `version` again below `destination`: an empty directory, but for envparity, which makes it itself."""

    def kept(self, place: Path) -> int:
        """The bytes that are kept in `place`: without caches, which can be made again."""


def bytes_below(*roots: Path) -> int:
    """The bytes of all files at or below `roots`. One that is not there has none."""
    total = 0
    for root in roots:
        if root.is_file():
            total += root.stat().st_size
        for directory, _, names in os.walk(root):
            total += sum(os.lstat(os.path.join(directory, name)).st_size for name in names)
    return total
