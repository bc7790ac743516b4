"""The cached answer to `Store.contents` is right whatever became of it."""

from __future__ import annotations

import json

import pytest

from snapshot.serialize import canonical
from snapshot.store import Store
from snapshot.testing.samples import content_of, publish_sample


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    for number in range(4):
        publish_sample(store, f"m/{number}", ["common", f"own{number}"], reuse=store.contents())
    return store


def manifests_read(store, monkeypatch) -> list[str]:
    """Ask for the contents in a new process's stead; return the manifests that this reads."""
    fresh = Store(store.backend.path)
    read = []
    original = fresh.manifest
    monkeypatch.setattr(fresh, "manifest", lambda found: read.append(found.name) or original(found))
    assert fresh.contents() == without_cache(store)
    return read


def without_cache(store):
    (store.cache.parent / "other").mkdir(exist_ok=True)
    path = store.cache.parent / "other" / "contents.json"
    path.unlink(missing_ok=True)
    return Store(store.backend.path, cache=path.parent).contents()


def test_manifests_are_read_once(store, monkeypatch):
    store.contents()
    assert manifests_read(store, monkeypatch) == []
    publish_sample(store, "m/new", ["common", "new"])
    assert manifests_read(store, monkeypatch) == ["m/new"]
    assert manifests_read(store, monkeypatch) == []


def test_rows_of_removed_snapshots_go(store, monkeypatch):
    assert content_of("own1", "tar") in store.contents()
    store.remove("m/1")
    assert manifests_read(store, monkeypatch) == []
    known = store.contents()
    assert content_of("own1", "tar") not in known
    assert content_of("own2", "tar") in known
    assert content_of("common", "tar") in known
    assert content_of("own1", "tar")[7:] not in (store.cache / "contents.json").read_text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"[]",
        lambda data: b"\xff\x00",
        lambda data: canonical({**json.loads(data), "schema": 2}),
        lambda data: canonical({**json.loads(data), "rows": []}),
        lambda data: canonical({**json.loads(data), "rows": [[1, 2, 3]]}),
        lambda data: canonical({**json.loads(data), "rows": [["x", "a/b", "y", 1, []]]}),
        lambda data: canonical({**json.loads(data), "rows": 7}),
        lambda data: canonical({**json.loads(data), "manifests": {"x": [0]}}),
        lambda data: canonical({**json.loads(data), "manifests": dict.fromkeys(json.loads(data)["manifests"], 5)}),
        lambda data: canonical({**json.loads(data), "manifests": {key: [-1] for key in json.loads(data)["manifests"]}}),
    ],
)
def test_damaged_file_is_made_anew(store, damage, monkeypatch):
    path = store.cache / "contents.json"
    store.contents()
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert len(manifests_read(store, monkeypatch)) == 4
    assert sorted(json.loads(path.read_bytes())["manifests"]) == sorted(json.loads(good)["manifests"])


def test_file_that_covers_other_manifests_is_not_trusted(store, tmp_path):
    store.contents()
    other = Store(tmp_path / "other", cache=store.cache)
    publish_sample(other, "x", ["elsewhere"])
    assert content_of("common", "tar") not in other.contents()
    assert content_of("elsewhere", "tar") in other.contents()


def test_cache_that_cannot_be_written_does_no_harm(store, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    fresh = Store(store.backend.path, cache=tmp_path / "file")
    assert fresh.contents() == store.contents()


def test_file_of_a_killed_writer_is_used_up(store):
    store.contents()
    (store.cache / "contents.json").unlink()
    (store.cache / "contents.json.new").write_bytes(b"x" * 1_000_000)
    known = store.contents()
    assert [each.name for each in store.cache.iterdir()] == ["contents.json"]
    assert Store(store.backend.path).contents() == known


def test_annotations_of_blobs_survive_the_cache(tmp_path):
    from snapshot.model import Descriptor
    from snapshot.serialize import encode_snapshot
    from snapshot.store.manifest import CONTENT, LAYER_TYPE
    from snapshot.testing.samples import sample_snapshot

    store = Store(tmp_path / "store")
    tar = content_of("numpy", "tar")
    with store.begin() as batch:
        blob = Descriptor(LAYER_TYPE, *batch.put(b"delta"), {"vnd.example.base": "x"})
        batch.publish(encode_snapshot(sample_snapshot(["numpy"])), {tar: blob}, "a")
    expected = {CONTENT: tar, "vnd.example.base": "x"}
    assert store.contents()[tar].annotations == expected
    assert Store(tmp_path / "store").contents()[tar].annotations == expected
