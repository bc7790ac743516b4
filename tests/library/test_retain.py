"""Which versions stay, why, and what a collection then gives back."""

from __future__ import annotations

import calendar
import time

import pytest

import snapshot
from snapshot.documents import digest_of
from snapshot.pending import pending_name
from snapshot.retention import RetentionError, is_tag
from snapshot.store import UnknownSnapshotError
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import blob_of, publish_sample

DAY = 86400.0
TODAY = calendar.timegm((2026, 11, 22, 0, 0, 0))


@pytest.fixture
def at(monkeypatch):
    """Set the clock: days before today."""

    def at(days):
        monkeypatch.setattr(time, "time", lambda: TODAY - days * DAY)
        monkeypatch.setattr(time, "gmtime", lambda *given: gmtime(*(given or [TODAY - days * DAY])))

    gmtime = time.gmtime
    at(0)
    return at


@pytest.fixture
def store(at):
    """Versions 1 to 5 of `m`, 50, 40, … 10 days old, and another name."""
    store = snapshot.Store(MemoryBackend())
    for number in range(1, 6):
        at(60 - 10 * number)
        publish_sample(store, f"m/{number}", ["common", f"own{number}"])
    publish_sample(store, "other", ["common", "else"])
    at(0)
    return store


def names(references):
    return [each.name for each in references]


def reasons(done):
    return {each.reference.name: each.reason for each in done.kept}


def test_the_newest_stay(store):
    done = snapshot.retain(store, "m", keep_last=2)
    assert names(done.removed) == ["m/1", "m/2", "m/3"]
    assert reasons(done) == {"m/4": "among the newest 2", "m/5": "the newest version"}
    assert names(store.references()) == ["m/4", "m/5", "other"]
    assert snapshot.retain(store, "m", keep_last=2).removed == ()


def test_what_is_not_old_enough_stays(store):
    done = snapshot.retain(store, "m", older_than=30 * DAY)
    assert names(done.removed) == ["m/1", "m/2"]
    assert reasons(done) == {"m/3": "not old enough", "m/4": "not old enough", "m/5": "the newest version"}


def test_the_newest_version_always_stays(store):
    done = snapshot.retain(store, "m", older_than=0)
    assert names(done.removed) == ["m/1", "m/2", "m/3", "m/4"]
    assert names(store.references()) == ["m/5", "other"]


def test_every_rule_must_let_it_go(store):
    assert names(snapshot.retain(store, "m", keep_last=4, older_than=0, dry_run=True).removed) == ["m/1"]
    assert names(snapshot.retain(store, "m", keep_last=1, older_than=45 * DAY, dry_run=True).removed) == ["m/1"]
    store.tag("m/1", "m/production")
    done = snapshot.retain(store, "m", keep_last=1, older_than=35 * DAY, keep_tagged=True)
    assert names(done.removed) == ["m/2"]
    assert reasons(done)["m/1"] == "tagged m/production"
    assert reasons(done)["m/production"] == "a tag"


def test_a_tag_goes_and_stays_with_its_version(store):
    store.tag("m/1", "m/first")
    store.tag("m/5", "m/production")
    done = snapshot.retain(store, "m", keep_last=2)
    assert set(names(done.removed)) == {"m/1", "m/first", "m/2", "m/3"}
    assert reasons(done) == {
        "m/4": "among the newest 2",
        "m/5": "the newest version",
        "m/production": "a tag of m/5",
    }


def test_a_tag_of_another_name_counts(store):
    store.tag("m/1", "serving/blue")
    done = snapshot.retain(store, "m", keep_last=1, keep_tagged=True)
    assert names(done.removed) == ["m/2", "m/3", "m/4"]
    assert reasons(done)["m/1"] == "tagged serving/blue"


def test_only_tags(at):
    store = snapshot.Store(MemoryBackend())
    at(2)
    publish_sample(store, "m/old", ["a"])
    at(1)
    publish_sample(store, "m/new", ["b"])
    done = snapshot.retain(store, "m", keep_last=1)
    assert (names(done.removed), reasons(done)) == (["m/old"], {"m/new": "the newest version"})


def test_the_name_itself_is_a_version(store):
    publish_sample(store, "m", ["common", "own6"])
    done = snapshot.retain(store, "m", keep_last=2)
    assert reasons(done) == {"m": "the newest version", "m/5": "among the newest 2"}


def test_of_the_same_second_the_later_is_the_newer(at):
    store = snapshot.Store(MemoryBackend())
    for name in ("m/b", "m/2", "m/1"):
        publish_sample(store, name, [name[2:]])
    assert reasons(snapshot.retain(store, "m", keep_last=1)) == {"m/1": "the newest version"}


def test_what_has_no_time_is_not_old(store):
    """Tools that copy snapshots leave our annotations out, or write times otherwise."""
    backend = store.backend
    backend.index = backend.index.replace(b"2026-10-03T", b"")
    done = snapshot.retain(store, "m", older_than=30 * DAY)
    assert reasons(done)["m/1"] == "nobody knows how old it is"
    assert names(done.removed) == ["m/2"]


