"""Killed in the middle of a collection or of a retention: what is referred to is whole, and the next run ends the work."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import snapshot
from snapshot.store.directory import DirectoryBackend
from snapshot.store.removed import load_removed
from snapshot.testing.faults import FaultyBackend, SimulatedCrash
from snapshot.testing.samples import publish_sample, sample_snapshot

_ROOT = Path(__file__).parent.parent.parent

#: Keeps the newest two of many versions and collects, without end.
_BUSY = """
import itertools, sys, snapshot
from snapshot.testing.samples import publish_sample
store = snapshot.Store(sys.argv[1])
print("ready", flush=True)
for turn in itertools.count(int(sys.argv[2])):
    for number in range(4):
        publish_sample(store, f"m/{turn}.{number}", ["common", f"own{number}.{turn}"], size=20_000)
    store.tag(f"m/{turn}.1", "m/live")
    snapshot.retain(store, "m", keep_last=2, keep_tagged=bool(turn % 2))
    snapshot.collect(store, grace=turn % 3)
"""


def test_killed_at_any_moment(tmp_path):
    chance = random.Random(20261122)
    path = tmp_path / "store"
    store = snapshot.Store(path)
    publish_sample(store, "kept", ["common", "kept"])
    publish_sample(store, "m/0", ["common"])
    for turn in range(20):
        busy = [sys.executable, "-c", _BUSY, str(path), str(1 + turn * 100)]
        with subprocess.Popen(busy, stdout=subprocess.PIPE, cwd=_ROOT) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.1))
            assert process.poll() is None
            process.kill()
        assert store.check() == ()
        assert store.snapshot("kept") == sample_snapshot(["common", "kept"])
        assert store.resolve("m").name.startswith("m/")
    snapshot.retain(store, "m", keep_last=1)
    snapshot.collect(store, grace=0)
    assert store.check() == ()
    assert load_removed(store.backend) == ()
    needed = set()
    for reference in store.references():
        manifest = store.manifest(reference)
        needed |= {reference.manifest.digest, *(each.digest for each in (manifest.config, *manifest.content.values()))}
    assert set(store.backend.digests()) == needed


def filled(path):
    store = snapshot.Store(path)
    for number in range(4):
        publish_sample(store, f"m/{number}", ["common", f"own{number}"])
    return store


def retention(store):
    snapshot.retain(store, "m", keep_last=1)


def collection(store):
    snapshot.collect(store, grace=0)


@pytest.mark.parametrize("work", [retention, collection])
def test_crash_at_every_operation(tmp_path, work):
    moment, crashed = 0, True
    while crashed:
        moment += 1
        store = filled(tmp_path / str(moment))
        if work is collection:
            retention(store)
        before = store.references()
        faulty = snapshot.Store(FaultyBackend(DirectoryBackend(store.backend.path), moment, "crash"))
        try:
            work(faulty)
            crashed = False
        except SimulatedCrash:
            pass
        assert store.check() == ()
        # All of what goes, or nothing.
        assert len(store.references()) in {len(before), 1}
        if work is retention:
            assert snapshot.collect(store).blobs == 0  # all that was removed, or was about to be, has its grace
        retention(store)
        collection(store)
        assert store.check() == ()
        assert len(list(store.backend.digests())) == 7
    assert moment > 15
