"""The store of snapshots: references, verified reads, and batches that are published as a whole."""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError, summarise
from snapshot.model import Descriptor, Digest
from snapshot.serialize import FormatError, decode_snapshot
from snapshot.store.backend import MissingBlobError, StoreError
from snapshot.store.contents import contents
from snapshot.store.directory import DirectoryBackend
from snapshot.store.manifest import (
    CONFIG_TYPE,
    EMPTY,
    MANIFEST_TYPE,
    Manifest,
    Reference,
    Row,
    check_name,
    decode_manifest,
    encode_manifest,
    reference_of,
    with_manifests,
    with_reference,
    without,
)
from snapshot.store.reading import DamagedBlobError, VerifyingReader, load_index, open_blob, read_blob, snapshot_of
from snapshot.store.scrub import Collected, Problem, check, collect, reachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from snapshot.model import Snapshot
    from snapshot.progress import Progress
    from snapshot.store.backend import Backend, StagedBlob, Staging

__all__ = [
    "AmbiguousSnapshotError",
    "Batch",
    "BlobsVanishedError",
    "Collected",
    "NoCacheError",
    "Problem",
    "Published",
    "Store",
    "UnknownSnapshotError",
]

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})\Z")


class UnknownSnapshotError(SnapshotError, LookupError):
    """Text that no snapshot in the store answers to."""


class AmbiguousSnapshotError(SnapshotError, LookupError):
    """Text that several snapshots in the store answer to."""


class BlobsVanishedError(StoreError, LookupError):
    """A collection has removed blobs that a capture relied on. Repeat the capture."""


class NoCacheError(SnapshotError, ValueError):
    """A store that was opened without a cache directory, and something that needs one."""


@dataclass(frozen=True, slots=True)
class Published:
    """`added_bytes` is what the store grew by."""

    reference: Reference
    added_bytes: int


