"""What an environment says of itself, asked through its own interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from registration.surroundings import SurroundingsError, surroundings
from snapshot.facts.model import Source


@pytest.fixture
def environment(tmp_path):
    """An empty environment, and a way to put the metadata of a distribution into it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (site,) = (tmp_path / "env" / "lib").glob("python3*/site-packages")

    def add(name, version, *lines, directory=site, **files):
        info = directory / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = ["Metadata-Version: 2.1", *lines, ""]
        metadata[1:1] = [f"Name: {name}", f"Version: {version}"] if version else []
        (info / "METADATA").write_text("\n".join(metadata))
        for file, text in files.items():
            (info / file.replace("__", ".")).write_text(text)

    return SimpleNamespace(path=tmp_path / "env", python=str(tmp_path / "env" / "bin" / "python"), site=site, add=add)


def test_an_environment(environment):
    environment.add("Big_Library", "1.0", "Requires-Dist: small>=2", "Requires-Dist: more; extra == 'x'")
    found = surroundings(environment.python)
    assert found.prefix == str(environment.path)
    assert found.python_version == found.markers["python_full_version"]
    assert found.python_version.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found.markers["sys_platform"] == "linux"
    assert list(found.installed) == ["big-library"]
    big = found.installed["big-library"]
    assert (big.name, big.version, big.source) == ("Big_Library", "1.0", None)
    assert big.requires == ("more; extra == 'x'", "small>=2")
    assert not found.conda


def test_where_they_came_from(environment):
    git = {
        "url": "https://example.org/mine",
        "vcs_info": {"vcs": "git", "commit_id": "abc", "requested_revision": "main"},
    }
    environment.add("of-git", "1", direct_url__json=json.dumps(git))
    environment.add("here", "1", direct_url__json=json.dumps({"url": "file:///src", "dir_info": {"editable": True}}))
    environment.add(
        "file", "1", direct_url__json=json.dumps({"url": "file:///x.whl", "archive_info": {"hash": "sha256=00"}})
    )
    for number, text in enumerate(["", "{", "[]", "{}", '{"url": "x", "vcs_info": 1}']):
        environment.add(f"damaged-{number}", "1", direct_url__json=text)
    found = {name: one.source for name, one in surroundings(environment.python).installed.items()}
    assert found.pop("of-git") == Source("https://example.org/mine", vcs="git", commit="abc")
    assert found.pop("here") == Source("file:///src", editable=True)
    assert found.pop("file") == Source("file:///x.whl", digest="sha256=00")
    assert len(found) == 5
    assert set(found.values()) == {None}


def test_the_first_of_a_name_counts_and_debris_does_not(environment):
    other = environment.path / "other"
    environment.add("twice", "2.0", directory=other)
    environment.add("twice", "1.0")
    environment.add("nameless", "")
    (environment.site / "more.pth").write_text(f"{other}\n")
    (environment.site / "~wice-1.0.dist-info").mkdir()
    found = surroundings(environment.python)
    assert {name: one.version for name, one in found.installed.items()} == {"twice": "1.0"}


def test_what_a_restored_environment_would_not_have(environment, tmp_path, monkeypatch):
    environment.add("elsewhere", "1", directory=tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    assert surroundings(environment.python).installed == {}


def test_conda(environment):
    (environment.path / "conda-meta").mkdir()
    assert surroundings(environment.python).conda


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho one; echo two >&2; exit 1\n", "cannot say what is installed: two"),
        ("#!/bin/sh\nexit 1\n", "cannot say what is installed: no message"),
        ("#!/bin/sh\necho hello\n", "is no Python interpreter: it did not answer as one"),
        ('#!/bin/sh\necho \'{"prefix": "/"}\'\n', "is no Python interpreter: it did not answer as one"),
        ("#!/nowhere\n", "cannot run the interpreter .*: No such file or directory"),
    ],
)
def test_what_is_no_interpreter(tmp_path, text, said):
    path = tmp_path / "python"
    path.write_text(text)
    os.chmod(path, 0o755)
    with pytest.raises(SurroundingsError, match=said):
        surroundings(str(path))
