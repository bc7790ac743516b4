"""What a comparison finds, as frozen values: facts, distributions and files that differ. No I/O.

Everything here is symmetric: exchange `before` and `after` everywhere and you have the difference the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapshot.model import Layer, Snapshot


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact about the environment as a whole: `name` is the key that docs/format.md, Identity, has for it."""

    name: str
    before: str | bool
    after: str | bool


@dataclass(frozen=True, slots=True)
class FileState:
    """One file or link as it counts in one of the two environments.

    `path` is that of a restored environment: mount and path within the layer. `type`, `executable` and `content` (a
    digest, or the target of a link) are what the parity root covers; `size` (bytes) is there to be shown.
    """

    path: str
    owner: Layer
    type: str
    executable: bool
    content: str
    size: int


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that one side lacks, or that differs.

    `what` says in which way, empty for an addition or a removal: `owner`, `type`, `mode`, `content`, `target`.
    """

    before: FileState | None
    after: FileState | None
    what: tuple[str, ...] = ()

    @property
    def change(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def path(self) -> str:
        """Where it is now, or where it was."""
        return self.states[-1].path

    @property
    def states(self) -> tuple[FileState, ...]:
        if self.before is None:
            return () if self.after is None else (self.after,)
        return (self.before,) if self.after is None else (self.before, self.after)


@dataclass(frozen=True, slots=True)
class FileCounts:
    """How many files of one owner differ. One that went to another owner is removed here and added there."""

    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class DistributionChange:
    """A distribution that one side lacks, that has another version, or that has other files under the same version."""

    name: str
    before: Layer | None
    after: Layer | None
    files: FileCounts

    @property
    def change(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def same_version(self) -> bool:
        """Nobody who compares names and versions sees this one."""
        return self.before is not None and self.after is not None and self.before.version == self.after.version


@dataclass(frozen=True, slots=True)
class EnvironmentDiff:
    """All differences between two environments. There are none if and only if the parity roots are equal."""

    before: Snapshot
    after: Snapshot
    facts: tuple[FactChange, ...]
    distributions: tuple[DistributionChange, ...]
    files: tuple[FileChange, ...]

    @property
    def equal(self) -> bool:
        return self.before.parity_root == self.after.parity_root

    @property
    def empty(self) -> bool:
        return not (self.facts or self.distributions or self.files)
