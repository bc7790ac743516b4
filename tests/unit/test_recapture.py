"""The law of stamps: with them or without, a capture of the same files is the same snapshot with the same findings."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from snapshot import Store, capture
from tests.handmade import HandMade


def rewrite(path, data):
    path.write_bytes(data)


EDITS = {
    "nothing": lambda env: None,
    "a file of a distribution": lambda env: rewrite(env.site / "one.py", b"value = 2\n"),
    "a file that two distributions claim": lambda env: rewrite(
        env.path / "bin/tool", env.tool.replace(b"a tool", b"A TOOL")
    ),
    "the same file, as it was": lambda env: rewrite(env.path / "bin/tool", env.tool),
    "its mode": lambda env: (env.path / "bin/tool").chmod(0o555),
    "a file less": lambda env: (env.site / "third.py").unlink(),
    "a file more": lambda env: rewrite(env.site / "more.py", b"more = 1\n"),
    "what RECORD says": lambda env: rewrite(
        env.site / "one-1.0.dist-info/RECORD", b"one.py,,\none-1.0.dist-info/RECORD,,\n"
    ),
    "a link": lambda env: ((env.path / "link").unlink(), (env.path / "link").symlink_to("bin")),
    "a text that names the prefix": lambda env: rewrite(env.path / "notes.txt", f"moved to {env.path}/x\n".encode()),
    "a configuration with a password": lambda env: rewrite(
        env.path / "pip.conf", b"[global]\nindex-url=https://u:p@h/\n"
    ),
    "another editor's time": lambda env: os.utime(env.site / "other.py", (1, 1)),
    "a source that has bytecode": lambda env: rewrite(env.site / "other.py", b"value = 3\n"),
    "a distribution less": lambda env: shutil.rmtree(env.site / "one-1.0.dist-info"),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return HandMade(Path(tmp_path_factory.mktemp("stamps")) / "env").make()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("stamps") / "store")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_stamps_do_not_change_what_is_captured(environment, store, tmp_path, monkeypatch, edit):
    """One after the other, so that each begins with the stamps of all before it."""
    # However young the files are, they are trusted: nothing here changes within a tick of the clock.
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    capture(environment.path, store, interpreter=False)
    edit(environment)
    with_stamps = capture(environment.path, store, interpreter=False)
    without = capture(environment.path, Store(tmp_path / "fresh"), interpreter=False)
    assert with_stamps.findings == without.findings
    assert with_stamps.parity_root == without.parity_root
    assert with_stamps.snapshot == without.snapshot


def test_a_copy_of_the_base_is_compared_with_the_base_each_time(tmp_path, monkeypatch):
    """`venv --copies`, and then the base is upgraded in place: no file of the environment has changed."""
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    environment = HandMade(tmp_path / "env").make()
    python = environment.path / "bin" / "python"
    python.unlink()
    shutil.copy(os.path.realpath(sys.executable), python)
    store = Store(tmp_path / "store")
    same = capture(environment.path, store, interpreter=False)
    assert capture(environment.path, store, interpreter=False).snapshot == same.snapshot
    monkeypatch.setattr("snapshot.prepare.filecmp.cmp", lambda *_, **__: False)
    other = capture(environment.path, store, interpreter=False)
    assert other.parity_root != same.parity_root
    assert other.snapshot == capture(environment.path, Store(tmp_path / "fresh"), interpreter=False).snapshot
