"""Snapshots of Python environments: capture, store, restore, verify.

Everything public is imported when it is first used, so `import snapshot` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snapshot.capturing import Captured, capture
    from snapshot.collecting import Collection, collect
    from snapshot.describing import describe
    from snapshot.description import Description
    from snapshot.digest import Digest
    from snapshot.errors import SnapshotError
    from snapshot.limiting import BudgetError, SizeLimitError
    from snapshot.model import Finding, Snapshot
    from snapshot.optimizing import Optimized, optimize
    from snapshot.preflighting import Preflight, preflight
    from snapshot.restoring import Restored, restore
    from snapshot.retention import Retained, retain
    from snapshot.sizing import NameSizes, SnapshotSizes, growth, sizes
    from snapshot.store.scrub import Problem
    from snapshot.store.store import Store
    from snapshot.trees import load, read_note
    from snapshot.verifying import Verification, verify

__all__ = [
    "BudgetError",
    "Captured",
    "Collection",
    "Description",
    "Digest",
    "Finding",
    "NameSizes",
    "Optimized",
    "Preflight",
    "Problem",
    "Restored",
    "Retained",
    "SizeLimitError",
    "Snapshot",
    "SnapshotError",
    "SnapshotSizes",
    "Store",
    "Verification",
    "capture",
    "collect",
    "describe",
    "growth",
    "load",
    "optimize",
    "preflight",
    "read_note",
    "restore",
    "retain",
    "sizes",
    "verify",
]

# The module of each name. None is called like a function in it: importing such a module would hide the function.
_HOMES = {
    "BudgetError": "limiting",
    "Captured": "capturing",
    "Collection": "collecting",
    "Description": "description",
    "Digest": "digest",
    "Finding": "model",
    "NameSizes": "sizing",
    "Optimized": "optimizing",
    "Preflight": "preflighting",
    "Problem": "store.scrub",
    "Restored": "restoring",
    "Retained": "retention",
    "SizeLimitError": "limiting",
    "Snapshot": "model",
    "SnapshotError": "errors",
    "SnapshotSizes": "sizing",
    "Store": "store.store",
    "Verification": "verifying",
    "capture": "capturing",
    "collect": "collecting",
    "describe": "describing",
    "growth": "sizing",
    "load": "trees",
    "optimize": "optimizing",
    "preflight": "preflighting",
    "read_note": "trees",
    "restore": "restoring",
    "retain": "retention",
    "sizes": "sizing",
    "verify": "verifying",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"snapshot.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
