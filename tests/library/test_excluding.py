"""A capture that leaves something out: nothing of it is there, nothing else is missing, and what is restored works."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import diffing
import snapshot
from snapshot.excluding import InvalidPatternError
from tests.handmade import HandMade, recorded


@pytest.fixture
def made(tmp_path):
    """`third` has tests, and needs `one`."""
    made = HandMade(tmp_path / "env").make()
    note = made.site / "third-1.0.dist-info"
    (note / "METADATA").write_text("Metadata-Version: 2.1\nName: third\nVersion: 1.0\nRequires-Dist: one\n")
    (made.site / "third" / "tests").mkdir(parents=True)
    rows = ["third/__init__.py", "third/tests/__init__.py", "third/tests/test_third.py"]
    for row in rows:
        (made.site / row).write_bytes(b"value = 3\n")
    with (note / "RECORD").open("a") as file:
        file.writelines(f"{row},{recorded(b'value = 3' + bytes([10]))}\n" for row in rows)
    (made.site / "third.py").unlink()
    next(made.site.glob("__pycache__/third.*")).unlink()
    record = (note / "RECORD").read_text().splitlines(keepends=True)
    (note / "RECORD").write_text("".join(row for row in record if not row.startswith("third.py")))
    subprocess.run([made.path / "bin/python", "-m", "compileall", "-q", made.site / "third"], check=True)
    return made


def paths(store, reference):
    described = snapshot.load(reference, store)
    return {
        f"{layer.mount}/{entry.path}" if layer.mount else entry.path
        for layer in described.snapshot.layers
        for entry in described.trees[layer.tree]
    }


def findings(captured, *kinds):
    return {(each.kind, each.path): each.detail for each in captured.findings if each.kind in kinds}


ABOUT = ("excluded", "exclude-unmatched", "exclude-required")


def test_nothing_of_it_is_captured_and_nothing_is_reported_missing(made, store):
    full = snapshot.capture(made.path, store, interpreter=False)
    less = snapshot.capture(made.path, store, interpreter=False, exclude=["*/tests/*"])
    gone = paths(store, full.snapshot) - paths(store, less.snapshot)
    assert {Path(path).name.partition(".")[0] for path in gone} == {"__init__", "test_third"}
    assert {path for path in paths(store, full.snapshot) if "/tests/" in path} == gone
    assert paths(store, less.snapshot) < paths(store, full.snapshot)
    sizes = sum((made.path / path).stat().st_size for path in gone)
    assert findings(less, *ABOUT) == {("excluded", "*/tests/*"): f"left out: 4 files, {sizes:,} bytes"}
    others = [each for each in less.findings if each.kind not in ABOUT]
    assert others == [each for each in full.findings if "/tests/" not in each.path]
    assert not findings(less, "missing", "stale-bytecode")
    assert less.parity_root != full.parity_root
    assert snapshot.verify(less.snapshot, store).ok
    assert snapshot.load(less.snapshot, store).findings == less.findings


def test_a_whole_distribution(made, store, tmp_path):
    captured = snapshot.capture(made.path, store, exclude=["dist:One", "dist:nope"])
    assert findings(captured, *ABOUT).keys() == {
        ("excluded", "dist:One"),
        ("exclude-required", "dist:one"),
        ("exclude-unmatched", "dist:nope"),
    }
    assert findings(captured, "exclude-required") == {
        ("exclude-required", "dist:one"): "left out, but required by third"
    }
    assert {layer.name for layer in store.snapshot(captured.snapshot).distributions} == {"other", "third"}
    # Both list it: it stays with the other, and what they disagreed on is no question any more.
    assert "bin/tool" in paths(store, captured.snapshot)
    assert not any(
        "one" in Path(path).name
        for path in paths(store, captured.snapshot)
        if "site-packages" in path and "/one" in path
    )
    assert not findings(captured, "multiply-owned", "missing", "stale-bytecode")
    snapshot.restore(captured.snapshot, tmp_path / "back", store)
    code = "import importlib.metadata as m, json; print(json.dumps(sorted(d.name for d in m.distributions())))"
    said = subprocess.run([tmp_path / "back/bin/python", "-I", "-c", code], capture_output=True, check=True).stdout
    assert json.loads(said) == ["other", "third"]


def test_what_is_restored_is_what_was_captured(made, store, tmp_path):
    captured = snapshot.capture(made.path, store, exclude=["*/tests/*", "*.txt"])
    back = tmp_path / "back"
    snapshot.restore(captured.snapshot, back, store)
    assert snapshot.verify(back, store).ok
    assert (
        subprocess.run(
            [back / "bin/python", "-I", "-c", "import third, one; print(third.value)"], capture_output=True, check=True
        ).stdout
        == b"3\n"
    )
    assert not [path for path in back.glob("lib/**/third/*") if path.name == "tests"]
    # As an environment of its own it is what the snapshot says; beside the full one, what was left out shows.
    stored = snapshot.load(captured.snapshot, store)
    assert diffing.compare(stored, snapshot.describe(back)).equal
    shown = diffing.compare(stored, snapshot.describe(made.path))
    assert {Path(change.path).name for change in shown.files} == {"__init__.py", "test_third.py", "notes.txt"}


def test_the_interpreter_the_environments_own_files_and_metadata_are_always_kept(made, store):
    full = snapshot.capture(made.path, store)
    less = snapshot.capture(made.path, store, exclude=["pyvenv.cfg", "bin/*", "*/include/*", "*METADATA", "*/RECORD"])
    assert paths(store, full.snapshot) - paths(store, less.snapshot) == {"bin/tool"}
    assert findings(less, *ABOUT).keys() == {
        ("excluded", "bin/*"),
        ("exclude-unmatched", "pyvenv.cfg"),
        ("exclude-unmatched", "*/include/*"),
        ("exclude-unmatched", "*METADATA"),
        ("exclude-unmatched", "*/RECORD"),
    }
    assert (
        findings(less, "exclude-unmatched")["exclude-unmatched", "pyvenv.cfg"]
        == "matches only what is always kept (1 file)"
    )


def test_other_patterns_make_other_stamps(made, store, tmp_path, monkeypatch):
    """One after the other with the stamps of all before: each is what a capture without stamps gives."""
    monkeypatch.setattr("snapshot.capturing.TICK", -3600.0)
    for number, exclude in enumerate(
        [(), ("*/tests/*",), ("*/test_*",), ("*/tests/*",), ("bin/tool",), ("dist:one",), ("dist:other",), ()]
    ):
        stamped = snapshot.capture(made.path, store, interpreter=False, exclude=exclude)
        fresh = snapshot.capture(made.path, snapshot.Store(tmp_path / f"{number}"), interpreter=False, exclude=exclude)
        assert stamped.snapshot == fresh.snapshot
        assert stamped.findings == fresh.findings


@pytest.mark.parametrize("bytecode", ["keep", "compile"])
def test_bytecode_can_be_excluded_whether_found_or_made(made, store, bytecode):
    captured = snapshot.capture(made.path, store, interpreter=False, bytecode=bytecode, exclude=["*/third/*.pyc"])
    kept = {path for path in paths(store, captured.snapshot) if path.endswith(".pyc")}
    assert any("/one." in path for path in kept)
    assert not any("/third/" in path for path in kept)


def test_sources_of_editable_installs(made, store, tmp_path):
    project = tmp_path / "src" / "project"
    (project / "tests").mkdir(parents=True)
    (project / "tests" / "test_it.py").write_text("")
    (project / "it.py").write_text("")
    (made.site / "project.pth").write_text(f"{project}\n")
    captured = snapshot.capture(made.path, store, interpreter=False, exclude=["*/tests/*"])
    kept = {path for path in paths(store, captured.snapshot) if path.startswith(".envparity/src/")}
    assert kept == {".envparity/src/project/it.py"}


def test_a_pattern_that_cannot_match_is_refused_before_anything_is_read(tmp_path, store):
    with pytest.raises(InvalidPatternError, match="'/x' excludes nothing"):
        snapshot.capture(tmp_path / "missing", store, exclude=["/x"])
