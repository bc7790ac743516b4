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
    from snapshot.errors import SnapshotError
    from snapshot.model import Description, Digest, Finding, Snapshot
    from snapshot.restoring import Restored, restore
    from snapshot.retention import Retained, retain
    from snapshot.store.store import Problem, Store
    from snapshot.trees import load
    from snapshot.verifying import Verification, verify

__all__ = [
    "Captured",
    "Collection",
    "Description",
    "Digest",
    "Finding",
    "Problem",
    "Restored",
    "Retained",
    "Snapshot",
    "SnapshotError",
    "Store",
    "Verification",
    "capture",
    "collect",
    "describe",
    "load",
    "restore",
    "retain",
    "verify",
]

# The module of each name. None is called like a function in it: importing such a module would hide the function.
_HOMES = {
    "Captured": "capturing",
    "Collection": "collecting",
    "Description": "model",
    "Digest": "model",
    "Finding": "model",
    "Problem": "store.store",
    "Restored": "restoring",
    "Retained": "retention",
    "Snapshot": "model",
    "SnapshotError": "errors",
    "Store": "store.store",
    "Verification": "verifying",
    "capture": "capturing",
    "collect": "collecting",
    "describe": "describing",
    "load": "trees",
    "restore": "restoring",
    "retain": "retention",
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
