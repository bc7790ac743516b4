"""Links stay links, modes stay modes, names stay names: everything a file system can have comes back as it was."""

from __future__ import annotations

import os
import shutil
import socket
import stat

import pytest

import snapshot

pytestmark = pytest.mark.environments


def listing(root):
    """Every path below `root` (bytes) with its kind, permissions and content or target, but for what `restore` adds."""
    root = os.fsencode(root)
    found = {}
    for directory, names, files in os.walk(root):
        if directory == root:
            names[:] = [name for name in names if name != b".envparity"]
        for name in [*names, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            else:
                content = None
            found[os.path.relpath(path, root)] = (stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), content)
    return found


def round_trip(lab, made, store, tmp_path, **options):
    captured = snapshot.capture(made, store, interpreter=False, **options)
    back = lab.restored(store, captured.snapshot, tmp_path / "back", made)
    assert snapshot.verify(back.path, store).ok
    assert snapshot.capture(back, store, interpreter=False).parity_root == captured.parity_root
    return back, captured


def test_links(lab, small, store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("not part of the environment")
    share = small.at("share")
    os.makedirs(os.path.join(share, "real", "deep"))
    for name, target in {
        "relative": "real/deep",
        "up": "real/../real",
        "dangling": "nowhere/at/all",
        "dangling-absolute": "/nowhere/at/all",
        "inside-absolute": small.at("share", "real"),
        "itself": "itself",
        "a": "b",
        "b": "a",
        "out": str(outside),
        "out-relative": "../../outside",
    }.items():
        os.symlink(target, os.path.join(share, name))
    back, captured = round_trip(lab, small, store, tmp_path)

    before, after = listing(small.at("share")), listing(back.at("share"))
    expected = {path: row[2] for path, row in before.items() if stat.S_ISLNK(row[0])}
    expected[b"inside-absolute"] = b"real"  # a link within the environment moves with it
    assert {path: row[2] for path, row in after.items() if stat.S_ISLNK(row[0])} == expected
    outward = lab.findings(captured)["link-outside"]
    assert set(outward) == {"share/out", "share/out-relative", "share/dangling-absolute"}
    assert not os.path.islink(small.at("lib64")) or os.readlink(back.at("lib64")) == "lib"


def test_lib64_is_not_stored_twice(small, store):
    if not os.path.islink(small.at("lib64")):
        pytest.skip("this Python's venv makes no lib64")
    captured = snapshot.capture(small, store, interpreter=False)
    trees = snapshot.load(captured.snapshot, store).trees
    paths = [entry.path for tree in trees.values() for entry in tree]
    assert "lib64" in paths
    assert not [path for path in paths if path.startswith("lib64/")]


def test_modes_and_empty_directories(lab, small, store, tmp_path):
    for path, mode in {"tool": 0o755, "private-tool": 0o700, "data": 0o644, "private": 0o600, "group": 0o664}.items():
        small.write(f"share/modes/{path}", path, mode)
    small.write("share/modes/read-only", "fixed", 0o444)
    small.write("share/modes/read-only-tool", "fixed", 0o555)
    os.makedirs(small.at("share", "empty", "inner"))
    small.write("share/closed/file", "in a read-only directory")
    os.chmod(small.at("share", "closed"), 0o555)
    os.makedirs(small.at("share", "closed-empty"), 0o555)
    back, _ = round_trip(lab, small, store, tmp_path)

    modes = {os.fsdecode(path): row[1] for path, row in listing(back.at("share")).items()}
    assert modes == {
        "modes": 0o755,
        "modes/tool": 0o755,
        "modes/private-tool": 0o755,
        "modes/data": 0o644,
        "modes/private": 0o644,
        "modes/group": 0o644,
        "modes/read-only": 0o444,
        "modes/read-only-tool": 0o555,
        "empty": 0o755,
        "empty/inner": 0o755,
        "closed": 0o555,
        "closed/file": 0o644,
        "closed-empty": 0o555,
    }
    shutil.rmtree(back.path)  # read-only directories hinder nobody but their owner; pytest cleans the other one up
    os.chmod(small.at("share", "closed"), 0o755)


NAMES = (
    b"\xff\xfe",
    b"new\nline",
    b"tab\tand space ",
    b"-dash",
    b"quote\"'",
    b"back\\slash",
    "日本".encode(),
    b"a,b",
    b"%41",
)


def test_names(lab, small, store, tmp_path):
    for name in NAMES:
        small.write(b"share/names/" + name, name)
        small.write(b"share/names/in " + name + b"/deep.py", b"value = 1\n")
        os.symlink(name, os.path.join(os.fsencode(small.at("share")), b"names", b"to " + name))
    small.write("share/names/" + "long" * 60, "a name of 240 bytes")
    os.symlink("x" * 300, small.at("share", "names", "long target"))
    back, captured = round_trip(lab, small, store, tmp_path)
    assert listing(back.at("share")) == listing(small.at("share"))
    assert {finding.path.encode("utf-8", "surrogateescape") for finding in captured.findings} >= {
        b"share/names/" + name for name in NAMES
    }


def test_names_that_differ_in_case_only(lab, small, store, tmp_path):
    small.write("share/Foo", "1")
    small.write("share/foo", "2")
    back, captured = round_trip(lab, small, store, tmp_path)
    assert listing(back.at("share")) == listing(small.at("share"))
    assert lab.findings(captured)["case-collision"] == {"share/foo": "differs from share/Foo in case only"}


def test_sockets_and_pipes_are_named_and_left_out(lab, small, store, tmp_path):
    small.write("run/file")
    os.mkfifo(small.at("run", "pipe"))
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(small.at("run"))
        try:
            server.bind("socket")
        finally:
            os.chdir("/")
        back, captured = round_trip(lab, small, store, tmp_path)
    assert set(lab.findings(captured)["special-file"]) == {"run/pipe", "run/socket"}
    assert os.listdir(back.at("run")) == ["file"]


def test_under_another_umask(lab, small, store, tmp_path):
    """What is restored can be read by others, whatever the umask of whoever restores is."""
    lab.pip_install(small, "cowsay<6.2")
    captured = snapshot.capture(small, store, interpreter=True)
    before = os.umask(0o077)
    try:
        back = lab.restored(store, captured.snapshot, tmp_path / "back", small)
        cold = snapshot.Store(store_of(store), cache=tmp_path / "cold cache")
        other = lab.restored(cold, captured.snapshot, tmp_path / "other", small)
    finally:
        os.umask(before)
    for made in (back, other):
        closed = [
            path
            for path, (kind, mode, _) in listing(made).items()
            if mode & 0o044 != 0o044 or (not stat.S_ISREG(kind) and mode & 0o055 != 0o055)
        ]
        assert closed == []
        assert os.stat(made.at("bin", "cowsay")).st_mode & 0o777 == 0o755
        assert os.stat(made.path).st_mode & 0o777 == 0o755


def store_of(store):
    return str(store)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("closed", ["file", "directory"])
def test_what_may_not_be_read(small, tmp_path, monkeypatch, closed):
    """Without it, it would be another environment: refused and named, and nothing is stored."""
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        pytest.skip("another user needs a Python in /usr")
    small.write("share/closed/one.txt", "1", 0o600 if closed == "file" else 0o644)
    if closed == "directory":
        os.chmod(small.at("share", "closed"), 0o700)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_mode & 0o055 != 0o055:
            directory.chmod(directory.stat().st_mode | 0o055)
    # As root it works; and what is imported late is imported now: the other user may not be able to.
    assert snapshot.capture(small, snapshot.Store(tmp_path / "other"), python=python, interpreter=False).files
    store = snapshot.Store(tmp_path / "store")
    (tmp_path / "store").mkdir(mode=0o777)
    (tmp_path / "store").chmod(0o777)
    monkeypatch.chdir(tmp_path)
    os.seteuid(65534)
    try:
        with pytest.raises(
            PermissionError, match=r"no permission to read .*; run as the environment's owner"
        ) as caught:
            snapshot.capture(small, store, python=python, interpreter=False)
    finally:
        os.seteuid(0)
    assert small.at("share", "closed", *(["one.txt"] if closed == "file" else [])) in str(caught.value)
    assert not [name for _, _, names in os.walk(tmp_path / "store") for name in names if len(name) == 64]
    assert not list((tmp_path / "store").glob("tmp/*"))
