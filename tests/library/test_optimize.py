"""Real environments in several versions: captured as deltas, encoded anew, and restored to the byte each time."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import threading

import pytest

import snapshot
from snapshot.store.manifest import BASE, DELTA_TYPE

NOISE = random.Random(1).randbytes(300_000)


def tree(root):
    """Everything below `root`: content and mode, or where a link leads."""
    found = {}
    for top, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            if os.path.islink(path):
                found[os.path.relpath(path, root)] = os.readlink(path)
            elif name in files:
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = (status.st_mode, file.read())
    return found


@pytest.fixture
def series(environment):
    """Makes the environment's next version."""
    site = next(environment.glob("lib/python*/site-packages"))

    def change(number):
        (site / "thing" / "data.bin").write_bytes(NOISE[: number * 1000] + b"edited" * number + NOISE[number * 1000 :])
        (site / "thing" / f"added{number}.py").write_text(f"number = {number}\n")

    return change


@pytest.fixture
def captured(environment, series, store):
    """Four versions."""
    made = []
    for number in range(4):
        series(number)
        made.append(snapshot.capture(environment, store, name=f"m/{number}", interpreter=False))
    return made


def restored(store, where, names):
    """What each name restores to, at the same place and from an empty cache."""
    import shutil

    found = {}
    for name in names:
        shutil.rmtree(store.cache, ignore_errors=True)
        done = snapshot.restore(name, where / "env", store, verify="full")
        content = tree(done.destination)
        found[name] = {path: row for path, row in content.items() if not path.endswith("restored.json")}
        shutil.rmtree(where / "env")
    return found


def deltas(store, name):
    content = store.manifest(name).content
    own = {layer.diff_id for layer in store.snapshot(name).layers}
    return [diff_id for diff_id, blob in content.items() if blob.media_type == DELTA_TYPE and diff_id in own]


def bases(store, name):
    """What each delta of a snapshot's layers is against."""
    content = store.manifest(name).content
    return {content[diff_id].annotations[BASE] for diff_id in deltas(store, name)}


def test_versions_that_differ_little_are_against_the_same_one_and_not_in_a_row(environment, series, captured, store):
    def layer(number):
        (found,) = [each for each in store.snapshot(f"m/{number}").layers if each.name == "thing"]
        return found.diff_id

    def capture(number, change):
        data = next(environment.glob("lib/python*/site-packages")) / "thing" / "data.bin"
        data.write_bytes(change(data.read_bytes()))
        snapshot.capture(environment, store, name=f"m/{number}", interpreter=False)

    assert [bases(store, f"m/{number}") for number in (1, 2, 3)] == [{layer(0)}] * 3
    # Much of the next one is new, so it is what those behind it are against.
    capture(4, lambda data: random.Random(2).randbytes(60_000) + data[60_000:])
    assert bases(store, "m/4") == {layer(0)}
    for number in (5, 6):
        capture(number, lambda data: data[:100_000] + b"once more" + data[100_000:])
        assert bases(store, f"m/{number}") == {layer(4)}


def test_the_next_version_is_stored_as_a_delta(captured, store):
    assert [len(deltas(store, f"m/{number}")) for number in range(4)] == [0, 1, 1, 1]
    assert all(each.added_bytes < captured[0].added_bytes / 10 for each in captured[1:])
    assert store.check() == ()
    assert all(snapshot.verify(each.snapshot, store).ok for each in captured)


def test_without_deltas_every_layer_is_whole(environment, series, store, tmp_path, captured):
    series(9)
    whole = snapshot.capture(environment, store, name="m/9", interpreter=False, deltas=False)
    assert deltas(store, "m/9") == []
    other = snapshot.Store(tmp_path / "other")
    assert snapshot.capture(environment, other, interpreter=False).snapshot == whole.snapshot


