"""Compares two environments, file by file and level by level, and says how much it matters to the model that runs in them.

`compare` names every file that differs; `assess` grades all differences and judges them by a policy. Both are pure: what they need they
get from the descriptions they are given. Everything public is imported when it is first used, so `import diffing` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffing.assessing import assess
    from diffing.comparison import compare
    from diffing.errors import DiffError
    from diffing.fixing import Plan, plan
    from diffing.model import DistributionChange, EnvironmentDiff, FactChange, FileChange, FileCounts, FileState
    from diffing.policy import Policy
    from diffing.policy import read as read_policy
    from diffing.report import Difference, Report
    from diffing.requirements import Requirements
    from diffing.requirements import read as read_requirements
    from diffing.sides import Side
    from diffing.usage import Usage, read_model
    from diffing.verdict import Flag, Verdict

__all__ = [
    "DiffError",
    "Difference",
    "DistributionChange",
    "EnvironmentDiff",
    "FactChange",
    "FileChange",
    "FileCounts",
    "FileState",
    "Flag",
    "Plan",
    "Policy",
    "Report",
    "Requirements",
    "Side",
    "Usage",
    "Verdict",
    "assess",
    "compare",
    "plan",
    "read_model",
    "read_policy",
    "read_requirements",
]

# The module of each name, and what it is called there if that is shorter; those that are not listed are in `model`.
_HOMES = {
    "DiffError": "errors",
    "Difference": "report",
    "Flag": "verdict",
    "Plan": "fixing",
    "Policy": "policy",
    "Report": "report",
    "Requirements": "requirements",
    "Side": "sides",
    "Usage": "usage",
    "Verdict": "verdict",
    "assess": "assessing",
    "compare": "comparison",
    "plan": "fixing",
    "read_model": "usage",
    "read_policy": "policy:read",
    "read_requirements": "requirements:read",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, original = _HOMES.get(name, "model").partition(":")
    value = getattr(import_module(f"diffing.{module}"), original or name)
    globals()[name] = value
    return value
