"""What may be missing where an environment is captured or restored: room on a disk, and the permission to keep what is only of use."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

import snapshot
import snapshot.testing.samples
from snapshot.lineage import Lineage
from snapshot.restoring import DestinationError
from snapshot.space import NoSpaceError
from snapshot.store.directory import DirectoryStaging
from snapshot.store.manifest import DELTA_TYPE


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_cache_is_named_and_not_the_destination(environment, store, tmp_path, monkeypatch):
    snapshot.capture(environment, store, interpreter=False, name="thing")
    place = tmp_path / "elsewhere" / "env"
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(NoSpaceError, match=rf"^no space left on the disk of {store.cache}; make room and repeat"):
            snapshot.restore("thing", place, store)
    assert not place.exists()
    snapshot.restore("thing", place, store)
    assert snapshot.verify(place, store).ok


@pytest.mark.parametrize(
    ("number", "place", "said"),
    [
        (errno.EROFS, "cache/x", r"a read-only file system has .*/cache/x; use another cache directory [(]--cache[)]"),
        (errno.EROFS, "cache-of-envs/x", r"a read-only file system has .*/cache-of-envs/x; choose another destination"),
        (errno.EACCES, "cache/x", r"no permission to write .*/cache/x; use another cache directory [(]--cache[)]"),
        (
            errno.ENOTEMPTY,
            "env",
            r"another process has put something into .*/cache-of-envs/env meanwhile; choose another",
        ),
    ],
)
def test_what_the_file_system_says_has_its_remedy(environment, store, tmp_path, monkeypatch, number, place, said):
    snapshot.capture(environment, store, interpreter=False, name="thing")
    store = snapshot.Store(str(store), cache=tmp_path / "cache")

    def refused(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / place), None, str(tmp_path / "cache-of-envs" / "env"))

    monkeypatch.setattr("snapshot.restoring.os.rename", refused)
    with pytest.raises(DestinationError, match=said) as caught:
        snapshot.restore("thing", tmp_path / "cache-of-envs" / "env", store)
    assert caught.value.errno == number


def test_a_key_that_cannot_be_written_leaves_nothing(store, monkeypatch):
    snapshot.testing.samples.publish_sample(store, "x", ["one"])
    with monkeypatch.context() as patch:
        patch.setattr("snapshot.store.secret.os.fsync", full)
        with pytest.raises(NoSpaceError, match=rf"^no space left on the disk of {store}; make room"):
            store.variables_key(make=True)
    assert not [name for name in os.listdir(str(store)) if name.startswith("variables.key")]
    assert len(store.variables_key(make=True)) == 32


def test_what_interpreters_said_need_not_be_kept(environment, store, tmp_path):
    """The cache may be another's, or read-only: to ask again takes longer, and is right."""
    snapshot.capture(environment, store, interpreter=False, name="thing")
    (store.cache / "interpreters.json").mkdir(parents=True)
    snapshot.restore("thing", tmp_path / "restored", store)
    assert snapshot.verify(tmp_path / "restored", store).ok
    assert (store.cache / "interpreters.json").is_dir()


def changed(environment):
    """Another version of the distribution."""
    (data,) = environment.glob("lib/python*/site-packages/thing/data.bin")
    data.write_bytes(data.read_bytes()[:500_000] + b"changed" + data.read_bytes()[500_000:])


def deltas(store, name):
    return sum(blob.media_type == DELTA_TYPE for blob in store.manifest(name).content.values())


def test_where_a_base_does_not_fit_the_layer_is_stored_whole(environment, store, monkeypatch):
    snapshot.capture(environment, store, interpreter=False, name="thing/1")
    changed(environment)
    with monkeypatch.context() as patch:
        patch.setattr("snapshot.tars.Tar.write_at", full)
        snapshot.capture(environment, store, interpreter=False, name="thing/2")
    assert deltas(store, "thing/2") == 0
    store.remove("thing/2")
    snapshot.collect(store, grace=0)
    snapshot.capture(environment, store, interpreter=False, name="thing/2")
    assert deltas(store, "thing/2") == 1
    assert snapshot.verify("thing/2", store).ok


def test_a_layer_that_the_store_has_after_all_leaves_nothing_open(environment, store, monkeypatch):
    """One that no recent snapshot has is only known when it was read."""
    snapshot.capture(environment, store, interpreter=False, name="thing", deltas=False)
    shutil.rmtree(store.cache)
    monkeypatch.setattr(Lineage, "knows", lambda *_: False)
    counts = []
    publish = DirectoryStaging.publish

    def counted(staging):
        counts.append((len(staging._open), len(os.listdir(staging._area.path)) - len(staging._closed)))
        return publish(staging)

    before = snapshot.collect(store, grace=0)
    assert before.blobs == 0
    monkeypatch.setattr(DirectoryStaging, "publish", counted)
    again = snapshot.capture(environment, store, interpreter=False, name="thing", deltas=False)
    assert again.added_bytes == 0
    ((still_open, others),) = counts
    assert still_open == 0
    assert others <= 1  # the lock of the area