class Store:
    """Snapshots by name and by id, over any backend. A path means an OCI image layout in that directory."""

    def __init__(self, where: str | os.PathLike[str] | Backend, *, cache: str | os.PathLike[str] | None = None) -> None:
        """`cache` is this node's own directory for what can be made anew; by default `cache` in the store's directory."""
        self.backend: Backend = DirectoryBackend(where) if isinstance(where, (str, os.PathLike)) else where
        if cache is None and isinstance(self.backend, DirectoryBackend):
            cache = os.path.join(self.backend.path, "cache")
        self._cache = None if cache is None else os.path.abspath(os.fspath(cache))
        # A manifest never changes, so what it is a manifest of is asked once.
        self._identified: dict[Digest, Digest | None] = {}

    def __str__(self) -> str:
        return str(self.backend)

    @property
    def cache(self) -> Path:
        from pathlib import Path

        if self._cache is None:
            raise NoCacheError(f"the store {self} has no cache directory; open it with Store(…, cache=DIRECTORY)")
        return Path(self._cache)

    def references(self) -> tuple[Reference, ...]:
        """Every snapshot in the index, in the order of capture. What is no snapshot is left out."""
        return self._references(self._rows())

    def resolve(self, text: str) -> Reference:
        """The reference that `text` means: a name, the newest version of a name, an id, or the beginning of an id."""
        rows = self._rows()
        named = [row for row in rows if row.name == text]
        versions = [row for row in rows if row.name and row.name.startswith(f"{text}/")]
        for candidates in (named, versions):
            found = [each for row in candidates if (each := self._reference(row, strict=True))]
            if found:
                return _newest(found)
        references = self._references(rows)
        matching = [each for each in references if _begins(each, text)]
        if not matching:
            raise self._unknown(text, references)
        ids = sorted({each.snapshot for each in matching})
        if len(ids) > 1:
            raise AmbiguousSnapshotError(
                f"{text!r} is the beginning of several snapshots in {self}: {_listing(matching)}; give more digits"
            )
        return _newest(matching)

    def manifest(self, reference: Reference | str) -> Manifest:
        found = self.resolve(reference) if isinstance(reference, str) else reference
        try:
            data = read_blob(self.backend, found.manifest)
        except MissingBlobError:
            found = self._rewritten(found)
            data = read_blob(self.backend, found.manifest)
        what = f"manifest {found.manifest.digest}"
        manifest = decode_manifest(data, what)
        if manifest.config.digest != found.snapshot:
            raise FormatError(
                f"{what}: its config is {manifest.config.digest}, but the index of {self} says that {found.label} is "
                f"{found.snapshot}; remove that reference and capture again"
            )
        return manifest

    def _rewritten(self, reference: Reference) -> Reference:
        """The same snapshot under the manifest that it has by now (`Batch.rewrite`); as it was when that is the same."""
        same = [each for each in self.references() if each.snapshot == reference.snapshot]
        return _newest(same) if same else reference

    def snapshot(self, reference: Reference | str) -> Snapshot:
        config = self.manifest(reference).config
        return decode_snapshot(self.read(config), f"config {config.digest}")

    def read(self, descriptor: Descriptor) -> bytes:
        """A whole blob, verified."""
        return read_blob(self.backend, descriptor)

    def open(self, descriptor: Descriptor) -> VerifyingReader:
        """A blob as a stream that is verified by the time its last byte comes."""
        return open_blob(self.backend, descriptor)

    def has(self, digest: Digest) -> bool:
        return self.backend.has(digest)

    def contents(self) -> Mapping[Digest, Descriptor]:
        """Content digest (diff_id, tree, record) to the blob that holds it, over all snapshots.

        What it says was true when the snapshots were published: ask `has` before relying on a blob.
        """
        manifests = {each.manifest.digest: each for each in self.references()}

        def read(digest: Digest) -> Manifest | None:
            try:
                return self.manifest(manifests[digest])
            except (StoreError, FormatError):
                return None  # `check` reports it; nothing needs to be shared with it

        return contents(manifests, read, self._cache)

    @contextmanager
    def begin(self) -> Iterator[Batch]:
        """Start to publish a snapshot. What is not published when the context ends leaves no trace."""
        with self.backend.staging() as staging:
            yield Batch(self, staging)

    def remove(self, name_or_id: str) -> Reference:
        """Take a reference out of the index: an exact name, or the id of a snapshot that has one reference only.

        Blobs stay until `collect`.
        """
        self._removable(name_or_id)  # a store that is not there is not made by this
        with self.backend.lock():
            rows, reference = self._removable(name_or_id)
            self.backend.replace_index(without(load_index(self.backend) or EMPTY, rows).encode())
        return reference

    def collect(self) -> Collected:
        """Delete the blobs that nothing in the index reaches, and what killed processes left."""
        return collect(self.backend)

    def check(self, progress: Progress | None = None) -> tuple[Problem, ...]:
        """Read everything and report all that is wrong."""
        return check(self.backend, progress)

    def identify(self, row: Row) -> Digest | None:
        """The snapshot that a row of the index refers to, None when that is something else or cannot be read."""
        try:
            return self._identify(row)
        except (StoreError, FormatError):
            return None  # `check` reports it

    def _rows(self) -> tuple[Row, ...]:
        return (load_index(self.backend) or EMPTY).rows

    def _references(self, rows: tuple[Row, ...]) -> tuple[Reference, ...]:
        found = [each for row in rows if (each := self._reference(row))]
        return tuple(sorted(found, key=lambda each: each.created))

    def _reference(self, row: Row, *, strict: bool = False) -> Reference | None:
        snapshot = self._identify(row) if strict else self.identify(row)
        return None if snapshot is None else reference_of(row, snapshot)

    def _identify(self, row: Row) -> Digest | None:
        if row.foreign or row.descriptor is None:
            return None
        if row.snapshot is not None:
            return row.snapshot
        if row.descriptor.digest not in self._identified:
            self._identified[row.descriptor.digest] = snapshot_of(self.backend, row)
        return self._identified[row.descriptor.digest]

    def _removable(self, text: str) -> tuple[tuple[Row, ...], Reference]:
        """The rows that `remove(text)` takes out, and the reference that they are."""
        pairs = [(row, each) for row in self._rows() if (each := self._reference(row))]
        named = [(row, each) for row, each in pairs if each.name == text]
        if named:
            return tuple(row for row, _ in named), _newest([each for _, each in named])
        versions = [each.name for _, each in pairs if each.name and each.name.startswith(f"{text}/")]
        if versions:
            raise UnknownSnapshotError(
                f"no snapshot in {self} is named {text!r} itself, but there are {', '.join(versions)}; name one of these"
            )
        snapshot = self.resolve(text).snapshot
        of_it = [(row, each) for row, each in pairs if each.snapshot == snapshot]
        names = [each.name or "one without a name" for _, each in of_it]
        if len(of_it) > 1 and any(each.name for _, each in of_it):
            raise AmbiguousSnapshotError(
                f"{snapshot.short} has several references in {self}: {', '.join(names)}; remove them by name"
            )
        return tuple(row for row, _ in of_it), _newest([each for _, each in of_it])

    def _unknown(self, text: str, references: tuple[Reference, ...]) -> UnknownSnapshotError:
        if not references:
            return UnknownSnapshotError(f"no snapshot {text!r}: the store {self} is empty; capture one first")
        short = " (an id needs at least 4 digits)" if re.match(r"(?:sha256:)?[0-9a-f]{0,3}\Z", text) else ""
        return UnknownSnapshotError(f"no snapshot {text!r} in {self}{short}; there are {_listing(references)}")


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
                backend.replace_index(changed.encode())
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
            before = {
                blob.digest
                for old in current
                for blob in decode_manifest(read_blob(backend, there[old])).content.values()
            }
            self._staging.publish()
            for old, descriptor in current.items():
                self._require((descriptor, *manifests[old].content.values()))
            changed = with_manifests(index, current)
            backend.replace_index(changed.encode())
            staged = {blob.digest for new in manifests.values() for blob in new.content.values()}
            gone = before | staged | set(current) | {each.digest for each in replaced.values()}
            try:
                gone -= reachable(backend, changed)
            except StoreError:
                return len(current)  # what others need cannot be told: nothing is deleted, and `collect` says why
            for digest in gone:
                backend.delete(digest)
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


def _newest(references: list[Reference]) -> Reference:
    """Of those created in the same second the one that is later in the index: that is the order of publishing."""
    return sorted(references, key=lambda each: each.created)[-1]


def _begins(reference: Reference, text: str) -> bool:
    match = _PREFIX.match(text)
    return match is not None and reference.snapshot.hex.startswith(match[1])


def _listing(references: tuple[Reference, ...] | list[Reference]) -> str:
    """The newest first: these are the likelier ones."""
    return summarise(
        f"{each.name} ({each.snapshot.short})" if each.name else each.snapshot.short for each in reversed(references)
    )
