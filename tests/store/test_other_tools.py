"""What other OCI tools leave in a store, and what they put there of their own."""

from __future__ import annotations

import json

import pytest

from snapshot.documents import FormatError, canonical, digest_of
from snapshot.store import MissingBlobError, NameTakenError, Store, UnknownSnapshotError
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import publish_sample, sample_snapshot


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
def store(backend):
    return Store(backend)


def rewrite(backend: MemoryBackend, change) -> None:
    """Change index.json by hand, as another tool would."""
    index = json.loads(backend.index)
    change(index["manifests"])
    backend.index = canonical(index)


def strip(rows) -> None:
    """Leave what skopeo leaves of a row."""
    for row in rows:
        name = row["annotations"].get("org.opencontainers.image.ref.name")
        row["annotations"] = {"org.opencontainers.image.ref.name": name} if name else {}
        del row["artifactType"]


def add_foreign(backend: MemoryBackend, name: str = "chart") -> list[bytes]:
    """Put the artifact of another tool into the store; return its blobs."""
    config, layer = b"a config", b"a chart"
    manifest = canonical(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "application/vnd.example.chart",
            "config": {"mediaType": "a/b", "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "a/c", "digest": digest_of(layer), "size": len(layer)}],
        }
    )
    blobs = [config, layer, manifest]
    backend.blobs.update({digest_of(each): each for each in blobs})
    index = json.loads(backend.index or b'{"schemaVersion":2,"manifests":[]}')
    index["manifests"].append(
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest_of(manifest),
            "size": len(manifest),
            "annotations": {"org.opencontainers.image.ref.name": name, "who": "ever"},
        }
    )
    backend.index = canonical(index)
    return blobs


def test_rows_without_annotations_are_read_from_their_manifest(store, backend):
    first = publish_sample(store, "a/1", ["numpy"]).reference
    rewrite(backend, strip)
    later = publish_sample(store, "a/2", ["pandas"]).reference
    fresh = Store(backend)
    assert [(each.name, each.created) for each in fresh.references()] == [("a/1", ""), ("a/2", later.created)]
    assert fresh.resolve("a/1").snapshot == first.snapshot
    assert fresh.resolve(first.snapshot[:15]).name == "a/1"
    assert fresh.resolve("a").name == "a/2"
    assert fresh.snapshot("a/1") == sample_snapshot(["numpy"])


def test_publishing_onto_a_row_without_annotations(store, backend):
    publish_sample(store, "a", ["numpy"])
    rewrite(backend, strip)
    assert publish_sample(Store(backend), "a", ["numpy"]).added_bytes == 0
    publish_sample(Store(backend), "a", ["pandas"])
    assert [each.name for each in Store(backend).references()] == [None, "a"]


def test_other_artifacts_are_no_references_and_are_kept(store, backend):
    blobs = add_foreign(backend)
    row = json.loads(backend.index)["manifests"][0]
    publish_sample(store, "a", ["numpy"])
    store.remove("a")
    assert store.references() == ()
    assert json.loads(backend.index)["manifests"] == [row]
    store.collect(grace=0)
    assert sorted(backend.blobs.values()) == sorted(blobs)
    with pytest.raises(UnknownSnapshotError):
        store.resolve("chart")
    with pytest.raises(NameTakenError, match="'chart' already names something that is no snapshot"):
        publish_sample(store, "chart", ["numpy"])


def test_lost_manifest_stops_only_who_asks_for_it(store, backend):
    lost = publish_sample(store, "lost", ["numpy"]).reference
    publish_sample(store, "a", ["pandas"])
    rewrite(backend, strip)
    del backend.blobs[lost.manifest.digest]
    store = Store(backend)
    assert [each.name for each in store.references()] == ["a"]
    with pytest.raises(MissingBlobError, match=lost.manifest.digest):
        store.resolve("lost")
    with pytest.raises(NameTakenError, match="or cannot be read as one"):
        publish_sample(store, "lost", ["numpy"])
    publish_sample(store, "b", ["scipy"])
    assert len(store.contents()) > 0


def test_index_that_lies_about_the_snapshot_is_noticed(store, backend):
    publish_sample(store, "a", ["numpy"])

    def lie(rows):
        rows[0]["annotations"]["vnd.envparity.snapshot"] = digest_of(b"another")

    rewrite(backend, lie)
    with pytest.raises(FormatError, match=f"its config is .* says that a is {digest_of(b'another')}"):
        store.snapshot("a")