def test_a_dry_run_changes_nothing(store):
    index, documents = store.backend.index, dict(store.backend.documents)
    with store.backend.lock():
        said = snapshot.retain(store, "m", keep_last=1, dry_run=True)
    assert (store.backend.index, store.backend.documents) == (index, documents)
    assert snapshot.retain(store, "m", keep_last=1) == said


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_a_collection_then_frees(store, at, dry_run):
    store.tag("m/3", "m/kept")
    said = snapshot.retain(store, "m", keep_last=1, keep_tagged=True, dry_run=dry_run)
    if dry_run:
        snapshot.retain(store, "m", keep_last=1, keep_tagged=True)
    assert snapshot.collect(store).bytes == 0
    at(-1)
    assert snapshot.collect(store).bytes == said.free_bytes > 0
    assert digest_of(blob_of("own3", "tar")) in store.backend.blobs
    assert digest_of(blob_of("own4", "tar")) not in store.backend.blobs
    assert store.check() == ()


def test_a_damaged_manifest_hides_what_is_freed(store):
    del store.backend.blobs[store.resolve("other").manifest.digest]
    done = snapshot.retain(store, "m", keep_last=1)
    assert len(done.removed) == 4
    assert done.free_bytes is None


def test_removal_is_one_step(store):
    class Counted(MemoryBackend):
        def replace_index(self, data):
            replaced.append(len(self.documents))
            super().replace_index(data)

    replaced = []
    counted = Counted()
    counted.__dict__.update(store.backend.__dict__)
    snapshot.retain(snapshot.Store(counted), "m", keep_last=1)
    assert replaced == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing says what may go: give keep_last, older_than or both"),
        ({"keep_tagged": True}, "nothing says what may go"),
        ({"keep_last": 0}, "keep_last is 0, and the newest version always stays: give 1 or more"),
        ({"older_than": -1}, "older_than is -1: give a number of seconds, 0 or more"),
        ({"older_than": float("nan")}, "older_than is nan"),
    ],
)
def test_rules_that_are_none(store, options, message):
    with pytest.raises(RetentionError, match=message):
        snapshot.retain(store, "m", **options)
    assert len(store.references()) == 6


def test_a_name_that_nothing_has(store, tmp_path):
    with pytest.raises(UnknownSnapshotError, match="no snapshot in memory is named 'n' or n/VERSION"):
        snapshot.retain(store, "n", keep_last=1)
    with pytest.raises(UnknownSnapshotError):
        snapshot.retain(snapshot.Store(tmp_path / "store"), "n", keep_last=1)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["m/production", "m/vintage", "m/v", "m/x1"])
def test_tags(name):
    assert is_tag(name)


@pytest.mark.parametrize("name", ["m/3", "m/v3", "m/2025-12-01", "m/v0.1", "m", "production", "v", None])
def test_versions(name):
    assert not is_tag(name)


# Tags


def test_a_tag_is_one_more_name(store):
    tagged = store.tag("m/2", "m/production")
    assert tagged.snapshot == store.resolve("m/2").snapshot
    assert store.resolve("m/production") == tagged
    assert store.tag("m/2", "m/production") == tagged
    assert len(store.references()) == 7


def test_a_tag_is_no_newer_version(store):
    store.tag("m/2", "m/production")
    assert store.resolve("m").name == "m/5"


def test_a_tag_moves_and_tombstones_nothing_that_is_needed(store):
    store.tag("m/2", "m/production")
    store.tag("m/3", "m/production")
    assert store.resolve("m/production").snapshot == store.resolve("m/3").snapshot
    assert len(store.references()) == 7
    assert store.backend.documents == {}


def test_a_snapshot_that_had_only_the_tag_stays(store):
    old = store.tag("m/2", "m/production").snapshot
    store.remove("m/2")
    store.tag("m/3", "m/production")
    assert store.resolve(old).name is None
    assert snapshot.collect(store, grace=0).blobs == 0


def test_what_cannot_be_tagged(store, tmp_path):
    with pytest.raises(UnknownSnapshotError, match="no snapshot 'n' in memory"):
        store.tag("n", "m/x")
    with pytest.raises(ValueError, match="'m/x/y' cannot name a snapshot"):
        store.tag("m/1", "m/x/y")
    with pytest.raises(UnknownSnapshotError):
        snapshot.Store(tmp_path / "store").tag("m", "x")
    assert not (tmp_path / "store").exists()


def test_what_is_being_registered_is_no_version_yet(store, at):
    """It stays, takes nobody's place, and is not what the name stands for; what a killed registration left goes."""
    at(1)
    old = pending_name("m")
    publish_sample(store, old, ["common", "killed"])
    at(0)
    new = pending_name("m")
    publish_sample(store, new, ["common", "begun"])
    assert store.resolve("m").name == "m/5"
    assert store.resolve(new).name == new
    done = snapshot.retain(store, "m", keep_last=2)
    assert names(done.removed) == ["m/1", "m/2", "m/3", old]
    assert reasons(done) == {"m/4": "among the newest 2", "m/5": "the newest version", new: "being registered"}
    assert not is_tag(new)


def test_before_the_first_version_there_is_none(at):
    store = snapshot.Store(MemoryBackend())
    name = pending_name("m")
    publish_sample(store, name, ["a"])
    with pytest.raises(UnknownSnapshotError, match="'m'"):
        store.resolve("m")
    assert reasons(snapshot.retain(store, "m", keep_last=1)) == {name: "being registered"}
