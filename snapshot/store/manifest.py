"""The store's OCI documents, manifest and index, as values: JSON to dataclasses and back. No I/O.

An index is kept as it was read: rows that are not ours, and keys and annotations that we do not know, go back as they came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from snapshot.digest import Descriptor, Digest, InvalidDigestError
from snapshot.documents import FormatError, Reader, canonical, parse
from snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
ARTIFACT_TYPE = "application/vnd.envparity.snapshot.v1+json"
CONFIG_TYPE = "application/vnd.envparity.snapshot.config.v1+json"
TREE_TYPE = "application/vnd.envparity.tree.v1+json+zstd"
RECORD_TYPE = "application/vnd.envparity.record.v1+json+zstd"
FACTS_TYPE = "application/vnd.envparity.facts.v1+json+zstd"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"
DELTA_TYPE = "application/vnd.envparity.layer.v1.delta+zstd"

#: Documents that refer to other blobs: a collection follows them, whoever wrote them.
DOCUMENT_TYPES = frozenset(
    {
        MANIFEST_TYPE,
        INDEX_TYPE,
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)

CONTENT = "vnd.envparity.content"
#: Of a layer that `optimize` has written: how hard it tried. It need not try as hard again.
EFFORT = "vnd.envparity.effort"
#: Of a full blob: the diff_id of a layer against which a delta was tried, and did not pay.
REFUSED = "vnd.envparity.refused"
#: Of a delta: the diff_id of the layer against whose tar it was made.
BASE = "vnd.envparity.base"
SNAPSHOT = "vnd.envparity.snapshot"
REF_NAME = "org.opencontainers.image.ref.name"
CREATED = "org.opencontainers.image.created"

_COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_NAME = rf"{_COMPONENT}(?:/{_COMPONENT})?\Z"  # compiled when first used: a restore does not
#: Unity Catalog has three names of 255 letters, and a registration adds some of its own.
_LONGEST_NAME = 1024
_LIKE_A_DIGEST = r"sha256:|[0-9a-f]{64}\Z"


class InvalidNameError(SnapshotError, ValueError):
    """A name that a snapshot cannot have."""


class NameTakenError(SnapshotError, ValueError):
    """A name in the index that belongs to something else than a snapshot."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A snapshot that the index holds. `created` is RFC 3339 in UTC, empty where whoever copied it left it out."""

    name: str | None
    snapshot: Digest
    manifest: Descriptor
    created: str

    @property
    def label(self) -> str:
        return self.name or self.snapshot.short


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is made of. `content` maps a content digest (diff_id, tree, record, facts) to the blob that holds it."""

    config: Descriptor
    content: Mapping[Digest, Descriptor]
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def packed_bytes(self) -> int:
        """What a node that has nothing must fetch: the manifest and every blob once."""
        blobs = {found.digest: found.size for found in (self.config, *self.content.values())}
        return self.size + sum(blobs.values())


class Row(NamedTuple):
    """One entry of an index. `descriptor` is None when its digest is of an algorithm that we do not use."""

    raw: Mapping[str, Any]
    descriptor: Descriptor | None

    @property
    def name(self) -> str | None:
        return self._annotation(REF_NAME) or None

    @property
    def created(self) -> str:
        return self._annotation(CREATED)

    @property
    def snapshot(self) -> Digest | None:
        """The snapshot that the row says it is. None: its manifest must tell, unless it is `foreign`."""
        try:
            return Digest(self._annotation(SNAPSHOT))
        except InvalidDigestError:
            return None

    @property
    def foreign(self) -> bool:
        """Whether the row by itself says that it is no snapshot."""
        if self.descriptor is None or self.descriptor.media_type != MANIFEST_TYPE:
            return True
        return self.snapshot is None and (self.raw.get("artifactType") or ARTIFACT_TYPE) != ARTIFACT_TYPE

    @property
    def label(self) -> str:
        if self.name is not None:
            return self.name
        return self.snapshot.short if self.snapshot else str(self.raw["digest"])

    def _annotation(self, key: str) -> str:
        found = self.raw.get("annotations")
        value = found.get(key) if isinstance(found, dict) else None
        return value if isinstance(value, str) else ""


class Index(NamedTuple):
    """index.json. `raw` is everything but its rows."""

    raw: Mapping[str, Any]
    rows: tuple[Row, ...]

    def encode(self) -> bytes:
        return canonical({**self.raw, "manifests": [row.raw for row in self.rows]})


EMPTY = Index({"schemaVersion": 2, "mediaType": INDEX_TYPE}, ())


def check_name(name: str) -> str:
    """Refuse a name that OCI's ref.name or a user of `resolve` could not tell apart."""
    if not re.match(_NAME, name):
        raise InvalidNameError(
            f"{name!r} cannot name a snapshot: want NAME or NAME/VERSION, each of letters and digits "
            "with single '-', '.', '_', ':', '@' or '+' (or '--') between them"
        )
    if len(name) > _LONGEST_NAME:
        raise InvalidNameError(
            f"{name[:40]!r}… cannot name a snapshot: it has {len(name)} letters, want {_LONGEST_NAME} at most"
        )
    if re.match(_LIKE_A_DIGEST, name):
        raise InvalidNameError(f"{name!r} cannot name a snapshot: it looks like a digest; choose another name")
    return name


