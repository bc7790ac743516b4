"""Where snapshots lie: a content-addressed store with the layout of an OCI image.

Everything public is imported when it is first used: what restores need of the store is a fraction of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snapshot.store.batch import Batch, BlobsVanishedError, Published
    from snapshot.store.directory import DirectoryBackend
    from snapshot.store.errors import MissingBlobError, StoreError
    from snapshot.store.manifest import InvalidNameError, Manifest, NameTakenError, Reference, check_name
    from snapshot.store.reading import DamagedBlobError, DamagedIndexError, VerifyingReader
    from snapshot.store.removed import DamagedRemovedError
    from snapshot.store.scrub import Collected, Problem
    from snapshot.store.store import AmbiguousSnapshotError, NoCacheError, Store, UnknownSnapshotError

__all__ = [
    "AmbiguousSnapshotError",
    "Batch",
    "BlobsVanishedError",
    "Collected",
    "DamagedBlobError",
    "DamagedIndexError",
    "DamagedRemovedError",
    "DirectoryBackend",
    "InvalidNameError",
    "Manifest",
    "MissingBlobError",
    "NameTakenError",
    "NoCacheError",
    "Problem",
    "Published",
    "Reference",
    "Store",
    "StoreError",
    "UnknownSnapshotError",
    "VerifyingReader",
    "check_name",
]

_HOMES = {
    "AmbiguousSnapshotError": "store",
    "Batch": "batch",
    "BlobsVanishedError": "batch",
    "Collected": "scrub",
    "DamagedBlobError": "reading",
    "DamagedIndexError": "reading",
    "DamagedRemovedError": "removed",
    "DirectoryBackend": "directory",
    "InvalidNameError": "manifest",
    "Manifest": "manifest",
    "MissingBlobError": "errors",
    "NameTakenError": "manifest",
    "NoCacheError": "store",
    "Problem": "scrub",
    "Published": "batch",
    "Reference": "manifest",
    "Store": "store",
    "StoreError": "errors",
    "UnknownSnapshotError": "store",
    "VerifyingReader": "reading",
    "check_name": "manifest",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"snapshot.store.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
