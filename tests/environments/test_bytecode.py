"""Bytecode comes back valid: an import compiles nothing that had bytecode before. What is stale is left out, by name."""

from __future__ import annotations

import glob
import os
import shutil

import pytest

import snapshot

pytestmark = pytest.mark.environments

IMPORTS = "import idna.core, idna.codec, idna.package_data, idna.uts46data, idna.compat, json, sysconfig"


def pycs(root):
    """Every `.pyc` below `root` with its content and time."""
    found = {}
    for path in glob.glob(glob.escape(os.fspath(root)) + "/**/*.pyc", recursive=True, include_hidden=True):
        status = os.stat(path)
        with open(path, "rb") as file:
            found[path] = (status.st_mtime_ns, status.st_ino, file.read())
    return found


def compiled_by(version, lab, path):
    made = lab.venv(path, "--without-pip", python=lab.interpreter(version))
    lab.pip_install(made, "idna==3.7", "cowsay<6.2")
    return made


@pytest.mark.parametrize("version", ["3.8", "3.11", "3.13"])
def test_an_import_compiles_nothing(lab, store, tmp_path, version):
    made = compiled_by(version, lab, tmp_path / "made")
    back = lab.restored(store, snapshot.capture(made, store).snapshot, tmp_path / "back", made)
    before = pycs(back)
    assert any("/idna/" in path for path in before)
    back.run("-c", IMPORTS)
    # What the base had no bytecode for is written there; nothing that was there has been written again.
    assert {path: row for path, row in pycs(back).items() if path in before} == before
    assert {path for path in pycs(back).keys() - before.keys() if "/site-packages/" in path} == set()
    said = back.run("-v", "-c", "import idna.core").out
    loaded = [line for line in said.splitlines() if "code object from" in line and "site-packages" in line]
    assert loaded
    assert not [line for line in loaded if line.endswith((".py", ".py'"))]


def test_python_checks_it_as_it_would_any_other(lab, store, tmp_path):
    """Edit a restored source: the restored bytecode must be seen to be stale."""
    made = compiled_by("3.11", lab, tmp_path / "made")
    back = lab.restored(store, snapshot.capture(made, store, interpreter=False).snapshot, tmp_path / "back", made)
    source = os.path.join(back.site, "idna", "package_data.py")
    with open(source) as file:
        content = file.read()
    os.unlink(source)
    with open(source, "w") as file:
        file.write(content.replace("3.7", "9.9"))
    assert back.run("-c", "import idna; print(idna.__version__)").stdout == "9.9\n"


@pytest.mark.parametrize("version", ["3.8", "3.12"])
def test_compileall_has_nothing_to_do(lab, store, tmp_path, version):
    """With bytecode="compile" every source has its own, those written for this place too."""
    made = lab.venv(tmp_path / "made", "--without-pip", python=lab.interpreter(version))
    lab.pip_install(made, "--no-compile", "idna==3.7", "cowsay<6.2")
    project = tmp_path / "project"
    project.mkdir()
    (project / "elsewhere.py").write_text("value = 1\n")
    made.write(os.path.join(made.site, "elsewhere.pth"), f"{project}\n")
    made.write(os.path.join(made.site, "unowned.py"), f"where = {made.path!r}\n")
    assert not pycs(made)
    captured = snapshot.capture(made, store, bytecode="compile")
    assert not pycs(made)  # the environment is only read
    back = lab.restored(store, captured.snapshot, tmp_path / "back", made)
    before = pycs(back)
    assert len(before) > 500
    cache = made.run("-c", "import sys; print(sys.implementation.cache_tag)").stdout.strip()
    for source in ("unowned", "idna/core"):
        directory, name = os.path.split(source)
        assert os.path.join(back.site, directory, "__pycache__", f"{name}.{cache}.pyc") in before
    assert any(path.endswith(f"elsewhere.{cache}.pyc") for path in before)
    broken = set(lab.findings(captured).get("not-compiled", ()))
    tops = [top for top in glob.glob(back.path + "/*") + glob.glob(back.path + "/.envparity/*/*") if os.path.isdir(top)]
    back.run("-m", "compileall", "-q", *tops, code=None)
    after = pycs(back)
    assert {path: row for path, row in after.items() if path in before} == before
    assert after.keys() - before.keys() == set(), broken
    assert snapshot.verify(back.path, store).ok


def test_without_bytecode(lab, store, tmp_path):
    made = compiled_by("3.11", lab, tmp_path / "made")
    captured = snapshot.capture(made, store, bytecode="drop")
    back = lab.restored(store, captured.snapshot, tmp_path / "back", made)
    assert not pycs(back)
    assert "cowsay" in back.run("-c", "import cowsay; print(cowsay)").stdout
    kept = snapshot.capture(made, store)
    assert kept.parity_root == captured.parity_root
    assert snapshot.verify(back.path, store).ok


def stale(lab, made, store):
    captured = snapshot.capture(made, store, interpreter=False)
    prefix = os.path.relpath(made.site, made.path) + "/"
    found = lab.findings(captured).get("stale-bytecode", {})
    return captured, {path.removeprefix(prefix): why.removesuffix("; left out") for path, why in found.items()}