def test_all_is_the_same_before_and_after(captured, store, tmp_path):
    names = [each.name for each in captured]
    (tmp_path / "place").mkdir()
    before = restored(store, tmp_path / "place", names)
    ids = [(each.name, each.snapshot, store.snapshot(each).parity_root) for each in store.references()]
    done = snapshot.optimize(store)
    assert done.complete
    assert done.problems == ()
    assert [(each.name, each.snapshot, store.snapshot(each).parity_root) for each in store.references()] == ids
    assert [(each.name, each.snapshot, each.parity_root) for each in captured] == ids
    assert [len(deltas(store, name)) for name in names] == [1, 1, 1, 0]
    assert restored(store, tmp_path / "place", names) == before
    assert store.check() == ()
    assert all(snapshot.verify(name, store).ok for name in names)
    assert snapshot.optimize(store).layers == 0


def test_a_capture_after_optimize_shares_what_is_there(environment, captured, store):
    snapshot.optimize(store)
    again = snapshot.capture(environment, store, name="again", interpreter=False)
    assert again.snapshot == captured[-1].snapshot
    assert store.check() == ()


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_base_does_not_stop_the_next_capture(environment, series, store, captured, harm):
    """The new layer does without it."""
    content = store.manifest("m/0").content
    (damaged,) = {
        blob.annotations[BASE]
        for number in (1,)
        for blob in store.manifest(f"m/{number}").content.values()
        if BASE in blob.annotations
    }
    path = os.path.join(str(store), "blobs", "sha256", content[damaged].digest.hex)
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        if harm == "flipped":
            file.seek(1000)
            file.write(b"something else")
        elif harm == "cut":
            file.truncate(1000)
    if harm == "gone":
        os.unlink(path)
    series(8)
    again = snapshot.capture(environment, store, name="m/8", interpreter=False)
    assert deltas(store, "m/8") == []
    assert snapshot.verify(again.snapshot, store).ok
    assert not snapshot.verify("m/0", store).ok


def test_what_is_tried_in_vain_holds_no_file_open(environment, store, monkeypatch):
    """Many layers that change altogether: each was compared with an earlier one, and none is a delta."""
    from snapshot import encoding

    site = next(environment.glob("lib/python*/site-packages"))
    noise = random.Random(2)

    def fill():
        for number in range(60):
            (site / f"many{number}-1.0.dist-info").mkdir(exist_ok=True)
            note = site / f"many{number}-1.0.dist-info"
            (note / "METADATA").write_text(f"Metadata-Version: 2.1\nName: many{number}\nVersion: 1.0\n")
            (note / "RECORD").write_text(f"many{number}.bin,,\n{note.name}/METADATA,,\n{note.name}/RECORD,,\n")
            (site / f"many{number}.bin").write_bytes(noise.randbytes(20_000))

    tried = []
    original = encoding.write_delta
    monkeypatch.setattr(encoding, "write_delta", lambda *how: tried.append(how) or original(*how))
    fill()
    snapshot.capture(environment, store, name="m/1", interpreter=False)
    fill()
    used = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, limits[1]))
    try:
        snapshot.capture(environment, store, name="m/2", interpreter=False)
        snapshot.optimize(store)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(tried) >= 60
    assert store.check() == ()


def test_captures_and_restores_while_it_runs(environment, series, store, captured, tmp_path):
    failures = []

    def run(call, *words, **how):
        try:
            call(*words, **how)
        except Exception as error:  # noqa: BLE001 - in a thread; it is shown below
            failures.append(error)

    for number in range(10, 13):
        series(number)
        busy = threading.Thread(target=run, args=(snapshot.optimize, store))
        busy.start()
        try:
            run(snapshot.capture, environment, snapshot.Store(str(store)), name=f"m/{number}", interpreter=False)
            reader = snapshot.Store(str(store), cache=tmp_path / f"cache{number}")
            run(snapshot.restore, "m/1", tmp_path / f"env{number}", reader, verify="full")
        finally:
            busy.join()
    assert failures == []
    assert all(snapshot.verify(each.snapshot, store).ok for each in store.references())
    assert len(store.references()) == 7


@pytest.mark.parametrize(("name", "times"), [("m/0", 0), ("m/3", 1)])
def test_memory_is_kept_while_deltas_are_decoded(captured, store, tmp_path, monkeypatch, name, times):
    """It is a setting of the whole process: whole layers do without."""
    from snapshot import supply

    used = []
    monkeypatch.setattr(supply, "kept", lambda: used.append(1) or contextlib.nullcontext())
    snapshot.restore(name, tmp_path / "restored", store)
    assert len(used) == times
