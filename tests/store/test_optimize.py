"""`optimize` on stores of small layers: what every snapshot is stays the same, whatever fails and whoever else is there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from snapshot import optimize, optimizing, verify
from snapshot.encoding import DEPTH
from snapshot.model import Kind
from snapshot.optimizing import rebase
from snapshot.store import Store, StoreError
from snapshot.store.manifest import BASE, DELTA_TYPE, EFFORT, LAYER_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.tars import Tars, bases
from snapshot.testing.faults import FaultyBackend, SimulatedCrash
from tests.building import built, file, publish
from tests.deltas import as_delta

_ROOT = Path(__file__).parent.parent.parent
NOISE = random.Random(5).randbytes(40_000)


def version(name, number):
    """A layer of 40 kB, of which each version has another hundred bytes."""
    data = NOISE[: number * 200] + bytes([number]) * 100 + NOISE[number * 200 :]
    rows = [file(f"{name}.so", data + name.encode()), file(f"{name}.txt", str(number).encode())]
    return built(*rows, kind=Kind.DISTRIBUTION, name=name, version=str(number))


def fill(store, count=4, *, deltas=True):
    """Snapshots m/0, m/1 …, each captured as deltas against the one before: two layers that change, one that does not."""
    before, beside = [], []
    for number in range(count):
        parts = [version(name, number) for name in ("a", "b")]
        own = [as_delta(*pair) for pair in zip(before, parts, strict=True)] if before and deltas else parts
        publish(store, *own, version("same", 0), name=f"m/{number}", beside=beside)
        before, beside = parts, [*own, *beside] if deltas else []
    return store


def tars(store):
    """Everything that the store holds for each snapshot: what no encoding may change."""
    found = {}
    for reference in store.references():
        manifest, snapshot = store.manifest(reference), store.snapshot(reference)
        reader = Tars(store, manifest.content)
        found[reference.name, reference.snapshot, snapshot.parity_root] = {
            layer.diff_id: b"".join(reader.chunks(layer.diff_id, layer.label)) for layer in snapshot.layers
        }
    return found


def sound(store):
    """Every snapshot verifies, and nothing is there that nobody needs."""
    assert store.check() == ()
    for reference in store.references():
        assert verify(reference.snapshot, store).problems == ()
    return True


def depth(store):
    rows = [
        bases(store.manifest(each).content, layer.diff_id)
        for each in store.references()
        for layer in store.snapshot(each).layers
    ]
    return max(map(len, rows))


@pytest.fixture
def store(tmp_path):
    return fill(Store(tmp_path / "store"))


def test_nothing_but_the_encoding_changes(store):
    before = tars(store)
    done = optimize(store)
    assert tars(store) == before
    assert sound(store)
    assert done.complete
    assert done.problems == ()
    assert done.layers > 0


def test_what_was_whole_takes_less_room(tmp_path):
    store = fill(Store(tmp_path / "store"), deltas=False)
    done = optimize(store)
    stored = sum(store.backend.size(digest) for digest in store.backend.digests())
    assert stored == done.after < done.before / 2
    assert done.saved == done.before - done.after


def test_the_newest_is_whole_and_the_others_are_not(store):
    optimize(store)
    newest = store.manifest("m/3")
    layers = {layer.diff_id for layer in store.snapshot("m/3").layers}
    assert {newest.content[diff_id].media_type for diff_id in layers} == {LAYER_TYPE}
    assert not layers ^ {each for each, blob in newest.content.items() if blob.media_type == LAYER_TYPE}
    oldest = store.manifest("m/0")
    for layer in store.snapshot("m/0").layers:
        assert oldest.content[layer.diff_id].media_type == (LAYER_TYPE if layer.name == "same" else DELTA_TYPE)


def test_a_manifest_lists_what_its_deltas_need_and_no_more(store):
    optimize(store)
    for reference in store.references():
        content = store.manifest(reference).content
        layers = {layer.diff_id for layer in store.snapshot(reference).layers}
        needed = layers.union(*(bases(content, each) for each in layers))
        assert needed == {each for each, blob in content.items() if blob.media_type in {LAYER_TYPE, DELTA_TYPE}}


def test_many_versions_make_no_row_that_is_too_long(tmp_path):
    store = fill(Store(tmp_path / "store"), DEPTH + 4)
    before = tars(store)
    optimize(store)
    assert depth(store) == DEPTH
    assert tars(store) == before


def test_the_second_time_nothing_is_done(store):
    optimize(store)
    index, after = store.backend.read_index(), sorted(store.backend.digests())
    done = optimize(store)
    assert (done.layers, done.saved, done.complete) == (0, 0, True)
    assert store.backend.read_index() == index
    assert sorted(store.backend.digests()) == after


def test_what_is_captured_later_is_taken_in(store):
    optimize(store)
    publish(store, version("a", 9), version("b", 9), version("same", 0), name="m/9")
    before = tars(store)
    assert optimize(store).layers >= 2
    assert tars(store) == before
    newest = store.manifest("m/9").content
    assert {newest[layer.diff_id].media_type for layer in store.snapshot("m/9").layers} == {LAYER_TYPE}
    assert sound(store)


def test_no_time_changes_nothing(store):
    index, before = store.backend.read_index(), sorted(store.backend.digests())
    done = optimize(store, max_time=0)
    assert not done.complete
    assert (done.layers, done.saved) == (0, 0)
    assert store.backend.read_index() == index
    assert sorted(store.backend.digests()) == before


def test_a_target_that_is_reached_stops(tmp_path):
    store = fill(Store(tmp_path / "store"), deltas=False)
    size = optimize(store, target_size=1 << 40)
    assert (size.layers, size.saved) == (0, 0)
    done = optimize(store, target_size=size.before - 1)
    assert done.after <= size.before - 1
    assert sound(store)


def test_an_empty_store(tmp_path):
    store = Store(tmp_path / "store")
    done = optimize(store)
    assert (done.before, done.after, done.layers, done.complete) == (0, 0, 0, True)
    assert store.references() == ()


def blob_file(store, digest):
    return Path(store.backend.path, "blobs", "sha256", digest.hex)


HARM = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: (path.chmod(0o644), path.write_bytes(path.read_bytes()[:-1])),
    "flipped": lambda path: (path.chmod(0o644), path.write_bytes(path.read_bytes()[:-1] + b"\xff")),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_blob_leaves_its_group_alone(store, harm):
    content = store.manifest("m/0").content
    label = {layer.name: layer for layer in store.snapshot("m/0").layers}
    broken = content[label["a"].diff_id]
    harm(blob_file(store, broken.digest))
    done = optimize(store)
    assert any(broken.digest in problem for problem in done.problems)
    for reference in store.references():
        now = store.manifest(reference).content
        mine = {layer.name: layer for layer in store.snapshot(reference).layers}
        # What was damaged is still what it was: a good copy of the blob mends it.
        assert EFFORT not in now[mine["a"].diff_id].annotations
        reader = Tars(store, now)
        assert len(b"".join(reader.chunks(mine["b"].diff_id, "b"))) == mine["b"].size
    flipped = broken.digest in {problem.path for problem in store.check()}
    assert flipped


def test_a_blob_that_holds_another_tar_spoils_no_sound_layer(tmp_path):
    """What is wrong stays wrong, and what is right stays right: neither is encoded against the other."""
    store = Store(tmp_path / "store")
    right, wrong = version("a", 1), version("a", 2)
    wrong.blob = None
    lying = replace(wrong, tar=version("a", 3).tar)
    publish(store, right, name="m/1")
    publish(store, lying, name="m/2")
    done = optimize(store)
    assert any("is not " + wrong.layer.diff_id in problem for problem in done.problems)
    assert verify("m/1", store).problems == ()
    assert verify("m/2", store).problems


def test_a_damaged_manifest_hinders_no_other(store):
    before = tars(store)
    broken = publish(store, version("c", 1), name="broken")
    blob_file(store, store.resolve("broken").manifest.digest).unlink()
    assert broken.id
    assert optimize(store).layers > 0
    store.remove("broken")
    assert tars(store) == before
    store.collect()
    assert sound(store)


@pytest.mark.parametrize("effort", ["", "x", "-1", "9" * 400, "\u0663", "1.5"])
def test_annotations_of_others(tmp_path, effort):
    store = Store(tmp_path / "store")
    part = version("a", 1)
    part.notes[EFFORT] = effort
    publish(store, part, name="m/1")
    assert optimize(store).problems == ()
    assert sound(store)


def test_a_delta_that_names_no_base(store):
    before = tars(store)
    lying = as_delta(version("a", 1), version("c", 2))
    lying.notes.clear()
    publish(store, lying, name="broken", beside=[version("a", 1)])
    done = optimize(store)
    assert any("does not say what" in problem for problem in done.problems)
    store.remove("broken")
    assert tars(store) == before


def test_strays_are_set_free(tmp_path):
    """The base's snapshot is gone: what is a delta against it is encoded anew, and then a collection takes it."""
    store = Store(tmp_path / "store")
    base, part = version("a", 1), version("a", 2)
    publish(store, base, name="m/1")
    publish(store, as_delta(base, part), name="m/2", beside=[base])
    assert rebase(store) == 0
    store.remove("m/1")
    before = tars(store)
    assert rebase(store) == 1
    assert base.layer.diff_id not in store.manifest("m/2").content
    store.collect()
    assert tars(store) == before
    assert sound(store)
    assert not any(BASE in blob.annotations for blob in store.manifest("m/2").content.values())


