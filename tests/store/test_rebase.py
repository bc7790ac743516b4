"""What a removed snapshot alone had is let go of, though others are deltas against it; and nothing else is looked at."""

from __future__ import annotations

import errno
import io
import os
import random

import pytest

import snapshot
from snapshot import optimize
from snapshot.rebasing import rebase
from snapshot.store import Store
from snapshot.store.manifest import BASE, DELTA_TYPE, EFFORT, LAYER_TYPE
from snapshot.store.removed import load_removed
from snapshot.tars import bases
from snapshot.testing.samples import publish_sample
from tests.building import publish
from tests.deltas import as_delta
from tests.versions import fill, sound, tars, version


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def rebased(store):
    return rebase(store, [each.row for each in load_removed(store.backend)])


def strays(store):
    """Layers that a manifest lists, and no snapshot has."""
    own = {layer.diff_id for each in store.references() for layer in store.snapshot(each).layers}
    listed = {
        content
        for each in store.references()
        for content, blob in store.manifest(each).content.items()
        if blob.media_type in {LAYER_TYPE, DELTA_TYPE}
    }
    return listed - own


def bases_by_version(store):
    """Of each version of layer `a` the versions that its blob needs."""
    found = {}
    layers = [
        (each, layer) for each in store.references() for layer in store.snapshot(each).layers if layer.name == "a"
    ]
    names = {layer.diff_id: layer.version for _, layer in layers}
    for each, layer in layers:
        found[layer.version] = [names.get(base, "gone") for base in bases(store.manifest(each).content, layer.diff_id)]
    return found


def test_strays_are_set_free(store):
    """The base's snapshot is gone: what is a delta against it is encoded anew, and then a collection takes it."""
    base, part = version("a", 1), version("a", 2)
    publish(store, base, name="m/1")
    publish(store, as_delta(base, part), name="m/2", beside=[base])
    assert rebased(store) == 0
    store.remove("m/1")
    before = tars(store)
    assert rebased(store) == 1
    assert base.layer.diff_id not in store.manifest("m/2").content
    store.collect(grace=0)
    assert tars(store) == before
    assert sound(store)
    assert not any(BASE in blob.annotations for blob in store.manifest("m/2").content.values())


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        # The oldest: what followed it becomes whole, and all that follow are as they were.
        ([0], {"1": [], "2": ["1"], "3": ["2", "1"]}),
        # One in between, or two: the next one is made against what lies before.
        ([1], {"0": [], "2": ["0"], "3": ["2", "0"]}),
        ([1, 2], {"0": [], "3": ["0"]}),
        ([0, 2], {"1": [], "3": ["1"]}),
        ([0, 1, 2], {"3": []}),
        # The newest is nobody's base.
        ([3], {"0": [], "1": ["0"], "2": ["1", "0"]}),
    ],
)
def test_only_what_follows_is_encoded_anew(store, gone, left):
    fill(store)
    for number in gone:
        store.remove(f"m/{number}")
    before = tars(store)
    done = snapshot.collect(store, grace=0)
    assert done.rebased == (0 if gone == [3] else 4 if gone == [0, 2] else 2)  # the layers `a` and `b`
    assert bases_by_version(store) == left
    assert tars(store) == before
    assert strays(store) == set()
    assert sound(store)
    assert snapshot.collect(store, grace=0) == snapshot.Collection(0, 0, 0, 0)


def test_several_that_follow_share_what_they_have(store):
    """The newest of them becomes whole, the others deltas against it."""
    base, parts = version("a", 0), [version("a", number) for number in (1, 2, 3)]
    publish(store, base, name="m/0")
    for number, part in enumerate(parts, 1):
        publish(store, as_delta(base, part), name=f"m/{number}", beside=[base])
    store.remove("m/0")
    before = tars(store)
    assert snapshot.collect(store, grace=0).rebased == 3
    assert bases_by_version(store) == {"1": ["3"], "2": ["3"], "3": []}
    assert tars(store) == before
    assert sound(store)


def test_any_removals_in_any_order(tmp_path):
    chance = random.Random(20261122)
    for turn in range(12):
        store = fill(Store(tmp_path / str(turn)), 6)
        if turn % 3 == 0:
            snapshot.optimize(store)
        left = [f"m/{number}" for number in range(6)]
        while left:
            for name in chance.sample(left, min(len(left), chance.randint(1, 3))):
                store.remove(name)
                left.remove(name)
            before = tars(store)
            snapshot.collect(store, grace=0)
            assert tars(store) == before
            assert strays(store) == set()
            assert sound(store)
        assert list(store.backend.digests()) == []


def test_what_is_spared_for_a_while_is_no_stray(store):
    fill(store)
    store.remove("m/0")
    before = sorted(store.backend.digests())
    assert snapshot.collect(store, grace=60).rebased == 0
    assert sorted(store.backend.digests()) == before
    assert snapshot.collect(store, grace=0).rebased == 2
    assert strays(store) == set()


