"""References, names, batches: what a store promises over any backend."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import canonical, digest_of
from snapshot.serialize import encode_snapshot
from snapshot.store import (
    AmbiguousSnapshotError,
    BlobsVanishedError,
    DamagedBlobError,
    InvalidNameError,
    MissingBlobError,
    NoCacheError,
    Store,
    UnknownSnapshotError,
)
from snapshot.store.manifest import LAYER_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import blob_of, content_of, publish_sample, sample_snapshot


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


# References


def test_empty_store(store):
    assert store.references() == ()
    with pytest.raises(UnknownSnapshotError, match="no snapshot 'a': the store memory is empty; capture one first"):
        store.resolve("a")


def test_published_snapshot_is_read_back(store):
    published = publish_sample(store, "model/1", ["numpy", "pandas"])
    assert store.references() == (published.reference,)
    assert store.resolve("model/1") == published.reference
    assert store.snapshot("model/1") == sample_snapshot(["numpy", "pandas"])
    assert published.reference.snapshot == digest_of(encode_snapshot(sample_snapshot(["numpy", "pandas"])))
    manifest = store.manifest(published.reference)
    layer = manifest.content[content_of("numpy", "tar")]
    assert store.read(layer) == blob_of("numpy", "tar")
    assert len(manifest.content) == 5
    assert manifest.packed_bytes == published.added_bytes


def test_references_are_in_the_order_of_capture(store, monkeypatch):
    for name, second in (("late", 300), ("early", 100), ("middle", 200), ("tied", 200)):
        monkeypatch.setattr(time, "gmtime", lambda _second=second: (2025, 1, 1, 0, _second // 60, 0, 0, 0, 0))
        publish_sample(store, name, [name])
    assert [each.name for each in store.references()] == ["early", "middle", "tied", "late"]
    assert store.references()[0].created == "2025-01-01T00:01:00Z"


def test_name_means_its_newest_version(store):
    for version in ("1", "10", "2"):
        publish_sample(store, f"model/{version}", [version])
    publish_sample(store, "model2/1", ["other"])
    assert store.resolve("model").name == "model/2"
    publish_sample(store, "model", ["unversioned"])
    assert store.resolve("model").name == "model"


def test_id_and_its_beginning(store):
    found = publish_sample(store, None, ["numpy"]).reference
    for text in (found.snapshot, found.snapshot[:11], found.snapshot.hex, found.snapshot.hex[:4]):
        assert store.resolve(text) == found
    for text in (found.snapshot.hex[:3], found.snapshot[:10], "sha256:", found.snapshot.hex[:4].upper() + "X"):
        with pytest.raises(UnknownSnapshotError):
            store.resolve(text)


def test_short_beginning_says_how_many_digits(store):
    found = publish_sample(store, None, ["numpy"]).reference
    with pytest.raises(UnknownSnapshotError, match=r"\(an id needs at least 4 digits\)"):
        store.resolve(found.snapshot.hex[:3])


def test_name_goes_before_id(store):
    unnamed = publish_sample(store, None, ["numpy"]).reference
    publish_sample(store, unnamed.snapshot.hex[:5], ["pandas"])
    assert store.resolve(unnamed.snapshot.hex[:5]).snapshot != unnamed.snapshot
    assert store.resolve(unnamed.snapshot.hex[:6]) == unnamed


def test_several_references_to_one_snapshot_are_not_ambiguous(store):
    publish_sample(store, "a", ["numpy"])
    newer = publish_sample(store, "b", ["numpy"]).reference
    assert store.resolve(newer.snapshot[:15]) == newer


def test_ambiguous_beginning_lists_what_it_could_be(store, backend):
    publish_sample(store, "a", ["numpy"])
    publish_sample(store, "b", ["pandas"])

    def make_alike(rows):
        for number, row in enumerate(rows):
            row["annotations"]["vnd.envparity.snapshot"] = f"sha256:abcd{number:060d}"

    rewrite(backend, make_alike)
    with pytest.raises(AmbiguousSnapshotError) as caught:
        store.resolve("abcd")
    assert str(caught.value) == (
        "'abcd' is the beginning of several snapshots in memory: b (sha256:abcd00000000), a (sha256:abcd00000000); "
        "give more digits"
    )


def test_unknown_name_lists_what_is_there(store):
    for number in range(7):
        publish_sample(store, f"model/{number}", [f"{number}"])
    with pytest.raises(UnknownSnapshotError) as caught:
        store.resolve("mdel")
    message = str(caught.value)
    assert message.startswith("no snapshot 'mdel' in memory; there are model/6 (sha256:")
    assert message.endswith(" and 2 more")
    assert isinstance(caught.value, LookupError)


# Publishing


def test_publishing_again_changes_nothing(store, backend):
    first = publish_sample(store, "a", ["numpy"])
    before = backend.index
    again = publish_sample(store, "a", ["numpy"])
    assert again.reference == first.reference
    assert again.added_bytes == 0
    assert backend.index == before


def test_moved_name_loses_no_snapshot(store):
    first = publish_sample(store, "a", ["numpy"]).reference
    second = publish_sample(store, "a", ["pandas"]).reference
    assert store.resolve("a") == second
    assert store.resolve(first.snapshot).name is None
    store.collect(grace=0)
    assert store.snapshot(first.snapshot) == sample_snapshot(["numpy"])


def test_blobs_in_the_store_need_not_be_staged(store):
    first = publish_sample(store, "a", ["numpy", "pandas"], size=100_000)
    assert first.added_bytes > 400_000
    second = publish_sample(store, "b", ["numpy", "pandas", "scipy"], reuse=store.contents())
    assert second.added_bytes < 10_000
    assert store.manifest("b").packed_bytes > 400_000
    assert store.check() == ()


def test_blobs_that_a_collection_took_are_noticed(store, backend):
    publish_sample(store, "a", ["numpy"])
    known = dict(store.contents())
    before = None

    def publish():
        with store.begin() as batch:
            nonlocal before
            store.remove("a")
            store.collect(grace=0)
            before = backend.index
            content = {content_of("numpy", "tar"): known[content_of("numpy", "tar")]}
            batch.publish(encode_snapshot(sample_snapshot(["numpy"])), content, "b")

    with pytest.raises(
        BlobsVanishedError, match=r"^1 blobs have gone from memory.*nothing was published; capture again"
    ):
        publish()
    assert backend.index == before
    publish_sample(store, "b", ["numpy"], reuse=known)
    assert store.check() == ()


def test_changes_are_made_under_the_lock():
    class Watched(MemoryBackend):
        def replace_index(self, data):
            assert self._lock.locked()
            super().replace_index(data)

        def delete(self, digest):
            assert self._lock.locked()
            super().delete(digest)

        def read_index(self):
            seen.append(self._lock.locked())
            return super().read_index()

    seen = []
    store = Store(Watched())
    publish_sample(store, "a", ["numpy"])
    store.remove("a")
    assert seen[-1]  # what `remove` writes follows from what it read under the lock
    seen.clear()
    assert store.collect(grace=0).blobs == 5
    assert seen == [True]


def test_blob_of_another_size_is_not_relied_on(store, backend):
    publish_sample(store, "a", ["numpy"])
    known = store.contents()[content_of("numpy", "tar")]
    backend.blobs[known.digest] = b"short"
    with (
        store.begin() as batch,
        pytest.raises(DamagedBlobError, match=f"{known.digest} in memory is damaged: it has 5 bytes and not 40"),
    ):
        batch.publish(b"{}", {content_of("numpy", "tar"): known}, "b")
    assert [each.name for each in store.references()] == ["a"]


def test_bad_name_publishes_nothing(store, backend):
    with pytest.raises(InvalidNameError, match="'no good' cannot name a snapshot"):
        publish_sample(store, "no good", ["numpy"])
    assert backend.blobs == {}
    assert backend.index is None


def test_what_is_not_published_leaves_nothing(store, backend):
    with store.begin() as batch:
        batch.put(b"some")
        blob = batch.blob()
        blob.write(b"more")
    assert backend.blobs == {}


def test_damaged_index_is_noticed_before_blobs_move(store, backend):
    backend.index = b"nonsense"
    with pytest.raises(OSError, match="the index of memory is damaged"):
        publish_sample(store, "a", ["numpy"])
    assert backend.blobs == {}


# Removing


def test_remove_by_name(store):
    published = publish_sample(store, "a", ["numpy"]).reference
    publish_sample(store, "b", ["numpy"])
    assert store.remove("a") == published
    assert [each.name for each in store.references()] == ["b"]


def test_remove_takes_no_newest_version(store):
    publish_sample(store, "a/1", ["numpy"])
    publish_sample(store, "a/2", ["pandas"])
    with pytest.raises(UnknownSnapshotError, match="is named 'a' itself, but there are a/1, a/2; name one of these"):
        store.remove("a")
    assert len(store.references()) == 2


def test_remove_by_id(store):
    published = publish_sample(store, "a", ["numpy"]).reference
    assert store.remove(published.snapshot[:15]) == published
    assert store.references() == ()


def test_remove_by_id_of_several_lists_them(store):
    published = publish_sample(store, "a", ["numpy"]).reference
    publish_sample(store, "b", ["numpy"])
    with pytest.raises(AmbiguousSnapshotError, match="has several references in memory: a, b; remove them by name"):
        store.remove(published.snapshot)
    assert len(store.references()) == 2


def test_remove_of_what_is_not_there(store, backend):
    with pytest.raises(UnknownSnapshotError, match="no snapshot 'a'"):
        store.remove("a")
    assert backend.index is None


# Contents


def test_contents_span_all_snapshots(store):
    publish_sample(store, "a", ["numpy"])
    publish_sample(store, "b", ["pandas"])
    known = store.contents()
    for name in ("numpy", "pandas"):
        assert store.read(known[content_of(name, "tar")]) == blob_of(name, "tar")
        assert known[content_of(name, "tar")].media_type == LAYER_TYPE


def test_contents_take_the_newest_of_several_blobs(store):
    publish_sample(store, "a", ["numpy"], encoding=1, size=80)
    publish_sample(store, "b", ["numpy"], encoding=2, size=60)
    publish_sample(store, "c", ["numpy"], encoding=3, size=70)
    assert store.contents()[content_of("numpy", "tar")].size == 70


# Construction


def test_cache_directory(tmp_path):
    assert Store(tmp_path / "s").cache == tmp_path / "s" / "cache"
    assert Store(str(tmp_path / "s"), cache=tmp_path / "c").cache == tmp_path / "c"
    assert isinstance(Store(MemoryBackend(), cache=str(tmp_path)).cache, Path)
    with pytest.raises(NoCacheError, match=r"the store memory has no cache directory; open it with Store\(…, cache="):
        _ = Store(MemoryBackend()).cache


def test_reading_makes_no_directory(tmp_path):
    store = Store(tmp_path / "s")
    assert store.references() == ()
    assert store.contents() == {}
    assert not store.has(digest_of(b"x"))
    assert store.check() == ()
    with pytest.raises(UnknownSnapshotError):
        store.remove("a")
    with pytest.raises(MissingBlobError):
        store.read(Descriptor("a/b", digest_of(b"x"), 1))
    assert not (tmp_path / "s").exists()
