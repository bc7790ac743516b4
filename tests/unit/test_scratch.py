"""Directories under construction: gone with whoever made them, and never before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from snapshot.scratch import scratch, sweep
from snapshot.store import area as module
from snapshot.store.area import STALE, remove


def names(directory):
    return sorted(os.listdir(directory))


def test_it_is_empty_ours_and_gone_afterwards(tmp_path):
    with scratch(str(tmp_path)) as tree:
        assert os.listdir(tree) == []
        (outer,) = names(tmp_path)
        assert os.path.dirname(tree) == str(tmp_path / outer)
        (tmp_path / outer / "tree" / "a").mkdir()
    assert names(tmp_path) == []


def test_what_was_moved_away_is_kept(tmp_path):
    with scratch(str(tmp_path)) as tree:
        os.rename(tree, tmp_path / "kept")
    assert names(tmp_path) == ["kept"]


def test_an_error_leaves_nothing(tmp_path):
    def fail():
        with scratch(str(tmp_path)) as tree:
            os.makedirs(f"{tree}/a/b")
            os.chmod(f"{tree}/a/b", 0o555)
            os.chmod(f"{tree}/a", 0o555)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


def test_one_in_use_is_left_alone(tmp_path):
    with scratch(str(tmp_path)) as first:
        with scratch(str(tmp_path)) as second:
            assert os.path.isdir(first)
            assert first != second
        assert sweep(str(tmp_path)) == 0
        assert os.path.isdir(first)


def killed_within(tmp_path, code=""):
    """A process that is killed while it has a scratch directory."""
    script = (
        "import sys, os, time\nfrom snapshot.scratch import scratch\n"
        f"with scratch(sys.argv[1]) as tree:\n    {code}\n    print(flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.getcwd()}) as process:
        assert process.stdout.readline() == b"\n"
        assert sweep(str(tmp_path)) == 0, "its process is alive"
        process.send_signal(signal.SIGKILL)


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    killed_within(
        tmp_path, "os.makedirs(tree + '/a/b'); open(tree + '/a/x', 'w').close(); os.chmod(tree + '/a', 0o555)"
    )
    assert len(names(tmp_path)) == 1
    with scratch(str(tmp_path)):
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        ".envparity",
        ".envparity-",
        ".envparity-0123",
        ".envparity-0123456789ABCDEF",
        "x.envparity-0123456789abcdef",
        "env",
    ],
)
def test_other_directories_are_never_touched(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "lock").touch()
    os.utime(tmp_path / name, (1, 1))
    assert sweep(str(tmp_path)) == 0
    assert names(tmp_path / name) == ["lock"]


@pytest.fixture
def without_locks(monkeypatch):
    monkeypatch.setattr(module, "try_lock", lambda *_args, **_how: None)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_age_decides(tmp_path):
    path = tmp_path / ".envparity-0123456789abcdef"
    path.mkdir()
    (path / "lock").touch()
    (path / "tree").mkdir()
    now = time.time()
    os.utime(path, (now, now - STALE / 2))
    assert sweep(str(tmp_path)) == 0
    os.utime(path, (now, now - STALE - 60))
    assert sweep(str(tmp_path)) == 1
    assert names(tmp_path) == []


@pytest.mark.usefixtures("without_locks")
def test_without_locks_it_works_all_the_same(tmp_path):
    with scratch(str(tmp_path)) as first, scratch(str(tmp_path)) as second:
        assert os.path.isdir(first)
        assert os.path.isdir(second)
    assert names(tmp_path) == []


def test_a_parent_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError), scratch(str(tmp_path / "gone")):
        pass


def test_removing_what_is_odd(tmp_path):
    deep = tmp_path / "top" / "/".join(["d"] * 100)
    deep.mkdir(parents=True)
    with open(os.path.join(os.fsencode(deep), b"\xff\n"), "wb"):
        pass
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "x").touch()
    (deep / "link").symlink_to(tmp_path / "victim")
    (deep / "directory").symlink_to(tmp_path / "beside")
    (deep / "loop").symlink_to(".")
    os.chmod(deep, 0o555)
    os.chmod(tmp_path / "top", 0o500)
    remove(str(tmp_path / "top"))
    assert names(tmp_path) == ["beside", "victim"]
    assert names(tmp_path / "beside") == ["x"]
    remove(str(tmp_path / "top"))


def test_more_levels_than_python_recurses(tmp_path):
    path = str(tmp_path / "top")
    for _ in range(1500):
        os.mkdir(path)
        path += "/d"
    remove(str(tmp_path / "top"))
    assert names(tmp_path) == []
