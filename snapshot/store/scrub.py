"""The store's housekeeping: delete what nothing refers to, and read everything to see whether it is right."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from snapshot.digest import Descriptor, Digest
from snapshot.documents import FormatError, canonical
from snapshot.errors import summarise
from snapshot.serialize import decode_snapshot
from snapshot.store.errors import MissingBlobError, StoreError
from snapshot.store.manifest import (
    DOCUMENT_TYPES,
    MANIFEST_TYPE,
    Manifest,
    Row,
    children,
    decode_manifest,
    encode_descriptor,
    identify,
)
from snapshot.store.reach import reach
from snapshot.store.reading import load_index, read_blob, snapshot_of
from snapshot.store.removed import FILE as REMOVED
from snapshot.store.removed import is_over, load_removed, replace_removed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from snapshot.progress import Progress
    from snapshot.store.backend import Backend
    from snapshot.store.manifest import Index

_CHUNK = 1 << 20
#: Bytes of the largest manifest: those of a thousand layers have a third of it.
_LARGEST_MANIFEST = 4 << 20

#: What a store says that has lost its index.
LOST = (
    "snapshots were published, and nothing says under which names; put a copy of index.json in its place before the next capture, "
    "since after that gc deletes what is not in it"
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection deleted: blobs, their bytes, and staging areas of processes that are gone.

    `kept_blobs`, `kept_bytes`: what nothing needs, but stays because of the grace period; all of it can go at `kept_until`
    (seconds since the epoch, None when nothing was kept). `removed`: the removed snapshots whose time is over, by name
    where they had one. `named`: every digest that kept documents name; what else lies on a node is not needed. None:
    there is no index.
    """

    blobs: int
    bytes: int
    staging: int
    kept_blobs: int = 0
    kept_bytes: int = 0
    kept_until: int | None = None
    removed: tuple[str, ...] = ()
    named: frozenset[str] | None = field(default=None, repr=False, compare=False)


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


def collect(backend: Backend, *, grace: float, dry_run: bool = False) -> Collected:
    """Delete the blobs that no row of the index reaches. Staged blobs are not in the store yet, so they are safe.

    For `grace` seconds after a removal the blobs that it gave up stay, and so do blobs that were written so lately that
    somebody may be about to refer to them. A dry run deletes nothing, and does not look for staging areas.
    Without an index nothing is deleted: it may be lost, and then the blobs are all that is left.
    """
    with nullcontext() if dry_run else backend.lock():
        staging = backend.sweep() if isinstance(backend, Housekeeping) and not dry_run else 0
        index = load_index(backend)
        if index is None:
            return Collected(0, 0, staging)
        sentence = _Sentence(backend, index, grace)
        done = sentence.carry_out(dry_run=dry_run)
        if sentence.expired and not dry_run:
            # Last, so that a disk that is full does not keep a collection from making room.
            replace_removed(backend, sentence.young)
    return replace(done, staging=staging)


class _Sentence:
    """Which blobs stay, and until when."""

    def __init__(self, backend: Backend, index: Index, grace: float) -> None:
        self._backend = backend
        self._grace = grace
        self._now = time.time()
        self._needed = reach(backend, index.rows)
        self._snapshots = {row.snapshot for row in index.rows}
        removed = load_removed(backend)
        self.young = [each for each in removed if not is_over(each, grace, self._now)]
        self.expired = [each for each in removed if is_over(each, grace, self._now)]
        self._spared: dict[str, float] = {}
        for each in sorted(self.young, key=lambda one: one.removed):
            # One whose manifest cannot be read has nothing left to spare.
            self._spared.update(dict.fromkeys(reach(backend, [each.row], lenient=True), each.removed + grace))

    def carry_out(self, *, dry_run: bool) -> Collected:
        blobs = size = kept = kept_size = 0
        until = 0.0
        for digest in [each for each in self._backend.digests() if each not in self._needed]:
            try:
                length, stays = self._backend.size(digest), self._stays_until(digest)
            except MissingBlobError:
                continue  # a dry run holds no lock
            if stays is not None:
                kept, kept_size, until = kept + 1, kept_size + length, max(until, stays)
                continue
            if not dry_run:
                self._backend.delete(digest)
            blobs, size = blobs + 1, size + length
        return Collected(
            blobs,
            size,
            0,
            kept,
            kept_size,
            math.ceil(until) if kept else None,
            self._names(),
            frozenset(self._needed | self._spared.keys()),
        )

    def _stays_until(self, digest: Digest) -> float | None:
        if self._grace <= 0:
            return None
        until = max(self._spared.get(digest, 0.0), self._backend.modified(digest) + self._grace)
        return until if until > self._now else None

    def _names(self) -> tuple[str, ...]:
        """The removed snapshots that nothing keeps any longer. One that another row has, or has again, is not gone."""
        rows = [each.row for each in self.expired if each.row.snapshot not in self._snapshots]
        return tuple(dict.fromkeys(row.label for row in rows))