def encode_descriptor(descriptor: Descriptor) -> dict[str, object]:
    row: dict[str, object] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.annotations:
        row["annotations"] = descriptor.annotations
    return row


def decode_descriptor(reader: Reader) -> Descriptor:
    """Read a descriptor; of its annotations those that are text, as OCI wants them."""
    return Descriptor(
        reader.text("mediaType"), reader.digest("digest"), reader.count("size"), _annotations(reader.value)
    )


def _annotations(value: Mapping[str, Any]) -> dict[str, str]:
    found = value.get("annotations")
    rows = found.items() if isinstance(found, dict) else ()
    return {key: text for key, text in rows if isinstance(text, str)}


def encode_manifest(
    config: Descriptor, content: Mapping[Digest, Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """Equal arguments give equal bytes: there is no time in it, so a repeated capture makes the same manifest."""
    layers = [
        Descriptor(blob.media_type, blob.digest, blob.size, {**blob.annotations, CONTENT: digest})
        for digest, blob in sorted(content.items(), key=lambda item: (item[1].media_type, item[0]))
    ]
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": encode_descriptor(config),
            "layers": [encode_descriptor(layer) for layer in layers],
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )


def decode_manifest(data: bytes, what: str = "manifest") -> Manifest:
    reader = Reader(parse(data, what), what)
    config = decode_descriptor(reader.inner("config"))
    if not _is_snapshot(reader, config):
        found = reader.value.get("artifactType", config.media_type)
        raise FormatError(f"{what}.artifactType: {found!r} is no snapshot of an environment (want {ARTIFACT_TYPE})")
    content: dict[Digest, Descriptor] = {}
    for number, value in enumerate(reader.items("layers")):
        row = Reader(value, f"{what}.layers[{number}]")
        digest = row.inner("annotations").digest(CONTENT)
        if digest in content:
            raise FormatError(f"{row.path}: {digest} is there twice")
        content[digest] = decode_descriptor(row)
    return Manifest(config, content, len(data), _annotations(reader.value))


def identify(data: bytes, what: str) -> Digest | None:
    """The id of the snapshot whose manifest this is; None for the manifest of something else."""
    reader = Reader(parse(data, what), what)
    if reader.value.get("config") is None:
        return None
    config = reader.inner("config")
    if config.value.get("mediaType") != CONFIG_TYPE:
        return None
    found = decode_descriptor(config)
    return found.digest if _is_snapshot(reader, found) else None


def _is_snapshot(reader: Reader, config: Descriptor) -> bool:
    return config.media_type == CONFIG_TYPE and (reader.value.get("artifactType") or ARTIFACT_TYPE) == ARTIFACT_TYPE


def children(data: bytes, what: str) -> tuple[Descriptor, ...]:
    """Every blob that a manifest or index refers to, whoever wrote it."""
    reader = Reader(parse(data, what), what)
    found = [reader.inner(key) for key in ("config", "subject") if reader.value.get(key) is not None]
    for key in ("layers", "manifests", "blobs"):
        rows = reader.items(key) if reader.value.get(key) is not None else []
        found.extend(Reader(row, f"{what}.{key}[{number}]") for number, row in enumerate(rows))
    return tuple(decode_descriptor(row) for row in found)


def decode_index(data: bytes, what: str = "index.json") -> Index:
    reader = Reader(parse(data, what), what)
    if reader.count("schemaVersion") != 2:
        raise FormatError(f"{what}.schemaVersion: want 2, found {reader.value['schemaVersion']}")
    # Tools written in Go write an empty list as null.
    values = reader.items("manifests") if reader.value.get("manifests", ()) is not None else []
    rows = tuple(decode_row(Reader(value, f"{what}.manifests[{number}]")) for number, value in enumerate(values))
    return Index({key: value for key, value in reader.value.items() if key != "manifests"}, rows)


def decode_row(reader: Reader) -> Row:
    algorithm = reader.text("digest").partition(":")[0]
    return Row(reader.value, decode_descriptor(reader) if algorithm == "sha256" else None)


def encode_reference(reference: Reference) -> Row:
    annotations = {SNAPSHOT: str(reference.snapshot), CREATED: reference.created}
    if reference.name is not None:
        annotations[REF_NAME] = reference.name
    manifest = reference.manifest
    descriptor = Descriptor(manifest.media_type, manifest.digest, manifest.size, annotations)
    return Row({**encode_descriptor(descriptor), "artifactType": ARTIFACT_TYPE}, descriptor)


def reference_of(row: Row, snapshot: Digest) -> Reference:
    if row.descriptor is None:
        raise ValueError("a row without a descriptor is no snapshot")
    return Reference(row.name, snapshot, row.descriptor, row.created)


def with_reference(
    index: Index, new: Reference, snapshot_of: Callable[[Row], Digest | None]
) -> tuple[Index, Reference]:
    """Publish `new` into `index`; return what the index then is, and the reference that stands in it.

    A name that is there moves to `new`. What it pointed to keeps a row without a name, unless another row has that
    snapshot: nothing is lost by taking a name. An unnamed row gives way to a row of the same snapshot.
    """
    pairs = [(row, snapshot_of(row)) for row in index.rows]
    for row, snapshot in reversed(pairs):
        same = snapshot == new.snapshot and row.descriptor and row.descriptor.digest == new.manifest.digest
        if same and new.name in (None, row.name):
            return index, reference_of(row, new.snapshot)
    held = {new.snapshot} | {found for row, found in pairs if found is not None and row.name != new.name}
    kept: list[Row] = []
    for row, snapshot in pairs:
        if snapshot is None:
            if new.name is not None and row.name == new.name:
                raise NameTakenError(
                    f"{new.name!r} already names something that is no snapshot, or cannot be read as one "
                    f"({row.raw['digest']}); choose another name"
                )
            kept.append(row)
        elif row.name is not None and row.name == new.name:
            if snapshot not in held:
                kept.append(_unnamed(row))
                held.add(snapshot)
        elif row.name is not None or snapshot != new.snapshot:
            kept.append(row)
    added = encode_reference(new)
    return Index(index.raw, (*kept, added)), reference_of(added, new.snapshot)


def with_manifests(index: Index, replaced: Mapping[Digest, Descriptor]) -> Index:
    """The index with other manifests for the same snapshots, by the digest of the manifest that was there."""

    def changed(row: Row) -> Row:
        new = None if row.descriptor is None else replaced.get(row.descriptor.digest)
        if new is None or row.descriptor is None:
            return row
        descriptor = Descriptor(new.media_type, new.digest, new.size, row.descriptor.annotations)
        return Row({**row.raw, "digest": new.digest, "size": new.size}, descriptor)

    return Index(index.raw, tuple(map(changed, index.rows)))


def without(index: Index, rows: tuple[Row, ...]) -> Index:
    # By their bytes: comparing each with each would be slow where both are many.
    gone = {canonical(row.raw) for row in rows}
    return Index(index.raw, tuple(row for row in index.rows if canonical(row.raw) not in gone))


def _unnamed(row: Row) -> Row:
    """`row` without its name, all else as it was."""
    if row.descriptor is None:
        return row
    raw = {key: value for key, value in row.raw["annotations"].items() if key != REF_NAME}
    known = {key: value for key, value in row.descriptor.annotations.items() if key != REF_NAME}
    found = row.descriptor
    return Row({**row.raw, "annotations": raw}, Descriptor(found.media_type, found.digest, found.size, known))
