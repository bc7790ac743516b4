"""`verify` of a restored environment names what is not as it was, and is not disturbed by its being used."""

from __future__ import annotations

import os
import shutil

import pytest

import snapshot

pytestmark = pytest.mark.environments


@pytest.fixture(scope="module")
def live(lab, root):
    made = lab.venv(root / "verify" / "live", "--without-pip")
    lab.pip_install(made, "idna==3.7", "cowsay<6.2")
    project = root / "verify" / "project"
    project.mkdir()
    (project / "mine.py").write_text("x = 1\n")
    made.write(os.path.join(made.site, "project.pth"), f"{project}\n")
    made.write("share/fixed/file", "x", 0o444)
    os.symlink("fixed", made.at("share", "link"))
    os.makedirs(made.at("share", "empty"))
    return made


@pytest.fixture
def back(lab, live, store, tmp_path):
    captured = snapshot.capture(live, store, name="verified")
    # By copies: what these tests do to files must not reach the cache that other tests restore from.
    return lab.restored(store, captured.snapshot, tmp_path / "back", live, link="copy")


@pytest.fixture
def problems(back, store):
    def run():
        verified = snapshot.verify(back.path, store)
        assert verified.ok == (not verified.problems)
        return {(problem.kind, os.path.relpath(back.at(problem.path), back.path)) for problem in verified.problems}

    return run


def test_using_it_changes_nothing(back, problems):
    assert problems() == set()
    back.run("-c", "import idna.core, cowsay, mine, json.tool, sqlite3, ctypes, tarfile, mailbox")
    assert problems() == set()


def test_everything_that_is_changed_is_named(back, problems):
    relative = os.path.relpath(back.site, back.path)
    with open(os.path.join(back.site, "idna", "core.py"), "r+b") as file:
        file.write(b"X")
    assert problems() == {("modified", f"{relative}/idna/core.py")}
    os.unlink(os.path.join(back.site, "idna", "compat.py"))
    os.chmod(os.path.join(back.site, "idna", "codec.py"), 0o755)
    os.unlink(back.at("share", "link"))
    os.symlink("elsewhere", back.at("share", "link"))
    os.rmdir(back.at("share", "empty"))
    back.write(os.path.join(back.site, "planted.pth"), "import os\n")
    back.write(".envparity/planted", "x")
    with open(back.at("bin", "cowsay"), "a") as file:
        file.write("# edited\n")
    with open(back.at("pyvenv.cfg"), "a") as file:
        file.write("include-system-site-packages = true\n")
    os.unlink(
        back.at(".envparity", "python", "include", *os.listdir(back.at(".envparity", "python", "include")), "Python.h")
    )
    back.write(".envparity/src/project/mine.py", "x = 2\n")
    python = os.listdir(back.at(".envparity", "python", "include"))[0]
    assert {row for row in problems() if not row[1].endswith(".pyc")} == {
        ("modified", f"{relative}/idna/core.py"),
        ("missing", f"{relative}/idna/compat.py"),
        ("modified", f"{relative}/idna/codec.py"),
        ("modified", "share/link"),
        ("missing", "share/empty"),
        ("added", f"{relative}/planted.pth"),
        ("added", ".envparity/planted"),
        ("modified", "bin/cowsay"),
        ("modified", "pyvenv.cfg"),
        ("missing", f".envparity/python/include/{python}/Python.h"),
        ("modified", ".envparity/src/project/mine.py"),
    }


def test_what_became_something_else(back, problems):
    relative = os.path.relpath(back.site, back.path)
    shutil.rmtree(os.path.join(back.site, "idna"))
    os.symlink("cowsay", os.path.join(back.site, "idna"))
    os.unlink(back.at("share", "link"))
    back.write("share/link", "a file now")
    os.unlink(os.path.join(back.site, "cowsay", "main.py"))
    os.mkdir(os.path.join(back.site, "cowsay", "main.py"))
    found = problems()
    assert {("modified", "share/link"), ("modified", f"{relative}/cowsay/main.py")} <= found
    assert ("missing", f"{relative}/idna/core.py") in found
    assert ("added", f"{relative}/idna") in found


def test_bytecode_that_lies_is_named(back, problems):
    """Python would run it: a valid header over other code, or one that is never checked."""
    relative = os.path.relpath(back.site, back.path)
    back.write(os.path.join(back.site, "planted.py"), "x = 1\n")
    planted = os.path.join(back.site, "planted.py")
    back.run(
        "-c", f"import py_compile as p; p.compile({planted!r}, invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)"
    )
    (pyc,) = (name for name in os.listdir(os.path.join(back.site, "__pycache__")) if name.startswith("planted"))
    assert {("added", f"{relative}/planted.py"), ("added", f"{relative}/__pycache__/{pyc}")} <= problems()

    kept = os.path.join(back.site, "idna", "__pycache__")
    (core,) = (name for name in os.listdir(kept) if name.startswith("core."))
    with open(os.path.join(kept, core), "r+b") as file:
        file.seek(-6, os.SEEK_END)
        file.write(b"planted")
    assert ("modified", f"{relative}/idna/__pycache__/{core}") in problems()


def test_a_moved_environment_says_so(lab, back, store, tmp_path):
    moved = tmp_path / "moved"
    os.rename(back.path, moved)
    verified = snapshot.verify(moved, store)
    assert [(problem.kind, problem.detail) for problem in verified.problems] == [
        ("moved", f"it was restored to {back.path}: scripts and pyvenv.cfg point there")
    ]


def test_a_directory_that_no_restore_made(live, store):
    with pytest.raises(ValueError, match=r"was not made by a restore.*envparity diff"):
        snapshot.verify(live.path, store)


def test_it_finds_the_store_it_came_from(lab, back, store, tmp_path):
    assert snapshot.verify(back.path, snapshot.Store(tmp_path / "empty store")).ok


def test_a_stored_snapshot(captured, store):
    verified = snapshot.verify("reference", store)
    assert verified.ok
    assert verified.files == captured.files
