"""What a model can reach of an environment: the closure of its requirements, and the modules that it imports. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Reach:
    """`distributions` are normalised names; None: nothing is known, so everything counts as reachable.

    `modules` are those that the model imports (dotted names, None when not known), `pickled` the distributions whose objects lie in its
    pickles, `because` says for each distribution why it is reachable, for people. `asked`: there is a model, or there are requirements, so
    that what is not known could not be found out. `optional` are those of `distributions` that nothing requires, which others use where
    they are.
    """

    distributions: frozenset[str] | None = None
    modules: frozenset[str] | None = None
    pickled: frozenset[str] = frozenset()
    because: Mapping[str, str] = field(default_factory=dict)
    asked: bool = False
    optional: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        return self.distributions is not None

    def reaches(self, owner: str | None) -> bool | None:
        """Whether the model can reach what `owner` (a distribution, None: nobody) has. None: that is not known."""
        if self.distributions is None:
            return None
        return owner is not None and owner in self.distributions


EVERYTHING = Reach()
