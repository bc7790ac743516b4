"""The errors of every place for blobs: whichever it is, these are raised by it."""

from __future__ import annotations

from snapshot.errors import SnapshotError


class StoreError(SnapshotError, OSError):
    """The store cannot be read or written; the message names the path and the remedy."""


class MissingBlobError(StoreError, LookupError):
    """A blob that something refers to is not in the store."""
