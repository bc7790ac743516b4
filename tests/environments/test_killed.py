"""Killed at any moment, out of space, or not alone: the store stays whole, and nothing temporary stays for good."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

import snapshot
from snapshot.scratch import scratch

pytestmark = pytest.mark.environments

KILLS = 14
CALL = """\
import sys, json
sys.path.insert(0, sys.argv[1])
import snapshot, snapshot.capturing, snapshot.restoring, snapshot.trees
print("ready", flush=True)
sys.stdin.readline()
what, *words = sys.argv[2:]
store = snapshot.Store(words[-1])
if what == "capture":
    print(snapshot.capture(words[0], store, name=words[1]).snapshot)
else:
    print(snapshot.restore(words[0], words[1], store).snapshot)
"""


@pytest.fixture(scope="module")
def live(lab, root):
    made = lab.venv(root / "killed" / "live", "--without-pip")
    lab.pip_install(made, "numpy", "flask", "cowsay<6.2")
    return made


@pytest.fixture(scope="module")
def whole(live, root):
    """A store that has the environment."""
    store = snapshot.Store(root / "killed" / "whole")
    return store, snapshot.capture(live, store, name="live")


class Call:
    """A library call in a process group of its own, stopped at a gate until `go`."""

    def __init__(self, *words):
        home = os.path.dirname(os.path.dirname(snapshot.__file__))
        self._process = subprocess.Popen(
            [sys.executable, "-c", CALL, home, *map(os.fspath, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout.readline() == b"ready\n"

    def go(self):
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self

    def kill(self, *, alone):
        """Kill it: `alone`, or with whatever it has started. Returns whether it had not ended by then."""
        running = self._process.poll() is None
        with suppress(ProcessLookupError):
            (os.kill if alone else os.killpg)(self._process.pid, signal.SIGKILL)
        # Until all that have its output open are gone: those that it has started too.
        self._process.communicate()
        return running

    def result(self):
        out, err = self._process.communicate()
        assert self._process.returncode == 0, err.decode()
        return out.decode().strip()


def moments(longest):
    """Pseudo-random delays in seconds, more of them early, the same in each run."""
    generator = random.Random(20)
    return [longest * generator.random() ** 1.5 for _ in range(KILLS)]


def duration(*words):
    """How long a call takes in seconds: what the moments are spread over."""
    call = Call(*words)
    begin = time.perf_counter()
    call.go().result()
    return time.perf_counter() - begin


def leftovers(*directories):
    found = []
    for top in directories:
        for directory, names, files in os.walk(top):
            if os.path.basename(directory) == "tmp" and os.path.dirname(directory) == str(top):
                found += [os.path.join(directory, name) for name in (*names, *files)]
            found += [os.path.join(directory, name) for name in names if name.startswith(".envparity-")]
            if os.path.basename(directory) in {"stamps", "blueprints"}:
                whole = re.compile(r"[0-9a-f]{64}\.json")
                found += [os.path.join(directory, name) for name in files if not whole.fullmatch(name)]
    return found


def test_captures(live, whole, tmp_path):
    """Killed anywhere, on top of what those before have left; in a new store once one has come through."""
    _, expected = whole
    places = [tmp_path / "0"]
    longest = duration("capture", live, "live", tmp_path / "measure")
    killed = 0
    for number, delay in enumerate(moments(longest)):
        call = Call("capture", live, "live", places[-1]).go()
        time.sleep(delay)
        killed += call.kill(alone=number % 2 == 1)
        assert snapshot.Store(places[-1]).check() == ()
        if snapshot.Store(places[-1]).references():
            places.append(tmp_path / str(len(places)))
    assert killed >= 3  # those of the first milliseconds at least
    for place in places:
        store = snapshot.Store(place)
        assert snapshot.capture(live, store, name="live").snapshot == expected.snapshot
        assert store.check() == ()
        assert leftovers(place) == []
    assert snapshot.verify("live", store).ok


def test_restores(live, whole, tmp_path):
    """The destination is absent or whole; the next restore beside it tidies up."""
    store, _ = whole
    place = tmp_path / "places"
    place.mkdir()
    home = str(store)
    longest = duration("restore", "live", place / "measure", home)
    for number, delay in enumerate(moments(longest)):
        destination = place / str(number)
        cold = number % 2 == 0
        if cold:
            import shutil

            shutil.rmtree(store.cache, ignore_errors=True)
        call = Call("restore", "live", destination, home).go()
        time.sleep(delay)
        call.kill(alone=number % 4 > 1)
        if destination.exists():
            assert snapshot.verify(destination, store).ok
    done = snapshot.restore("live", place / "last", store)
    assert snapshot.verify(done.destination, store).ok
    assert leftovers(place, store.cache) == []
    assert store.check() == ()


def test_two_captures_at_once(live, whole, tmp_path):
    _, expected = whole
    place = tmp_path / "store"
    calls = [Call("capture", live, name, place) for name in ("one", "two", "one")]
    assert {call.result() for call in [call.go() for call in calls]} == {expected.snapshot}
    store = snapshot.Store(place)
    assert {reference.name for reference in store.references()} == {"one", "two"}
    assert store.check() == ()
    assert leftovers(place) == []


def test_two_restores_at_once_from_a_cold_cache(live, whole, tmp_path):
    import shutil

    store, expected = whole
    shutil.rmtree(store.cache, ignore_errors=True)
    calls = [Call("restore", "live", tmp_path / "places" / name, str(store)) for name in ("one", "two", "three")]
    assert {call.result() for call in [call.go() for call in calls]} == {expected.snapshot}
    for name in ("one", "two", "three"):
        assert snapshot.verify(tmp_path / "places" / name, store).ok
    assert leftovers(tmp_path / "places", store.cache) == []


def test_scratch_directories_of_others_are_left_alone(tmp_path):
    """Makers and sweepers in many processes: nobody may take away what another one has just begun."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from snapshot.scratch import scratch\n"
        "for number in range(400):\n"
        "    with scratch(sys.argv[2]) as tree:\n"
        "        open(os.path.join(tree, 'file'), 'x').close()\n"
        "        os.rename(tree, os.path.join(sys.argv[2], f'{os.getpid()}-{number}'))\n"
    )
    home = os.path.dirname(os.path.dirname(snapshot.__file__))
    command = [sys.executable, "-c", script, home, tmp_path]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(5)]
    errors = [process.communicate()[1].decode() for process in running]
    assert errors == [""] * 5
    assert len(list(tmp_path.iterdir())) == 2000
    assert leftovers(tmp_path) == []


