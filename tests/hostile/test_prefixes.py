"""Environments with pipes, devices and interpreters in them that would let a reader wait for ever."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from snapshot import describe, interpreter
from snapshot.interpreter import InterpreterError, Probing
from snapshot.scan import read_regular
from snapshot.survey import NoEnvironmentError


@pytest.fixture
def venv(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    return tmp_path / "env"


def site(venv):
    (found,) = venv.glob("lib/python3*/site-packages")
    return found


def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(tmp_path / "socket"))
    read = {path.name: read_regular(os.fsencode(path)) for path in [*tmp_path.iterdir(), tmp_path, tmp_path / "none"]}
    assert read.pop("file") == read.pop("link") == b"content"
    assert set(read.values()) == {None}


@pytest.mark.parametrize("name", ["METADATA", "RECORD", "WHEEL", "direct_url.json", "entry_points.txt"])
def test_pipes_in_the_place_of_metadata(venv, name):
    metadata = site(venv) / "odd-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: odd\nVersion: 1.0\n")
    (metadata / "INSTALLER").write_text("pip\n")
    (metadata / name).unlink(missing_ok=True)
    os.mkfifo(metadata / name)
    (found,) = (row for row in describe(venv).facts.distributions if row.name == "odd")
    assert found.version == "1.0"


def test_pipes_and_devices_in_the_place_of_path_files(venv):
    os.mkfifo(site(venv) / "pipe.pth")
    (site(venv) / "device.pth").symlink_to("/dev/zero")
    assert not any(path.endswith("pipe.pth") for path in (hook.path for hook in describe(venv).facts.startup))


def test_an_interpreter_whose_children_outlive_it(tmp_path, monkeypatch):
    """What it started holds its pipes: nobody waits until that ends."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nsleep 30 & echo $! > {tmp_path / 'child'}\nwait\n")
    python.chmod(0o755)
    monkeypatch.setattr(interpreter, "PROBE_SECONDS", 0.5)
    probing = Probing(str(python), str(tmp_path))
    try:
        with pytest.raises(
            InterpreterError, match="did not answer within 0 s; name a working interpreter with --python"
        ):
            probing.result()
        os.kill(int((tmp_path / "child").read_text()), 0)  # the child is still there
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


@pytest.mark.parametrize("prefix", ["/", "/usr"])
def test_the_whole_system_is_refused_before_it_is_walked(prefix, monkeypatch):
    def walk(*_, **__):
        raise AssertionError("walked")

    monkeypatch.setattr("snapshot.survey.walk", walk)
    with pytest.raises(NoEnvironmentError, match=f"{prefix} holds the whole system"):
        describe(prefix)
