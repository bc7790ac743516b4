"""How large snapshots are: one by its layers, and all versions of a name together, each blob counted once."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from snapshot.pending import pending_since
from snapshot.requiring import required, requires_of_metadata
from snapshot.saving import Saving, Weighed, savings
from snapshot.store.manifest import FACTS_TYPE, LAYER_TYPE, RECORD_TYPE, TREE_TYPE
from snapshot.store.reading import DamagedBlobError
from snapshot.store.store import UnknownSnapshotError
from snapshot.tars import Tars, blob_of
from snapshot.trees import StoredTrees
from snapshot.unpack import read_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from snapshot.digest import Digest
    from snapshot.model import Entry, Layer, Snapshot, Tree
    from snapshot.requiring import Required
    from snapshot.store.manifest import Manifest, Reference
    from snapshot.store.store import Store

_METADATA = re.compile(r"[^/]\.dist-info/METADATA\Z")
#: Bytes. METADATA holds a description too, but nothing that is larger than this.
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class LayerSize:
    """A layer and the bytes of its blob. `delta`: the blob is made against another layer. A blob that several layers share
    counts for the first of them.
    """

    layer: Layer
    packed_bytes: int
    delta: bool


@dataclass(frozen=True, slots=True)
class SnapshotSizes:
    """What a snapshot weighs. `packed_bytes`, what an empty node must fetch, is the sum of three: the layers, the largest
    first; `base_bytes`, blobs that are there because deltas need them; `other_bytes`: manifest, config, trees, record and facts.
    """

    name: str | None
    snapshot: Digest
    layers: tuple[LayerSize, ...]
    base_bytes: int
    other_bytes: int
    packed_bytes: int
    raw_bytes: int
    savings: tuple[Saving, ...]


@dataclass(frozen=True, slots=True)
class VersionSize:
    """One version of a name. `added_bytes`: what it brought on top of the versions before it; `total_bytes`: all up to it."""

    name: str
    snapshot: Digest
    created: str
    packed_bytes: int
    added_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What the versions after the first one added for one distribution (or other part): its layers and their bytecode."""

    name: str
    versions: int
    added_bytes: int


@dataclass(frozen=True, slots=True)
class NameSizes:
    """All versions of a name, oldest first, and what grew most. `total_bytes` has each blob once."""

    name: str
    versions: tuple[VersionSize, ...]
    total_bytes: int
    growth: tuple[Growth, ...]


class Blob(NamedTuple):
    """A blob of a version: `part` is the name of the layer that it holds; `base` whether it only serves deltas."""

    digest: Digest
    size: int
    part: str | None
    base: bool


@dataclass(frozen=True, slots=True)
class Version:
    """What `versions_of` looks at: a snapshot of the store, or one that is about to be published. `digest` is its manifest's."""

    name: str
    created: str
    digest: Digest
    manifest: Manifest
    snapshot: Snapshot

    def blobs(self) -> Iterator[Blob]:
        """Every blob of it, the manifest among them."""
        yield Blob(self.digest, self.manifest.size, None, base=False)
        yield Blob(self.manifest.config.digest, self.manifest.config.size, None, base=False)
        names = {layer.diff_id: layer.name for layer in self.snapshot.layers}
        bases = bases_of(self.snapshot, self.manifest)
        for content, blob in self.manifest.content.items():
            yield Blob(blob.digest, blob.size, names.get(content), base=content in bases)


def family(name: str) -> str:
    """The part of a name before its version: what has a budget."""
    return name.partition("/")[0]


def members(name: str, store: Store) -> tuple[Reference, ...]:
    """The references `NAME` and `NAME/VERSION`, oldest first; what is being registered is no version yet (`snapshot.pending`)."""
    named = [(each, each.name) for each in store.references() if each.name is not None]
    return tuple(each for each, own in named if family(own) == name and pending_since(own) is None)


def sizes(reference: str, store: Store) -> SnapshotSizes:
    """What the snapshot that `reference` means is made of, by size, and what could be left out of it.

    Reads its trees and, for what the distributions require, the beginning of its layers. Raises UnknownSnapshotError,
    AmbiguousSnapshotError, DamagedBlobError.
    """
    found = store.resolve(reference)
    manifest, snapshot = store.manifest(found), store.snapshot(found)
    trees = StoredTrees(store, manifest, snapshot)
    weighed = [
        Weighed(
            layer,
            blob_of(manifest.content, layer.diff_id, layer.label).size,
            [(entry.path, entry.size) for entry in trees[layer.tree] if entry.type == "f"],
        )
        for layer in snapshot.layers
    ]
    requires = _stored_requirements(store, manifest, snapshot, trees)
    return weigh(found.name, snapshot, manifest, savings(snapshot, weighed, requires))


