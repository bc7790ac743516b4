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
    assert look(path) == ({"mine": path}, [])


@pytest.mark.parametrize("path", ["/", "/usr", "/home", "/root", "/tmp", "/opt", "/var"])
def test_what_is_too_wide(look, path):
    sources, (finding,) = look(path)
    assert sources == {}
    assert (finding.kind, finding.path) == ("path-outside", path)
    assert finding.detail == "too wide to be captured as the source of mine"
