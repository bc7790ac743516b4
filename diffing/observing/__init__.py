"""What differs between two environments, as observations: the input of the rules. Pure; docs/parity.md lists the kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffing.observation import Observations
from diffing.observing.aspects import ASPECTS, unknown_aspects
from diffing.observing.distributions import observe_metadata
from diffing.observing.files import observe_files
from diffing.observing.imports import observe_modules, observe_search_path
from diffing.observing.interpreter import observe_interpreter
from diffing.observing.native import observe_native
from diffing.observing.normalised import count_normalised
from diffing.observing.numeric import observe_numeric
from diffing.observing.platform import observe_platform
from diffing.observing.shares import share_out
from diffing.observing.sides import Sides
from diffing.observing.variables import observe_variables

if TYPE_CHECKING:
    from diffing.model import EnvironmentDiff
    from snapshot.description import Description

__all__ = ["ASPECTS", "observe"]


def observe(train: Description, serve: Description, diff: EnvironmentDiff) -> Observations:
    """Name every difference between `train` and `serve`. `diff` is `compare(train, serve)`.

    What one of them did not record is unknown, and never equal. Raises MissingTreeError where a description lacks the
    files of a layer that differs.
    """
    sides = Sides(train, serve, diff)
    files = observe_files(sides)
    modules = observe_modules(sides)
    found = (
        *observe_interpreter(sides, files),
        *observe_platform(sides),
        *files.observations,
        *observe_metadata(sides, files.distributions),
        *observe_search_path(sides, modules),
        *modules,
        *observe_native(sides),
        *observe_variables(sides),
        *observe_numeric(sides),
    )
    return Observations(
        found=tuple(sorted(found, key=lambda seen: (seen.level.value, seen.kind, seen.subject, seen.path or ""))),
        normalised=count_normalised(sides),
        aspects=len(ASPECTS),
        unknown=tuple(unknown_aspects(sides)),
        shares=share_out(sides),
    )
