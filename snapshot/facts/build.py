"""How an interpreter was built, from what it said of itself: no process of its own is started for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshot.facts.model import Build

if TYPE_CHECKING:
    from snapshot.interpreter import Probe


def build(probe: Probe) -> Build | None:
    """The build of the interpreter that gave `probe`; None when it said nothing of it."""
    if not probe.settings:
        return None
    rows = (text.partition("=") for text in probe.settings)
    return Build(probe.build, probe.compiler, tuple(sorted((name, value) for name, _, value in rows)))
