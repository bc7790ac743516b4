"""The two sides of a comparison: an environment (stored or live) or a file of requirements, and what the user calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffing.errors import DiffError
from diffing.report import SideSummary
from snapshot.documents import digest_of
from snapshot.parity import strict_digest
from snapshot.serialize import encode_snapshot

if TYPE_CHECKING:
    from diffing.requirements import Requirements
    from snapshot.description import Description


class NoEnvironmentSideError(DiffError, ValueError):
    """Only the training side can be a file of requirements."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side. It has a `description`, or, as the training side, `requirements` instead.

    `label` is what the user calls it. `name` is what `envparity restore` would take to make it again, empty for a live environment, and
    `store` what `--store` must say for that, empty where nothing must.
    """

    label: str
    kind: Literal["snapshot", "environment", "requirements", "pylock"]
    description: Description | None = None
    requirements: Requirements | None = None
    name: str = ""
    store: str = ""

    @property
    def environment(self) -> Description:
        """The description. Raises NoEnvironmentSideError."""
        if self.description is None:
            raise NoEnvironmentSideError(
                f"{self.label} is a file of requirements: only the first side can be one; give an environment to compare it with"
            )
        return self.description

    def summary(self) -> SideSummary:
        if self.description is None:
            return SideSummary(self.label, self.kind)
        found = self.description.snapshot
        return SideSummary(
            self.label,
            self.kind,
            snapshot=digest_of(encode_snapshot(found)) if found.identified else None,
            parity_root=found.parity_root,
            strict_digest=strict_digest(found),
        )
