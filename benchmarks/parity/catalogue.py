"""What one change is, and what parity is expected to say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.verdict import Flag, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.parity.laboratory import Serving
    from snapshot.description import Description

INTEGRITY = frozenset({Flag.INTEGRITY})
NONE: frozenset[Flag] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `rule` and `verdict` are what the report must say; for a harmless one `rule` is empty.

    `apply` changes a restored environment; `describe` changes what is known of it: for another machine, which this one is not.
    """

    name: str
    what: str
    rule: str
    verdict: Verdict
    flags: frozenset[Flag]
    apply: Callable[[Serving], None] | None = None
    describe: Callable[[Description], Description] | None = None

    @property
    def harmless(self) -> bool:
        return not self.rule


class Catalogue:
    """Changes by name, in the order in which they are written down."""

    def __init__(self) -> None:
        self.changes: dict[str, Change] = {}

    def change(
        self, name: str, what: str, rule: str, verdict: Verdict, flags: frozenset[Flag] = NONE
    ) -> Callable[[Callable[[Serving], None]], Callable[[Serving], None]]:
        """Register a function that changes a restored environment."""

        def register(apply: Callable[[Serving], None]) -> Callable[[Serving], None]:
            self._add(Change(name, what, rule, verdict, flags, apply=apply))
            return apply

        return register

    def described(
        self, name: str, what: str, rule: str, verdict: Verdict, flags: frozenset[Flag] = NONE
    ) -> Callable[[Callable[[Description], Description]], Callable[[Description], Description]]:
        """Register a function that changes a description."""

        def register(describe: Callable[[Description], Description]) -> Callable[[Description], Description]:
            self._add(Change(name, what, rule, verdict, flags, describe=describe))
            return describe

        return register

    def harmless(self, name: str, what: str) -> Callable[[Callable[[Serving], None]], Callable[[Serving], None]]:
        """Register a change that must not be above EQUIVALENT."""
        return self.change(name, what, "", Verdict.EQUIVALENT)

    def variable(self, name: str, what: str, rule: str, verdict: Verdict, set_to: Mapping[str, str | None]) -> None:
        """Register variables that are set otherwise (None: not at all)."""

        def apply(serving: Serving) -> None:
            for variable, value in set_to.items():
                if value is None:
                    del serving.environ[variable]
                else:
                    serving.environ[variable] = value

        self._add(Change(name, what, rule, verdict, NONE, apply=apply))

    def _add(self, change: Change) -> None:
        if change.name in self.changes:
            raise ValueError(f"two changes are called {change.name}")
        self.changes[change.name] = change
