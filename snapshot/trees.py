"""Read what a snapshot says of its files: trees, the capture record and the facts, verified, when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from snapshot.apart import decode_apart, only
from snapshot.codec import unpack_small
from snapshot.digest import Digest
from snapshot.documents import FormatError, digest_of
from snapshot.home import HOME
from snapshot.model import LARGEST_NOTE, Kind, Tree
from snapshot.serialize import decode_record, decode_snapshot, decode_tree
from snapshot.store.errors import MissingBlobError
from snapshot.store.manifest import FACTS_TYPE, RECORD_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.description import Description
    from snapshot.digest import Descriptor
    from snapshot.facts.model import Facts
    from snapshot.model import Entry, Record, Snapshot
    from snapshot.store.manifest import Manifest
    from snapshot.store.store import Store


def read_content(store: Store, blobs: Mapping[Digest, Descriptor], content: Digest, what: str) -> bytes:
    """The uncompressed bytes whose digest is `content`, verified against it. For trees, records and facts. `blobs` says which blob
    holds what (`Manifest.content`, `Store.contents`).
    """
    if content not in blobs:
        raise MissingBlobError(f"{what}: the manifest has no blob for {content}; copy or capture the snapshot again")
    data = unpack_small(store.read(blobs[content]), what)
    if digest_of(data) != content:
        raise FormatError(f"{what}: its content is not {content}; capture the snapshot again")
    return data


def read_tree(store: Store, blobs: Mapping[Digest, Descriptor], digest: Digest, label: str) -> Tree:
    return decode_tree(read_content(store, blobs, digest, f"tree of {label}"), f"tree of {label}")


def read_record(store: Store, manifest: Manifest) -> Record | None:
    """The capture record, when the manifest has one: it is no part of the snapshot's identity."""
    for content, descriptor in manifest.content.items():
        if descriptor.media_type == RECORD_TYPE:
            return decode_record(read_content(store, manifest.content, content, "capture record"))
    return None


def read_facts(store: Store, manifest: Manifest) -> Facts:
    """What the capture found out beyond the files; nothing where an earlier envparity made the snapshot. Like the record, the
    facts are no part of its identity.
    """
    # Not above: a restore and a verification read trees, and no facts.
    from snapshot.description import NO_FACTS
    from snapshot.facts.document import decode_facts

    for content, descriptor in manifest.content.items():
        if descriptor.media_type == FACTS_TYPE:
            return decode_facts(read_content(store, manifest.content, content, "facts"))
    return NO_FACTS


def read_note(store: Store, reference: str, name: str) -> bytes | None:
    """The note `name` of the snapshot that `reference` means, verified, without restoring anything; None where it has none.

    Raises UnknownSnapshotError, AmbiguousSnapshotError, DamagedBlobError, DamagedLayerError, MissingBlobError.
    """
    from snapshot.tars import Tars, blob_of  # only a note needs the layers' bytes
    from snapshot.unpack import read_layer

    found = store.resolve(reference)
    manifest, snapshot = store.manifest(found), store.snapshot(found)
    layer = next((one for one in snapshot.layers if one.kind is Kind.MODEL and one.mount == HOME), None)
    if layer is None:
        return None
    tree = read_tree(store, manifest.content, layer.tree, layer.label)
    read: dict[str, bytes] = {}

    def take(entry: Entry, pieces: Iterator[memoryview]) -> None:
        if entry.path != name:
            for _ in pieces:
                pass
        elif entry.size > LARGEST_NOTE:
            raise FormatError(f"{layer.label}: {name!r} has {entry.size:,} bytes, over {LARGEST_NOTE:,}: it is no note")
        else:
            data = b"".join(map(bytes, pieces))
            if digest_of(data).hex != entry.sha256:
                raise FormatError(f"{layer.label}: {name!r} does not have the digest of its tree; capture it again")
            read[name] = data

    blob = blob_of(manifest.content, layer.diff_id, layer.label)
    chunks = Tars(store, manifest.content).chunks(layer.diff_id, layer.label)
    read_layer(chunks, layer, tree, blob.digest, take)
    return read.get(name)


class EncodedTrees(Mapping[Digest, Tree]):
    """The trees of a snapshot's layers as bytes; one is decoded when it is first asked for."""

    def __init__(self, read: dict[Digest, Tree]) -> None:
        self._read = read

    def __getitem__(self, digest: Digest) -> Tree:
        if digest not in self._read:
            self._read[digest] = decode_tree(self.content(digest), f"tree {digest.short}")
        return self._read[digest]

    @abstractmethod
    def content(self, digest: Digest) -> bytes:
        """A tree's bytes, verified against its digest. Raises KeyError where there is no such tree."""


class HeldTrees(EncodedTrees):
    """The trees of a live environment: `encoded` has all of them, `read` those of which the entries are at hand."""

    def __init__(self, encoded: Mapping[Digest, bytes], read: dict[Digest, Tree]) -> None:
        super().__init__(read)
        self._encoded = encoded

    def content(self, digest: Digest) -> bytes:
        return self._encoded[digest]

    def __iter__(self) -> Iterator[Digest]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


class StoredTrees(EncodedTrees):
    """The trees of a stored snapshot; one is read from the store when it is first asked for."""

    def __init__(self, store: Store, manifest: Manifest, snapshot: Snapshot) -> None:
        super().__init__({})
        self._store = store
        self._manifest = manifest
        self._labels = {layer.tree: layer.label for layer in snapshot.layers}

    def __getitem__(self, digest: Digest) -> Tree:
        if digest not in self._read:
            self._read[digest] = read_tree(self._store, self._manifest.content, digest, self._labels[digest])
        return self._read[digest]

    def content(self, digest: Digest) -> bytes:
        return read_content(self._store, self._manifest.content, digest, f"tree of {self._labels[digest]}")

    def __iter__(self) -> Iterator[Digest]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


def apart(
    trees: Mapping[Digest, Tree], tree: Digest, others: Mapping[Digest, Tree], other: Digest
) -> tuple[Tree, Tree]:
    """The entries of two trees that are not the very same in both. Raises KeyError for a tree that is not there."""
    if isinstance(trees, EncodedTrees) and isinstance(others, EncodedTrees):
        return decode_apart(trees.content(tree), others.content(other), f"tree {tree.short} or {other.short}")
    mine, yours = trees[tree], others[other]
    return only(mine, yours), only(yours, mine)


def load(reference: str, store: Store) -> Description:
    """The description of a stored snapshot. Trees are read when they are asked for."""
    from snapshot.description import Description

    found = store.resolve(reference)
    manifest = store.manifest(found)
    snapshot = decode_snapshot(store.read(manifest.config), f"config {manifest.config.digest}")
    record = read_record(store, manifest)
    findings = record.findings if record is not None else ()
    return Description(snapshot, StoredTrees(store, manifest, snapshot), findings, read_facts(store, manifest))
