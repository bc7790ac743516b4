"""The walk: every name that a disk can hold, nothing followed, nothing passed over in silence."""

from __future__ import annotations

import os
import socket

import pytest

from snapshot import scan
from snapshot.scan import UnreadableError, behind, decode, encode, look, walk


def test_everything_is_found_once(tmp_path):
    for name in (b"a", b"\xff", "é".encode(), b"new\nline", b" ", b"Foo", b"foo"):
        (tmp_path / "d").mkdir(exist_ok=True)
        with open(os.path.join(os.fsencode(tmp_path), b"d", name), "wb"):
            pass
    (tmp_path / "hollow").mkdir()
    os.symlink("gone", tmp_path / "dangling")
    os.symlink(".", tmp_path / "loop")
    found = walk(str(tmp_path))
    assert set(found) == {
        "d", "d/a", "d/\udcff", "d/é", "d/new\nline", "d/ ", "d/Foo", "d/foo", "hollow", "dangling", "loop",
    }  # fmt: skip
    assert found["loop"].is_link
    assert found["hollow"].is_directory
    assert found["d/a"].is_file


def test_a_part_of_it(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/x").touch()
    assert set(walk(str(tmp_path), "a")) == {"a/b", "a/b/x"}
    assert walk(str(tmp_path), "gone") == {}


def test_what_is_pruned_is_not_entered(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").touch()
    asked = []

    def prune(path):
        asked.append(path)
        return path == "a"

    assert set(walk(str(tmp_path), prune=prune)) == {"c"}
    assert asked == ["a"]


def test_sockets_and_pipes_are_found_for_what_they_are(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(os.path.relpath(tmp_path / "socket"))
    for item in walk(str(tmp_path)).values():
        assert (item.is_file, item.is_link, item.is_directory) == (False, False, False)


@pytest.mark.parametrize("raw", [b"plain", b"\xff\xfe", "é".encode(), b"\xc3\xa9\xff", b"\n", b"\xed\xb3\xbf"])
def test_names_are_bytes_in_disguise(raw):
    assert encode(decode(raw)) == raw


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """Within it we are nobody in particular: to root nothing is forbidden. The way here may be closed, so we stay."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def closed(name, mode):
    os.mkdir(name)
    with open(f"{name}/x", "wb"):
        pass
    os.chmod(name, mode)


def test_what_may_not_be_read_is_named(tmp_path, request):
    for name, mode in (("closed", 0o000), ("listed", 0o444)):
        closed(tmp_path / name, mode)
    request.getfixturevalue("nobody")
    with pytest.raises(UnreadableError) as caught:
        walk(".")
    assert str(caught.value) == (
        "no permission to read ./closed, ./listed/x; run as the environment's owner or make them readable"
    )
    with pytest.raises(UnreadableError, match=r"no permission to read \./closed/x, \./listed/x;"):
        look(".", ["listed/x", "closed/x", "gone"])


@pytest.mark.parametrize(
    "error", [PermissionError(13, "no"), FileNotFoundError(2, "gone"), NotADirectoryError(20, "file")]
)
def test_a_directory_that_changes_while_it_is_walked(monkeypatch, tmp_path, error):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    original = os.scandir

    def scandir(path):
        if path.endswith(b"/a"):
            raise error
        return original(path)

    monkeypatch.setattr(scan.os, "scandir", scandir)
    if isinstance(error, PermissionError):
        with pytest.raises(UnreadableError, match=f"no permission to read {tmp_path}/a;"):
            walk(str(tmp_path))
    else:
        assert set(walk(str(tmp_path))) == {"a", "b"}


def test_many_unreadable_paths_are_counted():
    with pytest.raises(UnreadableError, match=r"^no permission to read a, b, c, d, e and 3 more; "):
        scan.refuse_unreadable("hgfedcba")
    scan.refuse_unreadable([])


def test_looking_at_single_paths(tmp_path):
    (tmp_path / "a").touch()
    assert set(look(str(tmp_path), ["a", "gone", "a/below", "\udcff"])) == {"a"}


def test_a_file_outside_that_a_link_leads_to(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    (out / "file").write_text("hook")
    os.mkfifo(out / "pipe")
    (root / "near").write_text("")
    leads = {
        "file": out / "file",
        "again": "file",
        "inside": "near",
        "directory": out,
        "pipe": out / "pipe",
        "gone": "no",
    }
    for name, target in leads.items():
        os.symlink(target, root / name)
    followed = {name: behind(str(root), link) for name, link in look(str(root), leads).items()}
    assert {name for name, file in followed.items() if file} == {"file", "again"}
    found, real = followed["again"]
    assert (found.path, found.is_file, found.stat.st_size) == ("again", True, 4)
    assert real == os.fsencode(out / "file")
