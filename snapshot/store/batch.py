"""Blobs and the manifests that need them come into the store together, or not at all."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.digest import Descriptor, Digest
from snapshot.errors import summarise
from snapshot.store.errors import StoreError
from snapshot.store.manifest import (
    CONFIG_TYPE,
    EMPTY,
    MANIFEST_TYPE,
    Manifest,
    Reference,
    check_name,
    encode_manifest,
    with_manifests,
    with_reference,
)
from snapshot.store.reading import DamagedBlobError, load_index
from snapshot.store.removed import replace_index
from snapshot.store.scrub import forget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snapshot.store.backend import StagedBlob, Staging
    from snapshot.store.store import Store


class BlobsVanishedError(StoreError, LookupError):
    """A collection has removed blobs that a capture relied on. Repeat the capture."""


@dataclass(frozen=True, slots=True)
class Published:
    """`added_bytes` is what the store grew by."""

    reference: Reference
    added_bytes: int


class Batch:
    """Blobs on their way into the store, with the snapshot that needs them. See `Store.begin`."""

    def __init__(self, store: Store, staging: Staging) -> None:
        self._store = store
        self._staging = staging

    def blob(self) -> StagedBlob:
        """A new blob to write. Threads may do this at the same time."""
        return self._staging.blob()

    def put(self, data: bytes) -> tuple[Digest, int]:
        blob = self._staging.blob()
        blob.write(data)
        return blob.close()

    def publish(self, config: bytes, content: Mapping[Digest, Descriptor], name: str | None) -> Published:
        """Make everything part of the store, durably, and the snapshot known under `name`.

        `content` has the blob of the record, of each tree and of each layer by their content's digest: staged in this
        batch, or in the store already.
        """
        if name is not None:
            check_name(name)
        snapshot = Descriptor(CONFIG_TYPE, *self.put(config))
        data = encode_manifest(snapshot, content)
        manifest = Descriptor(MANIFEST_TYPE, *self.put(data))
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        new = Reference(name, snapshot.digest, manifest, created)
        backend = self._store.backend
        with backend.lock():
            # A damaged index, or a name that is not free, must show before anything is moved.
            index = load_index(backend) or EMPTY
            changed, reference = with_reference(index, new, self._store.identify)
            added = self._staging.publish()
            self._require((snapshot, manifest, *content.values()))
            if changed is not index:
                replace_index(backend, index, changed)
        return Published(reference, added)

    def rewrite(self, manifests: Mapping[Digest, Manifest]) -> int:
        """Let other manifests stand for the same snapshots, durably, and delete what only the old ones needed. Returns how many
        were replaced.

        `manifests` has the new ones (their `size` does not count) by the digest of the old; one that is not in the index any more is
        left out. Their blobs are staged in this batch, or in the store already.
        """
        replaced = {
            old: Descriptor(MANIFEST_TYPE, *self.put(encode_manifest(new.config, new.content, new.annotations)))
            for old, new in manifests.items()
        }
        backend = self._store.backend
        with backend.lock():
            index = load_index(backend) or EMPTY
            there = {row.descriptor.digest: row.descriptor for row in index.rows if row.descriptor}
            current = {old: new for old, new in replaced.items() if old in there}
            if not current:
                return 0  # somebody else was faster; what is staged goes
            self._staging.publish()
            for old, descriptor in current.items():
                self._require((descriptor, *manifests[old].content.values()))
            # The snapshots are all still there, so there is nothing to keep the old blobs for: see `tars.Tars`.
            backend.replace_index(with_manifests(index, current).encode())
            unused = [new for old, new in replaced.items() if old not in current]
            # Where what others need cannot be told, nothing is deleted, and `collect` says why.
            with suppress(StoreError):
                forget(backend, [*(there[old] for old in current), *unused])
        return len(current)

    def _require(self, blobs: tuple[Descriptor, ...]) -> None:
        backend = self._store.backend
        vanished = sorted({blob.digest for blob in blobs if not backend.has(blob.digest)})
        if vanished:
            raise BlobsVanishedError(
                f"{len(vanished)} blobs have gone from {backend} since the capture began ({summarise(vanished)}): "
                "a collection or optimize ran meanwhile; nothing was published; capture again"
            )
        for blob in blobs:
            found = backend.size(blob.digest)
            if found != blob.size:
                raise DamagedBlobError(
                    f"blob {blob.digest} in {backend} is damaged: it has {found} bytes and not {blob.size}; "
                    "delete it and capture again"
                )
