"""`optimize` that fails or is killed at any moment, and others who read and write while it runs: every snapshot stays whole."""

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
from snapshot.store import Store, StoreError
from snapshot.store.memory import MemoryBackend
from snapshot.tars import Tars
from snapshot.testing.faults import FaultyBackend, SimulatedCrash
from tests.building import publish
from tests.versions import fill, sound, tars, version

_ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def store(tmp_path):
    return fill(Store(tmp_path / "store"))


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
            read = {
                layer.diff_id: b"".join(map(bytes, reader.chunks(layer.diff_id, "any"))) for layer in snapshot.layers
            }
            assert read == expected[reference.name, reference.snapshot, snapshot.parity_root]
            # And those that have only looked into the index.
            assert store.snapshot(reference) == snapshot
            assert store.summary(reference).parity_root == snapshot.parity_root


def test_what_is_removed_meanwhile_is_no_damage(store, monkeypatch):
    """`retain` beside a nightly `optimize`: what it took away is not there any more when its turn comes."""
    monkeypatch.setattr(optimizing, "_ROUND", 1)
    encode, first = optimizing.Recoder.group, []

    def group(self, *given):
        found = encode(self, *given)
        if not first:
            first.append(True)
            other = Store(str(store))
            for name in ("m/0", "m/1"):
                other.remove(name)
        return found

    monkeypatch.setattr(optimizing.Recoder, "group", group)
    done = optimize(store)
    assert done.problems == ()
    assert {each.name for each in store.references()} == {"m/2", "m/3"}
    assert sound(store)


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
    assert b"".join(map(bytes, Tars(store, manifest.content).chunks(layer.diff_id, "any"))) == expected
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
