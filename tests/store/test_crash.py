"""Killed at any moment, or out of space: the store stays right, and the next attempt succeeds."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snapshot.store import Store, StoreError
from snapshot.store.directory import DirectoryBackend
from snapshot.store.memory import MemoryBackend
from snapshot.testing.faults import FaultyBackend, SimulatedCrash
from snapshot.testing.samples import publish_sample, sample_snapshot

_ROOT = Path(__file__).parent.parent.parent

#: Publishes, moves, removes and collects without end, in a store that is there.
_BUSY = """
import itertools, sys
from snapshot.store import Store
from snapshot.testing.samples import publish_sample
store = Store(sys.argv[1])
print("ready", flush=True)
for turn in itertools.count(int(sys.argv[2])):
    publish_sample(store, f"m/{turn % 3}", ["common", f"own{turn % 5}"], encoding=turn % 2, size=20_000,
                   reuse=store.contents() if turn % 4 else None)
    if turn % 7 == 3:
        store.remove(f"m/{turn % 3}")
        store.collect(grace=0)
"""


def test_killed_at_any_moment(tmp_path):
    chance = random.Random(20251201)
    path = tmp_path / "store"
    store = Store(path)
    publish_sample(store, "kept", ["common", "kept"])
    for turn in range(25):
        busy = [sys.executable, "-c", _BUSY, str(path), str(turn * 13)]
        with subprocess.Popen(busy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=_ROOT) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.04))
            assert process.poll() is None, process.stderr.read()
            process.kill()
        json.loads((path / "index.json").read_bytes())
        assert store.check() == ()
        assert store.snapshot("kept") == sample_snapshot(["common", "kept"])
        with store.begin():
            assert len(os.listdir(path / "tmp")) == 1
        assert os.listdir(path / "tmp") == []
        publish_sample(store, "again", ["common", f"again{turn}"])
        assert store.snapshot("again") == sample_snapshot(["common", f"again{turn}"])
    store.collect(grace=0)
    assert store.check() == ()


def test_killed_while_the_store_is_made(tmp_path):
    """A store that never came to be is made by the next one."""
    code = (
        "import sys; from snapshot.store import Store; from snapshot.testing.samples import publish_sample\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "publish_sample(Store(sys.argv[1]), 'a', [str(each) for each in range(40)])\n"
    )
    chance = random.Random(7)
    for turn in range(8):
        path = tmp_path / f"store{turn}"
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
        ) as process:
            assert process.stdout.readline() == b"ready\n"
            process.stdin.write(b"\n")
            process.stdin.flush()
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
        store = Store(path)
        assert store.check() == ()
        publish_sample(store, "a", ["numpy"])
        assert store.snapshot("a") == sample_snapshot(["numpy"])
        assert store.check() == ()
        assert os.listdir(path / "tmp") == []


def test_two_writers_and_a_collector_at_once(tmp_path):
    """Each writer publishes its own names; none is lost, and nothing that it needs is collected."""
    code = (
        "import sys; from snapshot.store import Store; from snapshot.testing.samples import publish_sample\n"
        "for turn in range(30):\n"
        "    if sys.argv[2] == 'collect': Store(sys.argv[1]).collect(grace=0); continue\n"
        "    publish_sample(Store(sys.argv[1]), f'{sys.argv[2]}/{turn}', ['common', f'own{turn}'])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "store"), name], cwd=_ROOT)
        for name in ("a", "b", "collect")
    ]
    assert [each.wait() for each in writers] == [0, 0, 0]
    store = Store(tmp_path / "store")
    expected = {f"{name}/{turn}" for name in "ab" for turn in range(30)}
    assert {each.name for each in store.references()} == expected
    assert store.check() == ()
    assert os.listdir(tmp_path / "store" / "tmp") == []


def backends(tmp_path):
    yield "memory", MemoryBackend
    yield "directory", lambda: DirectoryBackend(tmp_path / os.urandom(4).hex())


def scenario(store: Store) -> None:
    """Something of everything that writes."""
    publish_sample(store, "a", ["common", "new"])
    publish_sample(store, "kept", ["common", "moved"], reuse=store.contents())
    store.remove("a")
    store.collect(grace=0)


@pytest.mark.parametrize("fault", ["full", "crash"])
@pytest.mark.parametrize("kind", ["memory", "directory"])
def test_failure_at_every_operation(tmp_path, fault, kind):
    make = dict(backends(tmp_path))[kind]
    counting = FaultyBackend(make(), None)
    publish_sample(Store(counting), "kept", ["common", "kept"])
    before = counting.operations
    scenario(Store(counting, cache=tmp_path / "0"))
    operations = counting.operations - before
    assert operations > 50
    failed = 0
    for moment in range(1, operations + 1):
        inner = make()
        store = Store(inner)
        kept = publish_sample(store, "kept", ["common", "kept"]).reference
        faulty = Store(FaultyBackend(inner, moment, fault), cache=tmp_path / str(moment))
        error = attempt(scenario, faulty)
        assert isinstance(error, SimulatedCrash) or (
            fault == "full" and getattr(error, "errno", errno.ENOSPC) == errno.ENOSPC
        )
        failed += error is not None
        assert store.check() == ()
        assert store.snapshot(kept.snapshot) == sample_snapshot(["common", "kept"])
        scenario(store)
        assert store.check() == ()
        assert store.snapshot("kept") == sample_snapshot(["common", "moved"])
    if fault == "crash":
        assert failed == operations
    assert failed > 20


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs to mount a file system, and may not: {mounted.stderr.splitlines()[0]}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_disk_full(tiny_disk):
    store = Store(tiny_disk / "store")
    publish_sample(store, "kept", ["common"], size=100_000)
    with pytest.raises(StoreError, match=r"the disk is full.*nothing was published; make room") as caught:
        publish_sample(store, "large", ["one", "two", "three"], size=300_000)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tiny_disk / "store" / "tmp") == []
    assert [each.name for each in store.references()] == ["kept"]
    assert store.check() == ()
    publish_sample(store, "small", ["one"], size=100_000)
    assert store.check() == ()


def test_disk_full_to_the_last_byte(tiny_disk):
    """Whatever room is left, the store is right afterwards, and works again when there is room."""
    store = Store(tiny_disk / "store")
    publish_sample(store, "kept", ["common"])
    ballast = tiny_disk / "ballast"
    refused = 0
    for room in range(0, 80_000, 4096):
        fill(ballast, room)
        error = attempt(publish_sample, store, "a", [f"own{room}"], size=5000)
        if error is None:
            store.remove("a")
        else:
            assert error.errno == errno.ENOSPC
            assert "nothing was published" in str(error)
            assert [each.name for each in store.references()] == ["kept"]
            refused += 1
        ballast.unlink()
        assert store.check() == ()
        store.collect(grace=0)
        assert os.listdir(tiny_disk / "store" / "tmp") == []
    assert 3 < refused < 20


def fill(ballast: Path, room: int) -> None:
    with ballast.open("wb", buffering=0) as file:
        while attempt(file.write, b"\0" * 4096) is None:
            pass
        file.truncate(max(0, file.tell() - room))


def attempt(call, *arguments, **keywords) -> BaseException | None:
    """What `call` raised, None when it succeeded."""
    try:
        call(*arguments, **keywords)
    except (OSError, SimulatedCrash) as error:
        return error
    return None