def weigh(name: str | None, snapshot: Snapshot, manifest: Manifest, found: tuple[Saving, ...]) -> SnapshotSizes:
    """The sizes alone, of a snapshot in the store or of one that is about to be. Pure."""
    seen: set[Digest] = set()

    def once(content: Digest) -> int:
        blob = manifest.content[content]
        if blob.digest in seen:
            return 0
        seen.add(blob.digest)
        return blob.size

    rows = []
    for layer in snapshot.layers:
        delta = blob_of(manifest.content, layer.diff_id, layer.label).media_type != LAYER_TYPE
        rows.append(LayerSize(layer, once(layer.diff_id), delta))
    base_bytes = sum(map(once, bases_of(snapshot, manifest)))
    packed = manifest.packed_bytes
    return SnapshotSizes(
        name=name,
        snapshot=manifest.config.digest,
        layers=tuple(sorted(rows, key=lambda row: (-row.packed_bytes, row.layer.sort_key))),
        base_bytes=base_bytes,
        other_bytes=packed - base_bytes - sum(row.packed_bytes for row in rows),
        packed_bytes=packed,
        raw_bytes=snapshot.raw_bytes,
        savings=found,
    )


def growth(name: str, store: Store) -> NameSizes:
    """What the versions of a name weigh together: those captured as `NAME` and as `NAME/VERSION`.

    Raises UnknownSnapshotError when there is none, DamagedBlobError and MissingBlobError when one cannot be read.
    """
    found = members(family(name), store)
    if not found:
        store.resolve(name)  # says what there is, when there is nothing of that kind
        raise UnknownSnapshotError(f"{name!r} is a snapshot in {store}, and not the name of any; it has no versions")
    return versions_of(family(name), [version(store, each) for each in found])


def version(store: Store, reference: Reference) -> Version:
    return Version(
        reference.label,
        reference.created,
        reference.manifest.digest,
        store.manifest(reference),
        store.snapshot(reference),
    )


def versions_of(name: str, versions: Iterable[Version]) -> NameSizes:
    """The same of `versions` in their order. Pure."""
    listed = list(versions)
    blobs = [tuple(each.blobs()) for each in listed]
    # A blob was brought by the first version that has its content, not by one that only needs it as a base: `optimize` makes
    # older versions depend on newer ones.
    brought: dict[Digest, int] = {}
    for base in (False, True):
        for number, found in enumerate(blobs):
            for blob in found:
                if blob.base is base:
                    brought.setdefault(blob.digest, number)
    rows: list[VersionSize] = []
    added: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    total = 0
    for number, each in enumerate(listed):
        new = {blob.digest: blob for blob in reversed(blobs[number]) if brought[blob.digest] == number}
        fresh = sum(blob.size for blob in new.values())
        total += fresh
        if number:
            parts: Counter[str] = Counter()
            for blob in new.values():
                if blob.part is not None:
                    parts[blob.part] += blob.size
            added.update(parts)
            changed.update(parts.keys())
        config, packed = each.manifest.config.digest, each.manifest.packed_bytes
        rows.append(VersionSize(each.name, config, each.created, packed, fresh, total))
    grown = [Growth(part, changed[part], size) for part, size in added.items() if size]
    return NameSizes(name, tuple(rows), total, tuple(sorted(grown, key=lambda one: (-one.added_bytes, one.name))))


def bases_of(snapshot: Snapshot, manifest: Manifest) -> set[Digest]:
    """Content that the manifest lists although no layer of the snapshot is it: deltas need it."""
    own = {content for layer in snapshot.layers for content in (layer.diff_id, layer.tree)}
    return {
        content
        for content, blob in manifest.content.items()
        if content not in own and blob.media_type not in (TREE_TYPE, RECORD_TYPE, FACTS_TYPE)
    }


class _Enough(Exception):  # noqa: N818 - a signal within this module
    """The file that was looked for has been read."""


def _stored_requirements(
    store: Store, manifest: Manifest, snapshot: Snapshot, trees: Mapping[Digest, Tree]
) -> dict[str, Required] | None:
    """What each distribution requires. None unless that is known of all: then nothing can be said of any."""
    found: dict[str, Required] = {}
    tars = Tars(store, manifest.content)
    for layer in snapshot.distributions:
        tree = trees[layer.tree]
        entry = next((entry for entry in tree if _METADATA.search(entry.path)), None)
        if entry is None or entry.type != "f" or entry.size > _LARGEST:
            return None
        text = _read_one(tars, layer, tree, entry).decode("utf-8", "replace")
        found[layer.name] = required(requires_of_metadata(text), snapshot.interpreter)
    return found


def _read_one(tars: Tars, layer: Layer, tree: Tree, wanted: Entry) -> bytes:
    """One file of a layer, verified; what comes after it is not read."""
    data = bytearray()

    def take(entry: Entry, pieces: Iterator[memoryview]) -> None:
        for piece in pieces:
            if entry is wanted:
                data.extend(piece)
        if entry is wanted:
            raise _Enough

    with suppress(_Enough):
        read_layer(tars.chunks(layer.diff_id, layer.label), layer, tree, layer.diff_id, take)
    if sha256(data).hexdigest() != wanted.sha256:
        raise DamagedBlobError(f"layer {layer.label}: {wanted.path!r} does not have the digest of its tree")
    return bytes(data)