def test_threads_have_scratch_directories_of_their_own(tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        with scratch(str(tmp_path)) as tree:
            begun.set()
            go_on.wait()
            assert os.path.isdir(tree)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    with scratch(str(tmp_path)) as tree:
        assert len(list(tmp_path.iterdir())) == 2
        assert os.path.isdir(tree)
    go_on.set()
    thread.join()
    assert list(tmp_path.iterdir()) == []


FULL = """\
import sys
sys.path.insert(0, sys.argv[1])
import os, shutil, snapshot
store = snapshot.Store(sys.argv[2] + "/store")
def left():
    found = [n for d, _, f in os.walk(sys.argv[2]) for n in f if n not in ("lock", "oci-layout", "index.json")]
    return [name for name in found if not (len(name) == 64 and set(name) <= set("0123456789abcdef"))]
try:
    if sys.argv[3] == "capture":
        snapshot.capture(sys.argv[4], store)
    else:
        store = snapshot.Store(sys.argv[4], cache=sys.argv[2] + "/cache")
        snapshot.restore("live", sys.argv[2] + "/places/back", store)
except snapshot.SnapshotError as error:
    print("refused:", error)
print("left:", left())
print("problems:", store.check())
print("destination:", os.path.exists(sys.argv[2] + "/places/back"))
"""


@pytest.mark.parametrize("what", ["capture", "restore"])
def test_a_full_disk(lab, live, whole, tmp_path, what):
    """One clear line, and nothing is left behind."""
    if os.geteuid() != 0 and lab.run(*lab.hiding(), "true", code=None).code:
        pytest.skip("a small file system of one's own needs a mount namespace")
    size = "8M" if what == "capture" else "30M"
    command = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', tmp_path / "small"]
    (tmp_path / "small").mkdir()
    probe = lab.run(*command, "true", code=None)
    if probe.code:
        pytest.skip(f"a small file system needs unshare and mount: {probe.out}")
    store, _ = whole
    home = os.path.dirname(os.path.dirname(snapshot.__file__))
    subject = live.path if what == "capture" else str(store)
    said = lab.run(*command, sys.executable, "-c", FULL, home, tmp_path / "small", what, subject).stdout.splitlines()
    assert said[0].startswith("refused: ")
    assert "space" in said[0] or "MB free" in said[0]
    assert said[1:] == ["left: []", "problems: ()", "destination: False"]
