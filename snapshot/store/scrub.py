"""The store's housekeeping: delete what nothing refers to, and read everything to see whether it is right."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from snapshot.errors import summarise
from snapshot.serialize import FormatError, decode_snapshot
from snapshot.store.backend import MissingBlobError, StoreError
from snapshot.store.manifest import DOCUMENT_TYPES, Manifest, children, decode_manifest
from snapshot.store.reading import load_index, read_blob, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.model import Descriptor, Digest
    from snapshot.progress import Progress
    from snapshot.store.backend import Backend
    from snapshot.store.manifest import Index, Row

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection deleted: blobs, their bytes, and staging areas of processes that are gone."""

    blobs: int
    bytes: int
    staging: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be. `path` is a digest, or a file's path."""

    kind: str
    path: str
    detail: str


@runtime_checkable
class Housekeeping(Protocol):
    """What a backend offers in addition when it keeps more than blobs and an index."""

    def sweep(self) -> int:
        """Remove what killed processes left; return how many staging areas that was."""
        ...

    def oddities(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong with it apart from blobs and index: kind, path and detail of a Problem."""
        ...


def collect(backend: Backend) -> Collected:
    """Delete the blobs that no row of the index reaches. Staged blobs are not in the store yet, so they are safe.

    Without an index nothing is deleted: it may be lost, and then the blobs are all that is left.
    """
    with backend.lock():
        staging = backend.sweep() if isinstance(backend, Housekeeping) else 0
        index = load_index(backend)
        if index is None:
            return Collected(0, 0, staging)
        keep = reachable(backend, index)
        blobs = size = 0
        for digest in [each for each in backend.digests() if each not in keep]:
            size += backend.size(digest)
            backend.delete(digest)
            blobs += 1
    return Collected(blobs, size, staging)


def reachable(backend: Backend, index: Index) -> set[Digest]:
    """Every blob that a row of the index needs, whoever wrote it. Raises StoreError when that cannot be told."""
    keep: set[Digest] = set()
    followed: set[Digest] = set()
    for row in index.rows:
        if row.descriptor is None:
            raise StoreError(
                f"cannot collect in {backend}: {row.label} in its index is addressed by another digest than sha256, "
                "and what it needs cannot be told; nothing was deleted"
            )
        todo = [row.descriptor]
        while todo:
            found = todo.pop()
            keep.add(found.digest)
            if found.media_type in DOCUMENT_TYPES and found.digest not in followed:
                followed.add(found.digest)
                todo.extend(_children(backend, row, found))
    return keep


def _children(backend: Backend, row: Row, document: Descriptor) -> tuple[Descriptor, ...]:
    try:
        return children(read_blob(backend, document), f"document {document.digest}")
    except (StoreError, FormatError) as error:
        # An image index may name manifests that were never copied here (OCI's sparse index).
        if isinstance(error, MissingBlobError) and document is not row.descriptor:
            return ()
        raise StoreError(
            f"cannot collect in {backend}: what {row.label} needs cannot be told, so nothing was deleted: {error}"
        ) from error


def check(backend: Backend, progress: Progress | None = None) -> tuple[Problem, ...]:
    """Read every blob and every document; return all that is wrong, sorted."""
    scrub = _Scrub(backend)
    scrub.layout()
    rows = scrub.rows()
    scrub.hash_all(progress)
    # What others publish and remove meanwhile is left out: only what was there all the time can be judged.
    still = scrub.rows()
    scrub.walk([row for row in rows if row in still])
    scrub.report()
    return tuple(sorted(set(scrub.problems), key=lambda each: (each.path, each.kind, each.detail)))


class _Scrub:
    def __init__(self, backend: Backend) -> None:
        self.problems: list[Problem] = []
        self._backend = backend
        self._sizes: dict[Digest, int] = {}
        self._bad: dict[Digest, tuple[str, str]] = {}
        self._missing: set[Digest] = set()
        self._misdeclared: dict[tuple[Digest, int], list[str]] = {}
        self._users: dict[Digest, list[str]] = {}

    def layout(self) -> None:
        if isinstance(self._backend, Housekeeping):
            self.problems.extend(Problem(*found) for found in self._backend.oddities())

    def rows(self) -> tuple[Row, ...]:
        try:
            index = load_index(self._backend)
        except StoreError as error:
            self.problems.append(Problem("damaged", "index.json", str(error)))
            return ()
        return index.rows if index else ()

    def hash_all(self, progress: Progress | None) -> None:
        from concurrent.futures import ThreadPoolExecutor

        for digest in self._backend.digests():
            try:
                self._sizes[digest] = self._backend.size(digest)
            except MissingBlobError:
                continue  # collected meanwhile
        total, done = sum(self._sizes.values()), 0
        with ThreadPoolExecutor(2) as pool:
            for digest, wrong in zip(self._sizes, pool.map(self._hash, self._sizes), strict=True):
                if wrong:
                    self._bad[digest] = wrong
                done += self._sizes[digest]
                if progress:
                    progress("check", done, total)
        for digest in [each for each, (kind, _) in self._bad.items() if kind == "missing"]:
            del self._bad[digest], self._sizes[digest]

    def _hash(self, digest: Digest) -> tuple[str, str] | None:
        """What is wrong with a blob by itself: kind and detail."""
        actual = sha256()
        try:
            with self._backend.open(digest) as file:
                while data := file.read(_CHUNK):
                    actual.update(data)
        except MissingBlobError:
            return "missing", "collected meanwhile"
        except OSError as error:
            return "unreadable", str(error)
        if actual.hexdigest() != digest.hex:
            return "damaged", f"its content is sha256:{actual.hexdigest()}"
        return None

    def walk(self, rows: list[Row]) -> None:
        """Follow the index, and note who needs what."""
        for row in rows:
            if row.descriptor is not None and self._need(row.descriptor, row.label):
                try:
                    self._row(row, row.descriptor)
                except (StoreError, FormatError) as error:
                    self.problems.append(Problem("damaged", row.descriptor.digest, f"{error}; needed by {row.label}"))

    def _row(self, row: Row, document: Descriptor) -> None:
        snapshot = snapshot_of(self._backend, row)
        if snapshot is None:
            self._foreign(row, document)
            return
        label = row.name or snapshot.short
        manifest = decode_manifest(read_blob(self._backend, document), f"manifest {document.digest}")
        if manifest.config.digest != snapshot:
            detail = f"the index says that {label} is {snapshot}, its manifest says {manifest.config.digest}"
            self.problems.append(Problem("damaged", document.digest, detail))
        for blob in manifest.content.values():
            self._need(blob, label)
        if self._need(manifest.config, label):
            self._config(manifest, label)

    def _config(self, manifest: Manifest, label: str) -> None:
        try:
            data = read_blob(self._backend, manifest.config)
            snapshot = decode_snapshot(data, f"config {manifest.config.digest}")
        except (StoreError, FormatError) as error:
            self.problems.append(Problem("damaged", manifest.config.digest, f"{error}; needed by {label}"))
            return
        for layer in snapshot.layers:
            for what, digest in (("tar", layer.diff_id), ("tree", layer.tree)):
                if digest not in manifest.content:
                    detail = f"the manifest of {label} has no blob for the {what} of the layer {layer.label}"
                    self.problems.append(Problem("missing", digest, detail))

    def _foreign(self, row: Row, document: Descriptor) -> None:
        """What is not ours may be incomplete (OCI allows that); what is there must be right."""
        if document.media_type in DOCUMENT_TYPES:
            for found in children(read_blob(self._backend, document), f"document {document.digest}"):
                self._users.setdefault(found.digest, []).append(row.label)

    def _need(self, blob: Descriptor, label: str) -> bool:
        """Note that `label` needs the blob; tell whether it can be read."""
        self._users.setdefault(blob.digest, []).append(label)
        if blob.digest not in self._sizes:
            self._missing.add(blob.digest)
            return False
        if blob.digest in self._bad:
            return False
        if self._sizes[blob.digest] != blob.size:
            self._misdeclared.setdefault((blob.digest, blob.size), []).append(label)
            return False
        return True

    def report(self) -> None:
        for digest in self._missing:
            self.problems.append(Problem("missing", digest, self._whose(digest)))
        for digest, (kind, detail) in self._bad.items():
            self.problems.append(Problem(kind, digest, f"{detail}; {self._whose(digest)}"))
        for (digest, size), labels in self._misdeclared.items():
            detail = f"it has {self._sizes[digest]} bytes, but {size} are declared; needed by {_names(labels)}"
            self.problems.append(Problem("damaged", digest, detail))

    def _whose(self, digest: Digest) -> str:
        users = self._users.get(digest)
        return f"needed by {_names(users)}" if users else "no snapshot needs it: a collection removes it"


def _names(labels: list[str]) -> str:
    return summarise(sorted(set(labels)))