def test_a_snapshot_that_came_back_is_not_removed(store):
    fill(store)
    reference, content = store.resolve("m/0"), store.manifest("m/0").content
    config = store.read(store.manifest("m/0").config)
    store.remove("m/0")
    with store.begin() as batch:
        batch.publish(config, content, "again")
    assert store.resolve("again").snapshot == reference.snapshot
    assert snapshot.collect(store, grace=0).rebased == 0
    assert sound(store)


def test_a_damaged_blob_keeps_what_it_needs(store):
    fill(store)
    layer = next(layer for layer in store.snapshot("m/1").layers if layer.name == "a")
    path = store.cache.parent / "blobs" / "sha256" / store.manifest("m/1").content[layer.diff_id].digest.hex
    store.remove("m/0")
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good[:-1] + b"\xff")
    assert snapshot.collect(store, grace=0).rebased == 1
    assert store.manifest("m/1").content[layer.diff_id].media_type == DELTA_TYPE
    path.write_bytes(good)
    assert sound(store)


def test_a_bad_sector_keeps_what_it_needs(store, monkeypatch):
    fill(store)
    layer = next(layer for layer in store.snapshot("m/1").layers if layer.name == "a")
    bad = store.manifest("m/1").content[layer.diff_id].digest
    store.remove("m/0")
    opened = store.backend.open

    class Unreadable(io.BytesIO):
        def read(self, size=-1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(store.backend, "open", lambda digest: Unreadable() if digest == bad else opened(digest))
    assert snapshot.collect(store, grace=0).rebased == 1
    (problem,) = optimize(store).problems
    assert f"blob {bad} in {store} is damaged: it cannot be read (Input/output error); put a good copy" in problem
    monkeypatch.undo()
    assert sound(store)


def test_what_was_encoded_in_haste_is_encoded_better_when_there_is_time(store):
    fill(store)
    optimize(store)
    store.remove("m/2")
    assert snapshot.collect(store, grace=0).rebased
    hasty = {content for content, blob in blobs(store).items() if blob.annotations.get(EFFORT) == "0"}
    assert hasty
    optimize(store)
    assert not [blob for blob in blobs(store).values() if blob.annotations.get(EFFORT) == "0"]
    assert sound(store)


def blobs(store):
    return {content: blob for each in store.references() for content, blob in store.manifest(each).content.items()}


def test_what_gc_says_it_freed_is_what_the_store_is_smaller_by(store):
    fill(store)

    def size():
        return sum(store.backend.size(digest) for digest in store.backend.digests())

    for name in ("m/0", "m/1"):
        store.remove(name)
        before = size()
        done = snapshot.collect(store, grace=0)
        assert done.rebased
        assert done.bytes == max(0, before - size())


def test_it_needs_no_cache_and_believes_none(tmp_path):
    """The index of contents of another store says nothing of this one."""
    store = fill(Store(tmp_path / "store"))
    other = Store(tmp_path / "other", cache=store.cache)
    publish_sample(other, "m/0", ["common"])
    assert len(other.contents()) > 0
    store.remove("m/0")
    assert rebased(Store(store.backend)) == 2
    assert strays(store) == set()


class Opened:
    """Which manifests are read, by the names that they had."""

    def __init__(self, store, monkeypatch):
        self.names = []
        self._known = {each.manifest.digest: each.name for each in store.references()}
        original = store.backend.open

        def noted(digest):
            if digest in self._known:
                self.names.append(self._known[digest])
            return original(digest)

        monkeypatch.setattr(store.backend, "open", noted)


def many(store):
    """Forty snapshots that share a layer, and four others in a row of deltas; the index of contents knows all of them."""
    for number in range(40):
        publish_sample(store, f"other/{number}", ["common", f"own{number}"])
    fill(store)
    assert version("a", 0).layer.diff_id in store.contents()


def test_manifests_that_have_nothing_to_do_with_it_are_not_read(store, monkeypatch):
    """However many there are: the removed one, and one that has what it had."""
    many(store)
    opened = Opened(store, monkeypatch)
    store.remove("other/7")
    opened.names.clear()
    assert rebased(store) == 0
    assert set(opened.names) == {"other/7", "other/39"}
    assert len(opened.names) <= 4


def test_of_a_row_of_deltas_those_are_looked_into_that_need_what_goes(store, monkeypatch):
    """Deleting what their old blobs were takes a walk over all manifests, as text: that is not counted here."""
    many(store)
    store.remove("m/1")
    looked = []
    original = store.manifest
    monkeypatch.setattr(store, "manifest", lambda reference: looked.append(reference.name) or original(reference))
    assert rebased(store) == 2
    # The removed one; those that list its layers; and the one that has the base that these are then made against.
    assert set(looked) == {"m/0", "m/1", "m/2", "m/3"}
    monkeypatch.undo()
    assert strays(store) == set()
