"""A small real venv without pip, with one hand-made distribution in it."""

import subprocess
import sys
import sysconfig

import pytest

import snapshot


def make_environment(path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    site = path / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (site / "thing").mkdir()
    (site / "thing" / "__init__.py").write_text("answer = 42\n")
    (site / "thing" / "data.bin").write_bytes(bytes(range(256)) * 4000)
    information = site / "thing-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    names = ["thing/__init__.py", "thing/data.bin", "thing-1.0.dist-info/METADATA", "thing-1.0.dist-info/RECORD"]
    (information / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    return site


@pytest.fixture
def environment(tmp_path):
    make_environment(tmp_path / "environment")
    return tmp_path / "environment"


@pytest.fixture
def store(tmp_path):
    return snapshot.Store(tmp_path / "store")