MODULES = ("good", "touched", "grown", "hashed", "unchecked", "hashed_wrong", "unchecked_wrong", "short", "magic")


@pytest.fixture
def aged(lab, tmp_path):
    """An environment with bytecode in every condition."""
    made = lab.venv(tmp_path / "made", "--without-pip", python=lab.interpreter("3.11"))
    for name in (*MODULES, "orphan", "optimised"):
        source = os.path.join(made.site, f"{name}.py")
        made.write(source, f"NAME = {name!r}\n")
        mode = "TIMESTAMP"
        if "hashed" in name or "unchecked" in name:
            mode = "UNCHECKED_HASH" if "unchecked" in name else "CHECKED_HASH"
        made.run("-c", f"import py_compile as p; p.compile({source!r}, invalidation_mode=p.PycInvalidationMode.{mode})")
    made.run("-O", "-m", "compileall", "-q", os.path.join(made.site, "optimised.py"))

    def cached(name, tag="cpython-311"):
        return os.path.join(made.site, "__pycache__", f"{name}.{tag}.pyc")

    os.utime(os.path.join(made.site, "touched.py"), (1, 1))
    for name in ("grown", "hashed_wrong", "unchecked_wrong"):
        source = os.path.join(made.site, f"{name}.py")
        status = os.stat(source)
        made.write(source, "NAME = 'changed since'\n")
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.unlink(os.path.join(made.site, "orphan.py"))
    made.write(cached("short"), b"\xa7\r\r\n")
    with open(cached("magic"), "r+b") as file:
        file.write(b"\0\0")
    shutil.copy(cached("good"), cached("good", "cpython-39"))
    shutil.copy(cached("good"), os.path.join(made.site, "sourceless.pyc"))
    return made


def test_what_is_stale_is_left_out(lab, aged, store, tmp_path):
    captured, found = stale(lab, aged, store)
    assert found == {
        "__pycache__/touched.cpython-311.pyc": "older or newer than its source",
        "__pycache__/grown.cpython-311.pyc": "its source has another size",
        "__pycache__/hashed_wrong.cpython-311.pyc": "its source has another hash",
        "__pycache__/unchecked_wrong.cpython-311.pyc": "its source has another hash",
        "__pycache__/orphan.cpython-311.pyc": "its source is not there",
        "__pycache__/short.cpython-311.pyc": "written by another interpreter, or cut short",
        "__pycache__/magic.cpython-311.pyc": "written by another interpreter, or cut short",
        "__pycache__/good.cpython-39.pyc": "another interpreter's",
    }
    back = lab.restored(store, captured.snapshot, tmp_path / "back", aged)
    left = {os.path.relpath(path, back.site) for path in pycs(back.site)}
    assert left == {
        "__pycache__/good.cpython-311.pyc",
        "__pycache__/hashed.cpython-311.pyc",
        "__pycache__/unchecked.cpython-311.pyc",
        "__pycache__/optimised.cpython-311.pyc",
        "__pycache__/optimised.cpython-311.opt-1.pyc",
        "sourceless.pyc",
    }
    before = pycs(back.site)
    for module in (*MODULES, "optimised", "sourceless"):
        back.run("-c", f"import {module}")
    back.run("-O", "-c", "import optimised")
    assert {path: row for path, row in pycs(back.site).items() if path in before} == before
    # The code in the bytecode that was left out must not run: the source does.
    assert back.run("-c", "import unchecked_wrong as m; print(m.NAME)").stdout == "changed since\n"


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_hash_based_bytecode_of_other_versions(lab, store, tmp_path, version):
    made = lab.venv(tmp_path / "made", "--without-pip", python=lab.interpreter(version))
    for name in ("right", "wrong"):
        source = os.path.join(made.site, f"{name}.py")
        made.write(source, "NAME = 1\n")
        made.run(
            "-c", f"import py_compile as p; p.compile({source!r}, invalidation_mode=p.PycInvalidationMode.CHECKED_HASH)"
        )
    made.write(os.path.join(made.site, "wrong.py"), "NAME = 2\n")
    _, found = stale(lab, made, store)
    assert {os.path.basename(path).partition(".")[0]: why for path, why in found.items()} == {
        "wrong": "its source has another hash"
    }


def test_bytecode_beside_a_source_of_this_place(lab, store, tmp_path):
    """A source that names the prefix changes with the place: its bytecode is compiled anew by whoever restores."""
    made = compiled_by("3.11", lab, tmp_path / "made")
    made.write(os.path.join(made.site, "here.py"), f"WHERE = {made.path!r}\n")
    made.run("-c", "import here")
    captured = snapshot.capture(made, store, interpreter=False)
    back = lab.restored(store, captured.snapshot, tmp_path / "elsewhere", made)
    before = pycs(back.site)
    assert os.path.join(back.site, "__pycache__", "here.cpython-311.pyc") in before
    assert back.run("-c", "import here; print(here.WHERE)").stdout.strip() == back.path
    assert pycs(back.site) == before
