"""Snapshots made by hand: entries and bytes to layers, layers to a store. They may be as wrong as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from snapshot import archive
from snapshot.codec import pack_small
from snapshot.digest import Descriptor, Digest
from snapshot.documents import digest_of
from snapshot.home import PYTHON_MOUNT
from snapshot.model import Entry, Environment, Interpreter, Kind, Layer, Record, Snapshot
from snapshot.parity import parity_of, parity_root
from snapshot.scan import encode
from snapshot.serialize import encode_record, encode_snapshot, encode_tree
from snapshot.store.manifest import LAYER_TYPE, RECORD_TYPE, TREE_TYPE

INTERPRETER = Interpreter(
    implementation="CPython",
    version="3.11.7",
    cache_tag="cpython-311",
    soabi="cpython-311-x86_64-linux-gnu",
    platform="linux-x86_64",
    executable="bin/python3.11",
    captured=True,
    digest=digest_of(b"an interpreter"),
)
ENVIRONMENT = Environment("venv", PYTHON_MOUNT, "none", system_site_packages=False)


def file(path, data=b"", mode=0o644, **extra):
    """An entry and its bytes."""
    return Entry(path, "f", mode, len(data), sha256(data).hexdigest(), **extra), data


def link(path, target, **extra):
    return Entry(path, "l", target=target, **extra), b""


def directory(path, mode=0o755):
    return Entry(path, "d", mode), b""


def tar_of(rows):
    """The tar of a layer as `pack` frames it."""
    pieces = []
    for entry, data in rows:
        pieces += [archive.header(entry), data, archive.padding(len(data))]
    return b"".join([*pieces, archive.END])


@dataclass
class Built:
    """One layer, and the bytes that a store will hold for it: change these to have a layer that lies."""

    layer: Layer
    tree: bytes
    tar: bytes
    blob: bytes | None = None
    stored_tree: bytes | None = None
    media_type: str = LAYER_TYPE
    notes: dict[str, str] = field(default_factory=dict)


def built(*rows, kind=Kind.UNOWNED, name=None, version=None, mount=""):
    """A layer of `rows` in the order of a tree."""
    ordered = sorted(rows, key=lambda row: encode(row[0].path))
    tree = tuple(entry for entry, _ in ordered)
    return as_given(tree, tar_of(ordered), kind=kind, name=name, version=version, mount=mount)


def as_given(tree, tar, *, kind=Kind.UNOWNED, name=None, version=None, mount="", encoded=None):
    """A layer of any tree (or of `encoded`, the bytes of one) and any tar."""
    encoded = encode_tree(tree) if encoded is None else encoded
    layer = Layer(
        kind=kind,
        name=name or kind.value,
        version=version or ("1.0" if kind is Kind.DISTRIBUTION else None),
        mount=mount,
        tar=digest_of(tar),
        tree=digest_of(encoded),
        files=sum(entry.type == "f" for entry in tree),
        size=archive.tar_size(tree),
        parity=parity_of(tree),
    )
    return Built(layer, encoded, tar)


def snapshot_of(layers, interpreter=INTERPRETER, environment=ENVIRONMENT):
    ordered = tuple(sorted(layers, key=lambda layer: layer.sort_key))
    return Snapshot(interpreter, environment, ordered, parity_root(interpreter, environment, ordered))


@dataclass
class Stored:
    """What `publish` put into the store."""

    id: Digest
    snapshot: Snapshot
    content: dict[Digest, Descriptor] = field(default_factory=dict)


def publish(
    store, *parts, interpreter=INTERPRETER, environment=ENVIRONMENT, config=None, name="x", without=(), beside=()
):
    """Publish the layers in `parts`. `config`: bytes to have in place of the config. `without`: content that is left out.
    `beside`: layers that only the manifest has.
    """
    snapshot = snapshot_of([part.layer for part in parts], interpreter, environment)
    with store.begin() as batch:
        record = encode_record(Record((), "/captured/env", "/captured/base", "a test"))
        content = {digest_of(record): Descriptor(RECORD_TYPE, *batch.put(pack_small(record)))}
        for part in (*parts, *beside):
            blob = layer_blob(part.tar) if part.blob is None else part.blob
            tree = pack_small(part.tree) if part.stored_tree is None else part.stored_tree
            content[part.layer.diff_id] = Descriptor(part.media_type, *batch.put(blob), part.notes)
            content[part.layer.tree] = Descriptor(TREE_TYPE, *batch.put(tree))
        content = {digest: blob for digest, blob in content.items() if digest not in without}
        data = encode_snapshot(snapshot) if config is None else config
        published = batch.publish(data, content, name)
    return Stored(published.reference.snapshot, snapshot, content)


def layer_blob(tar):
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_content_size=False).compress(tar)


def with_layer(part, **changes):
    """The same with another `Layer` in the config."""
    return replace(part, layer=replace(part.layer, **changes))
