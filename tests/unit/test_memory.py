"""What is freed is kept, counted in page faults: in processes of their own, since it is a setting of the whole process."""

from __future__ import annotations

import ctypes
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from snapshot import memory

_ROOT = Path(__file__).parent.parent.parent

#: Buffers of 10,240 pages, which are written to and freed; the page faults of all but the first, and what stays.
_BUFFERS = """
import json, resource, sys
from contextlib import nullcontext
from snapshot.memory import kept

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = resident()
with kept() if sys.argv[1] == "kept" else nullcontext():
    for turn in range(6):
        if turn == 1:
            begin = faults()
        buffer = b"x" * (40 << 20)
        del buffer
    counted, during = faults() - begin, resident() - before
print(json.dumps([counted, during, resident() - before]))
"""


def buffers(how):
    run = [sys.executable, "-c", _BUFFERS, how]
    return json.loads(subprocess.run(run, check=True, capture_output=True, text=True, cwd=_ROOT).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has that setting")
def test_freed_memory_is_used_again_and_given_back_at_the_end():
    usual, _, _ = buffers("usual")
    counted, during, after = buffers("kept")
    assert usual > 5 * 10_000  # so this test can fail
    assert counted < 1_000
    assert during > 10_000
    assert after < 2_000


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    with memory.kept():
        pass


def test_it_ends_with_an_error():
    called = []

    class Library:
        def mallopt(self, *how):
            called.append(how)

        def malloc_trim(self, pad):
            called.append(pad)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctypes, "CDLL", lambda _: Library())
        with pytest.raises(KeyError), memory.kept():
            raise KeyError("x")
    assert [how[0] if isinstance(how, tuple) else how for how in called] == [-3, -1, -3, -1, 0]
