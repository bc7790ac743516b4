"""What `collect` gives back, and what it leaves."""

import errno
import os
import subprocess
import sys

import pytest

import snapshot
from snapshot.cache import LayerCache
from snapshot.collecting import GraceError
from snapshot.testing.samples import publish_sample
from tests.versions import fill, sound


def test_layers_are_forgotten_and_what_was_restored_stays_whole(environment, store, tmp_path):
    captured = snapshot.capture(environment, store, interpreter=False, name="thing")
    destination = tmp_path / "restored"
    snapshot.restore("thing", destination, store, link="hardlink")
    layers = {layer.tree for layer in store.snapshot("thing").layers}
    cache = LayerCache(store.cache)
    kept = {layer for layer in layers if cache.has(layer)}
    assert kept
    assert snapshot.collect(store, grace=0) == snapshot.Collection(0, 0, 0, 0)
    assert {layer for layer in layers if cache.has(layer)} == kept

    store.remove("thing")
    done = snapshot.collect(store, grace=0)
    # Of each layer the tar and the tree; manifest, config, record and facts.
    assert (done.blobs, done.layers, done.leftovers) == (2 * len(layers) + 4, len(kept), 0)
    assert done.bytes == captured.packed_bytes
    assert not any(cache.has(layer) for layer in layers)
    source = next(destination.glob("lib/python*/site-packages/thing/__init__.py"))
    assert source.read_text() == "answer = 42\n"

    again = snapshot.capture(environment, store, interpreter=False, name="thing")
    assert again.snapshot == captured.snapshot
    assert again.added_bytes == captured.added_bytes
    assert snapshot.verify(destination, store).ok


def test_what_a_killed_process_left_is_removed(environment, store):
    snapshot.capture(environment, store, interpreter=False)
    left = store.cache / ".envparity-0123456789abcdef"
    (left / "tree").mkdir(parents=True)
    (left / "lock").touch()
    (left / "tree" / "half").write_text("a layer")
    assert snapshot.collect(store, grace=0).leftovers == 1
    assert not left.exists()


def test_nothing_is_forgotten_while_a_snapshot_cannot_be_read(environment, store, tmp_path):
    captured = snapshot.capture(environment, store, interpreter=False, name="thing")
    snapshot.restore("thing", tmp_path / "restored", store)
    config = tmp_path / "store" / "blobs" / "sha256" / captured.snapshot[7:]
    os.chmod(config, 0o644)
    config.write_bytes(b"damaged")
    assert snapshot.collect(store, grace=0).layers == 0
    assert os.listdir(store.cache / "layers")


def test_on_a_full_disk_it_makes_room_all_the_same(tmp_path, monkeypatch):
    """To let go of a removed layer that others are deltas against takes room first; the rest goes without it."""
    store = fill(snapshot.Store(tmp_path / "store"))
    publish_sample(store, "other", ["of nobody else"])
    store.remove("m/0")
    store.remove("other")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("snapshot.tars.tempfile.TemporaryFile", full)
        done = snapshot.collect(store, grace=0)
    assert done.blobs
    assert (done.rebased, done.full) == (0, True)
    assert store.check() == ()
    assert not snapshot.collect(store, grace=0).full
    sound(store)


# While others are at work


def remove_and_collect(store, grace):
    """As another process does it."""
    code = (
        "import sys, snapshot; store = snapshot.Store(sys.argv[1]); store.remove('thing');"
        " print(snapshot.collect(store, grace=float(sys.argv[2])).blobs)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, store.backend.path, str(grace)],
        check=True,
        capture_output=True,
        text=True,
        cwd=os.path.dirname(os.path.dirname(snapshot.__file__)),
    )
    return int(done.stdout)


def test_a_restore_that_has_begun_loses_nothing(environment, store, tmp_path):
    """Its snapshot is removed and collected while the first layer is unpacked."""
    captured = snapshot.capture(environment, store, interpreter=False, name="thing")
    deleted = []

    def meddle(*_):
        if not deleted:
            deleted.append(remove_and_collect(store, 60))

    snapshot.restore("thing", tmp_path / "restored", store, progress=meddle)
    assert deleted == [0]
    assert store.references() == ()
    again = snapshot.capture(tmp_path / "restored", snapshot.Store(tmp_path / "other"), interpreter=False)
    assert again.parity_root == captured.parity_root
    # The unpacked layers are kept as long.
    assert os.listdir(store.cache / "layers")
    assert snapshot.collect(store, grace=60).layers == 0
    assert snapshot.collect(store, grace=0).layers > 0


def test_without_grace_it_does(environment, store, tmp_path):
    """So the test above can fail."""
    snapshot.capture(environment, store, interpreter=False, name="thing")
    deleted = []

    def meddle(*_):
        if not deleted:
            deleted.append(remove_and_collect(store, 0))

    with pytest.raises(snapshot.SnapshotError, match=r"blob sha256:[0-9a-f]{64} is not in the store"):
        snapshot.restore("thing", tmp_path / "restored", store, progress=meddle)
    assert deleted[0] > 0


@pytest.mark.parametrize("grace", [0, 60])
def test_a_capture_that_counted_on_a_removed_snapshot(environment, store, grace):
    """It finds its blobs kept; or it finds them gone, and captures again."""
    first = snapshot.capture(environment, store, interpreter=False, name="thing")
    deleted = []

    def meddle(*_):
        if not deleted:
            deleted.append(remove_and_collect(store, grace))

    again = snapshot.capture(environment, store, interpreter=False, name="other", progress=meddle)
    assert (deleted[0] > 0) == (grace == 0)
    assert again.snapshot == first.snapshot
    assert store.check() == ()
    assert snapshot.collect(store, grace=0).blobs == 0


def test_a_dry_run_says_which_layers_would_be_forgotten(environment, store, tmp_path):
    snapshot.capture(environment, store, interpreter=False, name="thing")
    snapshot.restore("thing", tmp_path / "restored", store)
    store.remove("thing")
    before = sorted(store.cache.rglob("*"))
    said = snapshot.collect(store, grace=0, dry_run=True)
    assert said.layers > 0
    assert sorted(store.cache.rglob("*")) == before
    assert snapshot.collect(store, grace=0) == said


def test_blueprints_of_other_snapshots_stay(environment, store, tmp_path):
    snapshot.capture(environment, store, interpreter=False, name="thing")
    snapshot.restore("thing", tmp_path / "one", store)
    (environment / "further").write_text("a file that is new\n")
    snapshot.capture(environment, store, interpreter=False, name="next")
    snapshot.restore("next", tmp_path / "two", store)
    assert len(os.listdir(store.cache / "blueprints")) == 2
    store.remove("thing")
    snapshot.collect(store, grace=0)
    assert os.listdir(store.cache / "blueprints") == [f"{store.resolve('next').snapshot.hex}.json"]


@pytest.mark.parametrize("grace", [-1, float("nan")])
def test_a_grace_period_that_is_none(store, grace):
    with pytest.raises(GraceError, match=r"a grace period of .* seconds: give 0 or more"):
        snapshot.collect(store, grace=grace)