def forget(backend: Backend, manifests: Iterable[Descriptor]) -> tuple[int, int]:
    """Delete the blobs of `manifests`, and these themselves, that neither the index nor a removed row needs.

    For whoever has put others in their place. There is no grace: what still reads them finds blobs gone. Call it with the
    lock held. Returns how many blobs that were, and their bytes. Raises StoreError when what is needed cannot be told.
    """
    index = load_index(backend)
    if index is None:
        return 0, 0  # lost: then the blobs are all that is left
    needed = reach(backend, index.rows)
    needed |= reach(backend, [each.row for each in load_removed(backend)], lenient=True)
    given = reach(backend, [Row(encode_descriptor(each), each) for each in manifests], lenient=True)
    blobs = size = 0
    for digest in sorted(given - needed):
        found = Digest(digest)
        if backend.has(found):
            size += backend.size(found)
            backend.delete(found)
            blobs += 1
    return blobs, size


def only_of(backend: Backend, rows: Iterable[Row], others: Iterable[Row]) -> int | None:
    """Bytes of the blobs that `rows` need and `others` do not. None when that cannot be told: a document is damaged."""
    try:
        digests = reach(backend, rows) - reach(backend, others)
    except StoreError:
        return None
    total = 0
    for digest in map(Digest, digests):
        # What they name and the store has not is the content of blobs, or was collected meanwhile.
        with suppress(MissingBlobError):
            total += backend.size(digest)
    return total


def check(backend: Backend, progress: Progress | None = None) -> tuple[Problem, ...]:
    """Read every blob and every document; return all that is wrong, sorted."""
    scrub = _Scrub(backend)
    scrub.layout()
    rows = scrub.rows()
    scrub.hash_all(progress)
    # What others publish and remove meanwhile is left out: only what was there all the time can be judged.
    still = {canonical(row.raw) for row in scrub.rows()}
    scrub.walk([row for row in rows if canonical(row.raw) in still])
    scrub.report()
    return tuple(sorted(set(scrub.problems), key=lambda each: (each.path, each.kind, each.detail)))


def published(backend: Backend) -> bool:
    """Whether any snapshot has been published, whatever the index says: whether a blob is the manifest of one."""
    return any(_is_manifest(backend, digest) for digest in backend.digests())


def _is_manifest(backend: Backend, digest: Digest) -> bool:
    with suppress(StoreError, FormatError):
        size = backend.size(digest)
        if size <= _LARGEST_MANIFEST:
            return identify(read_blob(backend, Descriptor(MANIFEST_TYPE, digest, size)), str(digest)) is not None
    return False


class _Scrub:
    def __init__(self, backend: Backend) -> None:
        self.problems: list[Problem] = []
        self._backend = backend
        self._sizes: dict[Digest, int] = {}
        self._bad: dict[Digest, tuple[str, str]] = {}
        self._missing: set[Digest] = set()
        self._misdeclared: dict[tuple[Digest, int], list[str]] = {}
        self._users: dict[Digest, list[str]] = {}
        #: Whether it can be told who needs what.
        self._told = False

    def layout(self) -> None:
        if isinstance(self._backend, Housekeeping):
            self.problems.extend(Problem(*found) for found in self._backend.oddities())
        try:
            load_removed(self._backend)
        except StoreError as error:
            self.problems.append(Problem("damaged", REMOVED, str(error)))

    def rows(self) -> tuple[Row, ...]:
        try:
            index = load_index(self._backend)
        except StoreError as error:
            self.problems.append(Problem("damaged", "index.json", str(error)))
            return ()
        if index is None and published(self._backend):
            self.problems.append(Problem("missing", "index.json", LOST))
        self._told = index is not None
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
        if users:
            return f"needed by {_names(users)}"
        return "no snapshot needs it: a collection removes it" if self._told else "whose it is cannot be told"


def _names(labels: list[str]) -> str:
    return summarise(sorted(set(labels)))
