"""The store of snapshots: references, verified reads, and batches that are published as a whole."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snapshot.documents import FormatError
from snapshot.errors import SnapshotError, summarise
from snapshot.pending import pending_since
from snapshot.store.directory import DirectoryBackend
from snapshot.store.errors import MissingBlobError, StoreError
from snapshot.store.manifest import (
    EMPTY,
    Manifest,
    Reference,
    Row,
    check_name,
    decode_manifest,
    encode_reference,
    reference_of,
    with_reference,
    without,
)
from snapshot.store.reading import VerifyingReader, load_index, open_blob, read_blob, snapshot_of
from snapshot.store.removed import replace_index

# What finds a snapshot is imported here: a warm restore needs no more. What writes, collects and lists is imported by the methods
# that do that.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from snapshot.digest import Descriptor, Digest
    from snapshot.model import Snapshot
    from snapshot.progress import Progress
    from snapshot.store.backend import Backend
    from snapshot.store.batch import Batch
    from snapshot.store.contents import Contents
    from snapshot.store.scrub import Collected, Problem
    from snapshot.store.summary import Summary

#: Seconds for which a collection spares what was removed, and what was written with nothing referring to it yet.
GRACE = 3600.0

_PREFIX = r"(?:sha256:)?([0-9a-f]{4,64})\Z"


class UnknownSnapshotError(SnapshotError, LookupError):
    """Text that no snapshot in the store answers to."""


class AmbiguousSnapshotError(SnapshotError, LookupError):
    """Text that several snapshots in the store answer to."""


class NoCacheError(SnapshotError, ValueError):
    """A store that was opened without a cache directory, and something that needs one."""


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

    def variables_key(self, *, make: bool = False) -> bytes | None:
        """The key for digests of environment variables; None when there is none (a store in memory never has one).

        `make`: whether to make one then. Raises StoreError.
        """
        from snapshot.store.secret import read_key

        return read_key(self.backend.path, make=make) if isinstance(self.backend, DirectoryBackend) else None

    def references(self) -> tuple[Reference, ...]:
        """Every snapshot in the index, in the order of capture. What is no snapshot is left out."""
        return self._references(self._rows())

    def resolve(self, text: str) -> Reference:
        """The reference that `text` means: a name, the newest version of a name, an id, or the beginning of an id.

        What is being registered is no version yet (`snapshot.pending`).
        """
        rows = self._rows()
        named = [row for row in rows if row.name == text]
        versions = [
            row for row in rows if row.name and row.name.startswith(f"{text}/") and pending_since(row.name) is None
        ]
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
        from snapshot.serialize import decode_snapshot

        config = self.manifest(reference).config
        return decode_snapshot(self.read(config), f"config {config.digest}")

    def summary(self, reference: Reference) -> Summary:
        """What a list says of a snapshot: a fraction of the time that `snapshot` takes, and as well verified."""
        from snapshot.store.summary import summarise_manifest

        try:
            found = summarise_manifest(self.backend, reference)
        except MissingBlobError:
            found = summarise_manifest(self.backend, self._rewritten(reference))
        if found is None:
            self.snapshot(reference)  # says what is wrong with it
            raise FormatError(f"{reference.label} in {self} cannot be summarised; envparity check says what is wrong")
        return found

    def read(self, descriptor: Descriptor) -> bytes:
        """A whole blob, verified."""
        return read_blob(self.backend, descriptor)

    def open(self, descriptor: Descriptor) -> VerifyingReader:
        """A blob as a stream that is verified by the time its last byte comes."""
        return open_blob(self.backend, descriptor)

    def has(self, digest: Digest) -> bool:
        return self.backend.has(digest)

    def contents(self) -> Contents:
        """Content digest (diff_id, tree, record) to the blob that holds it, over all snapshots.

        What it says was true when the snapshots were published: ask `has` before relying on a blob.
        """
        from snapshot.store.contents import Contents

        manifests = {each.manifest.digest: each.manifest for each in self.references()}

        def read(digest: Digest) -> bytes | None:
            try:
                return read_blob(self.backend, manifests[digest])
            except StoreError:
                return None  # `check` reports it; nothing needs to be shared with it

        return Contents(manifests, read, self._cache)

    @contextmanager
    def begin(self) -> Iterator[Batch]:
        """Start to publish a snapshot. What is not published when the context ends leaves no trace."""
        from snapshot.store.batch import Batch

        with self.backend.staging() as staging:
            yield Batch(self, staging)

    def remove(self, name_or_id: str) -> Reference:
        """Take a reference out of the index: an exact name, or the id of a snapshot that has one reference only.

        Blobs stay until `collect`.
        """
        self._removable(name_or_id)  # a store that is not there is not made by this
        with self.backend.lock():
            rows, reference = self._removable(name_or_id)
            index = load_index(self.backend) or EMPTY
            replace_index(self.backend, index, without(index, rows))
        return reference

    def remove_all(self, choose: Callable[[tuple[Reference, ...]], Iterable[Reference]]) -> tuple[Reference, ...]:
        """Take out, in one step, what `choose` picks of all references; it is called with the store locked.

        What is picked must be among those that it was given. Blobs stay until `collect`. Returns what was taken out.
        """
        with self.backend.lock():
            index = load_index(self.backend) or EMPTY
            chosen = tuple(choose(self._references(index.rows)))
            keys = set(map(_key, chosen))
            gone = tuple(row for row in index.rows if (each := self._reference(row)) and _key(each) in keys)
            if gone:
                replace_index(self.backend, index, without(index, gone))
        return chosen

    def bytes_only_of(self, references: Iterable[Reference]) -> int | None:
        """Bytes of the blobs that these need, and nothing else in the index. None: a manifest is damaged, and hides it.

        Whether the index has them still, or had them before, makes no difference.
        """
        from snapshot.store.scrub import only_of

        given = tuple(references)
        keys = set(map(_key, given))
        others = [row for row in self._rows() if (each := self._reference(row)) is None or _key(each) not in keys]
        return only_of(self.backend, [encode_reference(each) for each in given], others)

    def tag(self, name_or_id: str, name: str) -> Reference:
        """Give a snapshot one more name, and return it. It counts as old as the snapshot: no newer version comes of it.

        A name that is there moves; a snapshot that had no other stays, without a name. Raises InvalidNameError,
        NameTakenError, UnknownSnapshotError and AmbiguousSnapshotError.
        """
        check_name(name)
        self.resolve(name_or_id)  # a store that is not there is not made by this
        with self.backend.lock():
            index = load_index(self.backend) or EMPTY
            found = self.resolve(name_or_id)
            new = Reference(name, found.snapshot, found.manifest, found.created)
            changed, reference = with_reference(index, new, self.identify)
            if changed is not index:
                replace_index(self.backend, index, changed)
        return reference

    def collect(self, *, grace: float = GRACE, dry_run: bool = False) -> Collected:
        """Delete the blobs that nothing in the index reaches, and what killed processes left.

        What was removed, or written with nothing referring to it yet, less than `grace` seconds ago stays. A dry run
        changes nothing.
        """
        from snapshot.store.scrub import collect

        return collect(self.backend, grace=grace, dry_run=dry_run)

    def check(self, progress: Progress | None = None) -> tuple[Problem, ...]:
        """Read everything and report all that is wrong."""
        from snapshot.store.scrub import check

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


def _newest(references: list[Reference]) -> Reference:
    """Of those created in the same second the one that is later in the index: that is the order of publishing."""
    return sorted(references, key=lambda each: each.created)[-1]


def _key(reference: Reference) -> tuple[str | None, Digest, str]:
    return reference.name, reference.manifest.digest, reference.created


def _begins(reference: Reference, text: str) -> bool:
    match = re.match(_PREFIX, text)
    return match is not None and reference.snapshot.hex.startswith(match[1])


def _listing(references: tuple[Reference, ...] | list[Reference]) -> str:
    """The newest first: these are the likelier ones."""
    return summarise(
        f"{each.name} ({each.snapshot.short})" if each.name else each.snapshot.short for each in reversed(references)
    )
