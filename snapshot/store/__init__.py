"""Where snapshots lie: a content-addressed store with the layout of an OCI image."""

from __future__ import annotations

from snapshot.store.backend import MissingBlobError, StoreError
from snapshot.store.directory import DirectoryBackend
from snapshot.store.manifest import InvalidNameError, Manifest, NameTakenError, Reference, check_name
from snapshot.store.reading import DamagedBlobError, DamagedIndexError, VerifyingReader
from snapshot.store.removed import DamagedRemovedError
from snapshot.store.store import (
    AmbiguousSnapshotError,
    Batch,
    BlobsVanishedError,
    Collected,
    NoCacheError,
    Problem,
    Published,
    Store,
    UnknownSnapshotError,
)

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