def attempt(call, *arguments):
    try:
        call(*arguments)
    except (OSError, SimulatedCrash) as error:
        return error
    return None


@pytest.mark.parametrize("fault", ["full", "crash"])
def test_failure_at_every_operation(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(optimizing, "_PASSES", tuple(replace(each, level=1) for each in optimizing._PASSES))
    whole = MemoryBackend()
    expected = tars(fill(Store(whole), 2))

    def copied():
        backend = MemoryBackend()
        backend.blobs, backend.index = dict(whole.blobs), whole.index
        return backend

    counting = FaultyBackend(copied(), None)
    optimize(Store(counting, cache=tmp_path / "0"))
    failed = 0
    for moment in range(1, counting.operations + 1):
        inner = copied()
        error = attempt(optimize, Store(FaultyBackend(inner, moment, fault), cache=tmp_path / "1"))
        assert error is None or isinstance(error, (SimulatedCrash, StoreError))
        failed += error is not None
        store = Store(inner, cache=tmp_path / "2")
        assert tars(store) == expected
        assert optimize(store).complete
        assert tars(store) == expected
        store.collect()
        assert store.check() == ()
    assert failed > 10
    if fault == "crash":
        assert failed == counting.operations


_OPTIMIZE = """
import sys
from snapshot import Store, optimize
print("ready", flush=True)
sys.stdin.readline()
optimize(Store(sys.argv[1]))
"""


def started(path):
    process = subprocess.Popen(
        [sys.executable, "-c", _OPTIMIZE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
    )
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"\n")
    process.stdin.flush()
    return process


def ended(process):
    process.communicate()
    return process.returncode


def test_killed_at_any_moment(store):
    expected = tars(store)
    chance = random.Random(11)
    for _ in range(12):
        process = started(store)
        time.sleep(chance.uniform(0, 0.25))
        process.kill()
        ended(process)
        assert tars(store) == expected
        assert {problem.detail[:19] for problem in store.check()} <= {"no snapshot needs i"}
    optimize(store)
    assert tars(store) == expected
    store.collect()
    assert sound(store)
    assert os.listdir(os.path.join(str(store), "tmp")) == []


def test_two_at_once(store):
    expected = tars(store)
    both = [started(store), started(store)]
    assert [ended(process) for process in both] == [0, 0]
    assert tars(store) == expected
    assert optimize(store).complete
    store.collect()
    assert sound(store)
    assert tars(store) == expected


def test_readers_meanwhile(store):
    """Old and new encodings come and go under a reader that has opened the store once."""
    expected = tars(store)
    references = store.references()
    found = [(each, store.manifest(each), store.snapshot(each)) for each in references]
    optimize(store)
    for number in range(3):
        publish(
            store, version("a", 50 + number), version("b", 50 + number), version("same", 0), name=f"m/{50 + number}"
        )
        optimize(store)
        for reference, manifest, snapshot in found:
            reader = Tars(store, manifest.content)
            read = {layer.diff_id: b"".join(reader.chunks(layer.diff_id, "any")) for layer in snapshot.layers}
            assert read == expected[reference.name, reference.snapshot, snapshot.parity_root]
            # And one that has only looked into the index.
            assert store.snapshot(reference) == snapshot


def test_a_reader_between_a_delta_and_its_base(store, monkeypatch):
    """It has opened the newer layer as a delta; when it comes to the base, that is a delta against the newer one."""
    manifest, snapshot = store.manifest("m/3"), store.snapshot("m/3")
    layer = next(layer for layer in snapshot.layers if layer.name == "a")
    expected = tars(store)["m/3", store.resolve("m/3").snapshot, snapshot.parity_root][layer.diff_id]
    opened, whole = store.open, []

    def opening(blob):
        found = opened(blob)
        if not whole:
            whole.append(True)
            optimize(Store(str(store)))
        return found

    monkeypatch.setattr(store, "open", opening)
    assert b"".join(Tars(store, manifest.content).chunks(layer.diff_id, "any")) == expected
    assert whole


def test_captures_and_checks_meanwhile(store):
    """Publishing while blobs are encoded anew and deleted: whoever comes too late is told so, and all that is there is whole."""
    expected = tars(store)
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            for reference in Store(str(store)).references():
                wrong.extend(verify(reference.snapshot, Store(str(store))).problems)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(4):
            process = started(store)
            publish(store, version("a", 60 + number), version("same", 0), name=f"n/{number}")
            assert ended(process) == 0
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    now = tars(store)
    assert {key: now[key] for key in expected} == expected
    assert len(now) == len(expected) + 4
