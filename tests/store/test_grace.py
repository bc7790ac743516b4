"""A collection spares what was removed of late, and what was written with nothing referring to it yet."""

from __future__ import annotations

import json
import time

import pytest

from snapshot.documents import canonical, digest_of
from snapshot.store import Store, StoreError
from snapshot.store.manifest import EMPTY, decode_index
from snapshot.store.memory import MemoryBackend
from snapshot.store.removed import FILE, DamagedRemovedError, load_removed, replace_index
from snapshot.store.scrub import forget
from snapshot.store.store import GRACE
from snapshot.testing.faults import FaultyBackend, SimulatedCrash
from snapshot.testing.samples import blob_of, publish_sample

START = 1_700_000_000.0


def test_a_clock_before_1970(monkeypatch):
    """What a wrong clock makes us write we can read."""
    store = Store(MemoryBackend())
    publish_sample(store, "a", ["one"])
    monkeypatch.setattr("snapshot.store.removed.time.time", lambda: -86_400.0)
    store.remove("a")
    assert [each.removed for each in load_removed(store.backend)] == [0]


class Clock:
    """Stands for `time.time`."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def backend():
    return MemoryBackend()


@pytest.fixture
def store(backend, clock):
    """Two snapshots that share a layer, a day old."""
    store = Store(backend)
    publish_sample(store, "a", ["common", "own"])
    publish_sample(store, "b", ["common", "other"])
    clock.now += 86400
    return store


OWN = digest_of(blob_of("own", "tar"))


# What was removed


def test_what_was_removed_stays_for_an_hour(store, backend, clock):
    before = dict(backend.blobs)
    store.remove("a")
    kept = store.collect()
    assert backend.blobs == before
    assert (kept.blobs, kept.bytes, kept.removed) == (0, 0, ())
    assert (kept.kept_blobs, kept.kept_until) == (4, clock.now + GRACE)
    clock.now += GRACE - 1
    assert store.collect() == kept
    clock.now += 1
    done = store.collect()
    assert (done.blobs, done.bytes, done.removed) == (4, kept.kept_bytes, ("a",))
    assert (done.kept_blobs, done.kept_bytes, done.kept_until) == (0, 0, None)
    assert OWN not in backend.blobs
    assert store.check() == ()
    assert load_removed(backend) == ()
    assert store.collect().removed == ()


def test_grace_of_nothing_deletes_at_once(store, backend, clock):
    store.remove("a")
    clock.now -= 100  # a clock that was set back does not make it last
    assert store.collect(grace=0).blobs == 4
    assert OWN not in backend.blobs


def test_the_largest_time_is_told(store, clock):
    store.remove("a")
    clock.now += 600
    store.remove("b")
    clock.now += 600
    kept = store.collect(grace=1800)
    assert (kept.blobs, kept.kept_until) == (0, START + 86400 + 600 + 1800)
    clock.now += 700
    done = store.collect(grace=1800)
    assert (done.removed, done.blobs) == (("a",), 4)
    assert done.kept_until == kept.kept_until


def test_a_snapshot_that_is_there_again_needs_no_grace(store, backend, clock):
    store.remove("a")
    publish_sample(store, "a", ["common", "own"])
    clock.now += GRACE
    done = store.collect()
    assert (done.blobs, done.removed, done.kept_blobs) == (0, (), 0)
    store.remove("a")
    clock.now += GRACE / 2
    assert store.collect().kept_blobs == 4
    assert len(load_removed(backend)) == 1


def test_removed_rows_are_written_as_they_were(store, backend, clock):
    raw = json.loads(backend.index)["manifests"][0]
    clock.now += 0.25
    store.remove("a")
    document = {"schema": 1, "rows": [{"row": raw, "removed": int(START) + 86401}]}
    assert backend.documents[FILE] == canonical(document)


def test_a_name_that_moves_gives_up_nothing_that_is_needed(store, backend, clock):
    """What it pointed to has a row without a name from then on."""
    publish_sample(store, "a", ["common", "new"])
    assert FILE not in backend.documents
    clock.now += GRACE
    assert store.collect().blobs == 0
    # The same snapshot, stored in another way: its old manifest has no row any more.
    publish_sample(store, "b", ["common", "other"], encoding=1)
    assert [each.row.name for each in load_removed(backend)] == ["b"]
    assert store.collect().blobs == 0
    clock.now += GRACE
    assert store.collect().removed == ()  # the snapshot is not gone
    assert digest_of(blob_of("other", "tar")) not in backend.blobs
    assert store.check() == ()


def test_tombstone_is_written_before_the_index(store, backend):
    """Killed in between, the snapshot is still there, whole, and so it stays."""
    for moment in range(1, 30):
        faulty = Store(FaultyBackend(backend, moment, "crash"))
        try:
            faulty.remove("a")
        except SimulatedCrash:
            assert backend.index is not None
            there = any(each.name == "a" for each in store.references())
            assert there or [each.row.name for each in load_removed(backend)] == ["a"]
            assert store.collect().blobs == 0
        else:
            break
    assert moment > 5
    assert [each.name for each in store.references()] == ["b"]


def test_a_tombstone_whose_manifest_is_gone_or_damaged_spares_nothing(store, backend):
    manifest = store.resolve("a").manifest
    other = store.resolve("b").manifest
    store.remove("a")
    store.remove("b")
    del backend.blobs[manifest.digest]
    backend.blobs[other.digest] = b"damaged"
    done = store.collect()
    assert (done.blobs, done.kept_blobs) == (9, 1)  # the damaged one itself


@pytest.mark.parametrize("data", [b"", b"[]", b'{"schema":1}', b'{"schema":1,"rows":[{}]}', b'{"schema":2,"rows":[]}'])
def test_damage_is_told_and_nothing_is_deleted(store, backend, data):
    store.remove("a")
    backend.documents[FILE] = data
    before = dict(backend.blobs)
    for act in (store.collect, lambda: store.remove("b")):
        with pytest.raises(DamagedRemovedError, match=r"^removed.json of memory is damaged: .*; delete it: "):
            act()
    (problem,) = store.check()
    assert (problem.kind, problem.path) == ("damaged", FILE)
    assert backend.blobs == before
    del backend.documents[FILE]
    assert store.collect(grace=0).blobs == 4


def test_rows_that_are_no_documents(store, backend):
    """A tool may have put any blob into the index; it goes the same way."""
    blob = b"plain"
    backend.blobs[digest_of(blob)] = blob
    raw = {"mediaType": "text/plain", "digest": digest_of(blob), "size": 5}
    before = decode_index(canonical({**EMPTY.raw, "manifests": [raw, *json.loads(backend.index)["manifests"]]}))
    after = decode_index(backend.index)
    with backend.lock():
        replace_index(backend, before, after)
    assert store.collect().kept_blobs == 1
    assert store.collect(grace=0).blobs == 1


# What nothing refers to yet


def test_what_was_just_written_stays(store, backend, clock):
    """Another tool copies blobs into the layout, and its index comes last."""
    with store.begin() as batch:
        digest, _ = batch.put(b"copied")
        with backend.lock():
            batch._staging.publish()
    kept = store.collect()
    assert (kept.blobs, kept.kept_blobs, kept.kept_bytes, kept.kept_until) == (0, 1, 6, clock.now + GRACE)
    assert store.collect(grace=10 * GRACE).kept_until == clock.now + 10 * GRACE
    clock.now += GRACE
    assert store.collect().blobs == 1
    assert digest not in backend.blobs


# Dry run


def test_a_dry_run_says_what_would_go_and_changes_nothing(store, backend, clock):
    store.remove("a")
    clock.now += GRACE
    blobs, index, documents = dict(backend.blobs), backend.index, dict(backend.documents)
    with backend.lock():  # it takes none
        said = store.collect(dry_run=True)
    assert (backend.blobs, backend.index, backend.documents) == (blobs, index, documents)
    assert said == store.collect()
    assert said.removed == ("a",)


def test_a_dry_run_makes_no_store(tmp_path):
    assert Store(tmp_path / "store").collect(dry_run=True).blobs == 0
    assert not (tmp_path / "store").exists()


def test_a_dry_run_leaves_every_file_as_it_is(tmp_path):
    store = Store(tmp_path / "store")
    publish_sample(store, "a", ["own"])
    store.remove("a")

    def files():
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}

    before = files()
    assert store.collect(grace=0, dry_run=True).blobs == 5
    assert files() == before


# Superseded manifests


def test_forgetting_a_manifest_that_another_took_the_place_of(store, backend):
    old = store.resolve("a").manifest
    size = sum(map(len, backend.blobs.values()))
    publish_sample(store, "a", ["common", "own"], encoding=1)
    del backend.documents[FILE]  # as one who replaces the index without giving anything up
    larger = sum(map(len, backend.blobs.values()))
    with backend.lock():
        blobs, freed = forget(backend, [old])
    # The blobs of `common` are those of "b", too; record, tar and tree of `own` and the manifest are not.
    assert (blobs, freed) == (3, larger - sum(map(len, backend.blobs.values())))
    assert size < larger
    assert old.digest not in backend.blobs
    assert OWN not in backend.blobs
    assert store.check() == ()
    with backend.lock():
        assert forget(backend, [old]) == (0, 0)


def test_what_the_index_or_a_removed_row_needs_is_not_forgotten(store, backend):
    manifests = [store.resolve(name).manifest for name in "ab"]
    store.remove("a")
    before = dict(backend.blobs)
    with backend.lock():
        assert forget(backend, manifests) == (0, 0)
    assert backend.blobs == before


def test_nothing_is_forgotten_when_the_index_cannot_be_followed(store, backend):
    old = store.resolve("a").manifest
    del backend.blobs[store.resolve("b").manifest.digest]
    before = dict(backend.blobs)
    with backend.lock(), pytest.raises(StoreError, match="cannot collect in memory: what b needs cannot be told"):
        forget(backend, [old])
    assert backend.blobs == before


def test_without_an_index_nothing_is_forgotten(store, backend):
    old = store.resolve("a").manifest
    backend.index = None
    before = dict(backend.blobs)
    with backend.lock():
        assert forget(backend, [old]) == (0, 0)
    assert backend.blobs == before
