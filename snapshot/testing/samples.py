"""Small snapshots for tests of the store: right in form, but their layers are any bytes."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.digest import Descriptor, Digest
from snapshot.documents import digest_of
from snapshot.model import Environment, Interpreter, Kind, Layer, Snapshot
from snapshot.serialize import encode_snapshot
from snapshot.store.manifest import LAYER_TYPE, RECORD_TYPE, TREE_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snapshot.store import Published, Store


def content_of(name: str, what: str) -> Digest:
    """The content digest of a sample layer's `what`: `tar` or `tree`."""
    return digest_of(f"{what} of {name}".encode())


def blob_of(name: str, what: str, encoding: int = 0, size: int = 40) -> bytes:
    """The stored bytes for it; another `encoding` gives other bytes for the same content."""
    seed = sha256(f"{what} of {name}, encoding {encoding}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


def sample_snapshot(names: Iterable[str]) -> Snapshot:
    """A snapshot with one distribution layer for each of `names`."""
    layers = tuple(
        Layer(
            kind=Kind.DISTRIBUTION,
            name=name,
            version="1.0",
            mount="",
            tar=content_of(name, "tar"),
            tree=content_of(name, "tree"),
            files=1,
            size=10240,
            parity=content_of(name, "parity"),
        )
        for name in sorted(set(names))
    )
    interpreter = Interpreter(
        implementation="cpython",
        version="3.11.7",
        cache_tag="cpython-311",
        soabi="cpython-311-x86_64-linux-gnu",
        platform="linux-x86_64",
        executable="bin/python3.11",
        captured=False,
        digest=digest_of(b"interpreter"),
    )
    return Snapshot(
        interpreter,
        Environment(kind="venv", base_mount=".envparity/python", bytecode="none", system_site_packages=False),
        layers,
        digest_of(repr([layer.name for layer in layers]).encode()),
    )


def publish_sample(
    store: Store,
    name: str | None,
    layers: Iterable[str],
    *,
    encoding: int = 0,
    size: int = 40,
    reuse: Mapping[Digest, Descriptor] | None = None,
) -> Published:
    """Publish the sample with these layers. What `reuse` has (see `Store.contents`) is not staged again."""
    known = reuse or {}
    snapshot = sample_snapshot(layers)
    with store.begin() as batch:
        record = f"record of {encoding}".encode()
        content = {digest_of(record): Descriptor(RECORD_TYPE, *batch.put(record))}
        for layer in snapshot.layers:
            for what, digest, media_type in (("tar", layer.diff_id, LAYER_TYPE), ("tree", layer.tree, TREE_TYPE)):
                if digest in known and store.has(known[digest].digest):
                    content[digest] = known[digest]
                else:
                    content[digest] = Descriptor(media_type, *batch.put(blob_of(layer.name, what, encoding, size)))
        return batch.publish(encode_snapshot(snapshot), content, name)
