"""Which directories are source trees of an environment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from snapshot.editable import find_sources


@pytest.fixture
def look(monkeypatch):
    monkeypatch.setattr("snapshot.editable.os.path.isdir", lambda _: True)

    def look(path):
        item = SimpleNamespace(name="mine", editable=path)
        return find_sources("/srv/env", "/opt/python", ["lib/python3.11/site-packages"], {}, [item])

    return look


@pytest.mark.parametrize("path", ["/app", "/code", "/workspace/mine", "/home/me/mine", "/usr/src/mine"])
def test_a_project(look, path):
    """In a container it often lies in a directory of its own below the root: what serves from there is code like any other."""
    assert look(path) == ({"mine": (path,)}, [])


@pytest.mark.parametrize("path", ["/", "/usr", "/home", "/root", "/tmp", "/opt", "/var"])
def test_what_is_too_wide(look, path):
    sources, (finding,) = look(path)
    assert sources == {}
    assert (finding.kind, finding.path) == ("path-outside", path)
    assert finding.detail == "too wide to be captured as the source of mine"


def test_what_setup_py_develop_installs_has_the_name_of_its_project(tmp_path):
    """Whatever comes first in the alphabet: the directory is `src`, and that is what easy-install.pth says."""
    source = tmp_path / "mine" / "src"
    source.mkdir(parents=True)
    site = tmp_path / "env" / "lib"
    site.mkdir(parents=True)
    for name in ("easy-install.pth", "mine.egg-link"):
        (site / name).write_text(f"{source}\n")
    found = dict.fromkeys(["lib/easy-install.pth", "lib/mine.egg-link"])
    sources, _ = find_sources(str(tmp_path / "env"), "/opt/python", ["lib"], found, [])
    assert sources == {"mine": (str(source),)}
