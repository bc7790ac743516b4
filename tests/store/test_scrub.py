"""Collection deletes what nothing needs, and nothing else; a check finds all that is wrong, by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import canonical, digest_of
from snapshot.serialize import encode_snapshot
from snapshot.store import Collected, Problem, Store, StoreError
from snapshot.store.manifest import TREE_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import blob_of, content_of, publish_sample, sample_snapshot

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
def store(backend):
    return Store(backend)


def add_row(backend: MemoryBackend, row: dict) -> None:
    index = json.loads(backend.index or b'{"schemaVersion":2,"manifests":[]}')
    index["manifests"].append(row)
    backend.index = canonical(index)


def put(backend: MemoryBackend, data: bytes, media_type: str) -> dict:
    backend.blobs[digest_of(data)] = data
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def annotate(backend: MemoryBackend, number: int, **annotations: str) -> None:
    index = json.loads(backend.index)
    index["manifests"][number]["annotations"].update(annotations)
    backend.index = canonical(index)


# Collection


def test_collection_deletes_what_only_the_removed_snapshot_needed(store, backend):
    publish_sample(store, "a", ["numpy", "pandas"])
    kept = publish_sample(store, "b", ["numpy", "scipy"], encoding=0)
    before = dict(backend.blobs)
    store.remove("a")
    collected = store.collect(grace=0)
    gone = before.keys() - backend.blobs.keys()
    assert digest_of(blob_of("pandas", "tar")) in gone
    assert digest_of(blob_of("numpy", "tar")) not in gone
    assert collected == Collected(4, sum(len(before[each]) for each in gone), 0, removed=("a",))
    assert sum(map(len, backend.blobs.values())) == store.manifest(kept.reference).packed_bytes
    assert store.check() == ()
    assert store.collect(grace=0) == Collected(0, 0, 0)


def test_collection_without_an_index_deletes_nothing(store, backend):
    publish_sample(store, "a", ["numpy"])
    backend.index = None
    assert store.collect(grace=0) == Collected(0, 0, 0)
    assert len(backend.blobs) == 5


def test_collection_keeps_nested_images(store, backend):
    layer = put(backend, b"layer", "a/layer")
    config = put(backend, b"config", "a/config")
    image = put(backend, canonical({"schemaVersion": 2, "config": config, "layers": [layer]}), MANIFEST_TYPE)
    elsewhere = {"mediaType": MANIFEST_TYPE, "digest": digest_of(b"never copied"), "size": 12}
    inner = put(backend, canonical({"schemaVersion": 2, "manifests": [image, elsewhere]}), INDEX_TYPE)
    outer = put(backend, canonical({"schemaVersion": 2, "manifests": [inner]}), INDEX_TYPE)
    add_row(backend, outer)
    add_row(backend, put(backend, b"plain", "text/plain"))
    rubbish = put(backend, b"rubbish", "text/plain")
    assert store.collect(grace=0) == Collected(1, 7, 0)
    assert rubbish["digest"] not in backend.blobs
    assert len(backend.blobs) == 6
    assert store.check() == ()


def test_document_listed_as_a_plain_blob_first_is_still_followed(store, backend):
    layer = put(backend, b"layer", "a/layer")
    image = put(backend, canonical({"schemaVersion": 2, "layers": [layer]}), MANIFEST_TYPE)
    add_row(backend, {**image, "mediaType": "text/plain"})
    add_row(backend, image)
    assert store.collect(grace=0).blobs == 0


def test_index_that_contains_itself_ends(store, backend):
    """A hostile index cannot: a digest has no fixed point. But two rows may share everything."""
    image = put(backend, canonical({"schemaVersion": 2, "layers": []}), MANIFEST_TYPE)
    add_row(backend, put(backend, canonical({"schemaVersion": 2, "manifests": [image] * 50}), INDEX_TYPE))
    assert store.collect(grace=0).blobs == 0


@pytest.mark.parametrize("damage", ["missing", "damaged", "nonsense"])
def test_collection_refuses_when_it_cannot_tell_what_is_needed(store, backend, damage):
    lost = publish_sample(store, "lost", ["numpy"]).reference.manifest
    publish_sample(store, "a", ["pandas"])
    store.remove("a")
    if damage == "missing":
        del backend.blobs[lost.digest]
    elif damage == "damaged":
        backend.blobs[lost.digest] = b"x" * lost.size
    else:
        add_row(backend, put(backend, b"[7]", MANIFEST_TYPE))
    before = dict(backend.blobs)
    with pytest.raises(
        StoreError, match=r"cannot collect in memory: what .* needs cannot be told, so nothing was deleted"
    ):
        store.collect(grace=0)
    assert backend.blobs == before
    if damage != "nonsense":
        store.remove("lost")
        store.collect(grace=0)
        assert backend.blobs == {}


def test_collection_refuses_other_digests(store, backend):
    add_row(backend, {"mediaType": MANIFEST_TYPE, "digest": "sha512:00", "size": 1})
    put(backend, b"rubbish", "text/plain")
    with pytest.raises(StoreError, match="sha512:00 in its index is addressed by another digest than sha256"):
        store.collect(grace=0)
    assert len(backend.blobs) == 1


# Check


def test_good_store_has_no_problems(store):
    publish_sample(store, "a", ["numpy"])
    publish_sample(store, None, ["pandas"])
    assert store.check() == ()


def test_check_names_the_blob_and_who_needs_it(store, backend):
    publish_sample(store, "a/1", ["numpy", "pandas"])
    publish_sample(store, "a/2", ["numpy"])
    numpy, pandas = digest_of(blob_of("numpy", "tar")), digest_of(blob_of("pandas", "tree"))
    backend.blobs[numpy] = b"x" * 40
    del backend.blobs[pandas]
    assert store.check() == tuple(
        sorted(
            (
                Problem("damaged", numpy, f"its content is {digest_of(b'x' * 40)}; needed by a/1, a/2"),
                Problem("missing", pandas, "needed by a/1"),
            ),
            key=lambda each: each.path,
        )
    )


def test_check_reads_what_nothing_needs(store, backend):
    publish_sample(store, "a", ["numpy"])
    backend.blobs[digest_of(b"rubbish")] = b"other"
    assert store.check() == (
        Problem(
            "damaged",
            digest_of(b"rubbish"),
            f"its content is {digest_of(b'other')}; no snapshot needs it: a collection removes it",
        ),
    )


def test_check_finds_every_problem_at_once(store, backend):
    first = publish_sample(store, "a", ["numpy"]).reference
    second = publish_sample(store, "b", ["pandas"]).reference
    third = publish_sample(store, "c", ["scipy"]).reference
    del backend.blobs[first.manifest.digest]
    backend.blobs[second.manifest.digest] = b"{}"
    backend.blobs[third.snapshot] = b"{}"
    tree = digest_of(blob_of("scipy", "tree"))
    backend.blobs[tree] = b""
    found = {(each.kind, each.path): each.detail for each in store.check()}
    assert found.keys() == {
        ("missing", first.manifest.digest),
        ("damaged", second.manifest.digest),
        ("damaged", third.snapshot),
        ("damaged", tree),
    }
    assert found["missing", first.manifest.digest] == "needed by a"
    assert found["damaged", tree].endswith("; needed by c")


def test_check_compares_sizes(store, backend):
    publish_sample(store, "a", ["numpy"])
    index = json.loads(backend.index)
    index["manifests"][0]["size"] += 1
    backend.index = canonical(index)
    (problem,) = store.check()
    assert problem.kind == "damaged"
    assert problem.path == index["manifests"][0]["digest"]
    size = index["manifests"][0]["size"]
    assert problem.detail == f"it has {size - 1} bytes, but {size} are declared; needed by a"


def test_check_reads_manifests_and_configs(store, backend):
    with store.begin() as batch:
        batch.publish(b'{"schema":1}', {}, "config")
    nonsense = put(backend, b"[]", MANIFEST_TYPE)
    annotated = {"vnd.envparity.snapshot": digest_of(b"x"), "org.opencontainers.image.ref.name": "manifest"}
    add_row(backend, {**nonsense, "annotations": annotated})
    found = {each.path: each.detail for each in store.check()}
    config = digest_of(b'{"schema":1}')
    assert found == {
        config: f"config {config}.interpreter: missing; needed by config",
        digest_of(b"[]"): f"manifest {digest_of(b'[]')}: want an object, found list; needed by manifest",
    }


def test_check_finds_layers_without_a_blob(store):
    with store.begin() as batch:
        tree = Descriptor(TREE_TYPE, *batch.put(blob_of("numpy", "tree")))
        batch.publish(encode_snapshot(sample_snapshot(["numpy"])), {content_of("numpy", "tree"): tree}, "a")
    assert store.check() == (
        Problem(
            "missing",
            content_of("numpy", "tar"),
            "the manifest of a has no blob for the tar of the layer numpy 1.0",
        ),
    )


def test_check_finds_an_index_that_lies(store, backend):
    reference = publish_sample(store, "a", ["numpy"]).reference
    annotate(backend, 0, **{"vnd.envparity.snapshot": digest_of(b"x")})
    assert store.check() == (
        Problem(
            "damaged",
            reference.manifest.digest,
            f"the index says that a is {digest_of(b'x')}, its manifest says {reference.snapshot}",
        ),
    )


def test_check_of_a_damaged_index_still_reads_the_blobs(store, backend):
    backend.index = b"nonsense"
    backend.blobs[digest_of(b"rubbish")] = b"other"
    assert [(each.kind, each.path) for each in store.check()] == [
        ("damaged", "index.json"),
        ("damaged", digest_of(b"rubbish")),
    ]


def test_check_reports_blobs_that_cannot_be_read(store, backend, monkeypatch):
    publish_sample(store, "a", ["numpy"])
    tar = digest_of(blob_of("numpy", "tar"))
    original = backend.open

    def fail(digest):
        if digest == tar:
            raise StoreError("cannot read: Input/output error")
        return original(digest)

    monkeypatch.setattr(backend, "open", fail)
    assert store.check() == (Problem("unreadable", tar, "cannot read: Input/output error; needed by a"),)


def test_check_is_not_confused_by_what_happens_meanwhile(store):
    publish_sample(store, "a", ["numpy"])
    publish_sample(store, "b", ["pandas"])
    calls = []

    def meddle(stage, done, total):
        if not calls:
            publish_sample(store, "c", ["scipy"])
            store.remove("a")
            store.collect(grace=0)
        calls.append((stage, done, total))

    assert store.check(meddle) == ()
    assert [each.name for each in store.references()] == ["b", "c"]


def test_check_tells_how_far_it_is(store, backend):
    publish_sample(store, "a", ["numpy"])
    calls = []
    store.check(lambda *call: calls.append(call))
    total = sum(map(len, backend.blobs.values()))
    assert [each[0] for each in calls] == ["check"] * 5
    assert [each[1] for each in calls] == sorted(each[1] for each in calls)
    assert calls[-1] == ("check", total, total)


def test_foreign_blobs_may_be_missing_but_not_damaged(store, backend):
    layer, config = put(backend, b"layer", "a/layer"), put(backend, b"config", "a/config")
    image = put(backend, canonical({"schemaVersion": 2, "config": config, "layers": [layer]}), MANIFEST_TYPE)
    add_row(backend, {**image, "annotations": {"org.opencontainers.image.ref.name": "image"}})
    del backend.blobs[config["digest"]]
    backend.blobs[layer["digest"]] = b"LAYER"
    assert store.check() == (
        Problem("damaged", layer["digest"], f"its content is {digest_of(b'LAYER')}; needed by image"),
    )


def test_check_of_the_layout(tmp_path):
    store = Store(tmp_path)
    publish_sample(store, "a", ["numpy"])
    layout = tmp_path / "oci-layout"
    layout.unlink()
    (problem,) = store.check()
    assert (problem.kind, problem.path) == ("missing", "oci-layout")
    layout.write_text('{"imageLayoutVersion":"7"}')
    assert {(each.kind, each.path) for each in store.check()} == {("damaged", "oci-layout"), ("damaged", "index.json")}


def test_check_of_a_directory(tmp_path):
    store = Store(tmp_path)
    publish_sample(store, "a", ["numpy"])
    blob = Path(store.backend.path) / "blobs" / "sha256" / digest_of(blob_of("numpy", "tar")).hex
    blob.chmod(0o644)
    blob.write_bytes(b"short")
    (problem,) = store.check()
    assert problem.path == digest_of(blob_of("numpy", "tar"))
    assert problem.detail == f"its content is {digest_of(b'short')}; needed by a"
