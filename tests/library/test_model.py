"""A model and its notes beside an environment, and bytecode by import: captured, restored, verified, told apart."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import snapshot
from snapshot.beside import ModelFilesError, NoteError
from snapshot.importing import ImportsError
from snapshot.model import Kind
from snapshot.parity import strict_digest
from snapshot.serialize import encode_snapshot

_ROOT = Path(__file__).parent.parent.parent
NOTES = {"modules.json": b'{"modules":["thing"],"schema":1}', "requirements.lock": b"thing==1.0\n"}
#: Larger than what is read at once.
LARGE = random.Random(5).randbytes((4 << 20) + 77)


@pytest.fixture
def model(tmp_path):
    root = tmp_path / "model"
    (root / "code" / "__pycache__").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "MLmodel").write_text("flavors: {}\n")
    (root / "model.pkl").write_bytes(LARGE)
    (root / "code" / "own.py").write_text("x = 1\n")
    (root / "code" / "__pycache__" / "own.cpython-311.pyc").write_bytes(b"stale")
    (root / "code" / "run").write_text("#!/bin/sh\n")
    (root / "code" / "run").chmod(0o755)
    (root / "latest.pkl").symlink_to("model.pkl")
    (root / "absolute").symlink_to(root / "code" / "own.py")
    return root


def layers(reference, store):
    return {layer.label: layer for layer in snapshot.load(reference, store).snapshot.layers}


def test_there_and_back(tmp_path, environment, store, model):
    plain = snapshot.capture(environment, store, name="m/0")
    done = snapshot.capture(environment, store, name="m/1", model=model, notes=NOTES)
    assert done.snapshot != plain.snapshot
    assert done.parity_root == plain.parity_root
    both = [snapshot.load(name, store).snapshot for name in ("m/0", "m/1")]
    assert strict_digest(both[0]) == strict_digest(both[1])
    assert layers("m/1", store).keys() - layers("m/0", store).keys() == {"model", "notes (model)"}
    assert snapshot.verify("m/1", store).ok

    restored = snapshot.restore("m/1", tmp_path / "there", store)
    home = tmp_path / "there" / ".envparity"
    assert restored.parity_root == plain.parity_root
    assert (home / "model" / "model.pkl").read_bytes() == LARGE
    assert os.readlink(home / "model" / "latest.pkl") == "model.pkl"
    assert os.readlink(home / "model" / "absolute") == "code/own.py"
    assert (home / "model" / "empty").is_dir()
    assert os.access(home / "model" / "code" / "run", os.X_OK)
    assert not (home / "model" / "code" / "__pycache__").exists()
    assert {name: (home / name).read_bytes() for name in NOTES} == NOTES
    assert snapshot.verify(tmp_path / "there", store).ok

    # Neither a description nor a capture of the restored environment counts what lies beside it.
    described = snapshot.describe(tmp_path / "there").snapshot
    assert described.parity_root == plain.parity_root
    assert not [layer for layer in described.layers if layer.kind is Kind.MODEL]
    assert snapshot.capture(tmp_path / "there", store).parity_root == plain.parity_root


def test_what_was_changed_in_it_is_found(tmp_path, environment, store, model):
    snapshot.capture(environment, store, name="m", model=model, notes=NOTES)
    snapshot.restore("m", tmp_path / "there", store, link="copy")
    home = tmp_path / "there" / ".envparity"
    (home / "model" / "MLmodel").write_text("flavors: {x: y}\n")
    (home / "requirements.lock").unlink()
    (home / "model" / "more").write_text("more")
    problems = snapshot.verify(tmp_path / "there", store).problems
    assert [(problem.kind, problem.path) for problem in problems] == [
        ("added", ".envparity/model/more"),
        ("missing", ".envparity/requirements.lock"),
        ("modified", ".envparity/model/MLmodel"),
    ]


def test_notes_are_read_without_a_restore(environment, store, model):
    done = snapshot.capture(environment, store, name="m", model=model, notes=NOTES)
    assert {name: snapshot.read_note(store, done.snapshot, name) for name in NOTES} == NOTES
    assert snapshot.read_note(store, "m", "other") is None
    snapshot.capture(environment, store, name="n", model=model)
    assert snapshot.read_note(store, "n", "modules.json") is None


def test_the_next_version_of_a_model_is_a_delta(environment, store, model):
    snapshot.capture(environment, store, name="m/1", model=model)
    assert snapshot.capture(environment, store, name="m/1", model=model).added_bytes == 0
    (model / "model.pkl").write_bytes(LARGE + b"more")
    done = snapshot.capture(environment, store, name="m/2", model=model)
    assert 0 < done.added_bytes < len(LARGE) / 10
    assert snapshot.verify("m/2", store).ok


def test_it_counts_in_limits(environment, store, model):
    size = snapshot.capture(environment, store, name="m/1").packed_bytes
    with pytest.raises(snapshot.SizeLimitError, match=r"Largest: .*model"):
        snapshot.capture(environment, store, name="m/2", model=model, size_limit=size + len(LARGE) // 2)
    with pytest.raises(snapshot.BudgetError):
        snapshot.capture(environment, store, name="m/2", model=model, budget=size + len(LARGE) // 2)
    assert [reference.name for reference in store.references()] == ["m/1"]
    done = snapshot.capture(environment, store, name="m/2", model=model)
    assert done.packed_bytes > size + len(LARGE)
    assert "model" in [each.layer.label for each in snapshot.sizes("m/2", store).layers]


def test_links_that_lead_out_are_all_named(tmp_path, environment, store, model):
    (tmp_path / "outside").write_text("x")
    (model / "a").symlink_to("../outside")
    (model / "code" / "b").symlink_to(tmp_path / "outside")
    (model / "here").symlink_to(".")
    (model / "c").symlink_to("here/../outside")
    with pytest.raises(ModelFilesError, match=r"lead out of the model .*: a, c, code/b; put the files there") as caught:
        snapshot.capture(environment, store, name="m", model=model)
    assert isinstance(caught.value, snapshot.SnapshotError)
    assert store.references() == ()


def test_secrets_of_a_model_are_not_stored(tmp_path, environment, store, model):
    (model / ".env").write_text("TOKEN=hunter2\n")
    (model / "requirements.txt").write_text("--index-url https://me:hunter2@host/simple\nthing==1.0\n")
    notes = {"requirements.lock": b"--index-url https://me:hunter2@host/simple\nthing==1.0\n"}
    done = snapshot.capture(environment, store, name="m", model=model, notes=notes)
    secret = {finding.path for finding in done.findings if finding.kind == "secret"}
    assert secret == {
        ".envparity/model/.env", ".envparity/model/requirements.txt", ".envparity/requirements.lock",
    }  # fmt: skip
    assert snapshot.read_note(store, "m", "requirements.lock") == b"--index-url https://****@host/simple\nthing==1.0\n"
    snapshot.restore("m", tmp_path / "there", store)
    assert not (tmp_path / "there" / ".envparity" / "model" / ".env").exists()
    assert "hunter2" not in (tmp_path / "there" / ".envparity" / "model" / "requirements.txt").read_text()


@pytest.mark.parametrize(
    "name", ["python", "src", "restored.json", "model", "../x", "a/b", "", ".hidden", "credentials.json"]
)
def test_notes_that_cannot_be(environment, store, name):
    with pytest.raises(NoteError, match="notes that cannot be kept"):
        snapshot.capture(environment, store, notes={name: b"1", "good": b"2"})
    assert store.references() == ()


def test_models_that_are_none(tmp_path, environment, store):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(ModelFilesError, match="is no directory; give the one"):
            snapshot.capture(environment, store, model=path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFilesError, match="has no files"):
        snapshot.capture(environment, store, model=tmp_path / "empty")


def test_an_environment_alone_is_written_as_ever(environment, store):
    done = snapshot.capture(environment, store, name="m")
    plain = encode_snapshot(snapshot.load("m", store).snapshot)
    assert b'"schema":1' in plain
    other = snapshot.capture(environment, store, name="n", notes=NOTES)
    assert b'"schema":2' in encode_snapshot(snapshot.load("n", store).snapshot)
    assert done.snapshot != other.snapshot


# -- bytecode by import


def compiled(reference, store):
    found = snapshot.load(reference, store)
    return {
        f"{layer.mount}/{entry.path}".strip("/").rpartition("/__pycache__/")[0] + "/" + entry.path.rpartition("/")[2]
        for layer in found.snapshot.layers
        if layer.kind is Kind.BYTECODE
        for entry in found.trees[layer.tree]
    }


def test_only_the_bytecode_of_what_is_imported(tmp_path, environment, store):
    site = next((environment / "lib").glob("python*")) / "site-packages"
    (site / "thing" / "inner.py").write_text("y = 2\n")
    (site / "thing" / "other.py").write_text("z = 3\n")
    done = snapshot.capture(
        environment, store, name="m", imports=["thing.inner", "email.message", "_socket", "no.such"]
    )
    names = {
        path.rpartition("/")[0].rpartition("/")[2] + "/" + path.rpartition("/")[2].partition(".")[0]
        for path in compiled("m", store)
    }
    assert names == {"thing/__init__", "thing/inner", "email/__init__", "email/message"}
    assert snapshot.load("m", store).snapshot.environment.bytecode == "imported"
    assert done.parity_root == snapshot.capture(environment, store, name="n").parity_root
    assert done.snapshot == snapshot.capture(environment, store, imports=["email.message", "thing.inner"]).snapshot

    snapshot.restore("m", tmp_path / "there", store)
    assert snapshot.verify(tmp_path / "there", store).ok
    python = tmp_path / "there" / "bin" / "python"
    out = subprocess.run(
        [python, "-v", "-c", "import thing.inner, email.message"], capture_output=True, text=True, check=True
    )
    assert "inner.cpython" in out.stderr
    matched = [line for line in out.stderr.splitlines() if "matches" in line and "/thing/" in line]
    assert len(matched) == 2  # read, and not compiled again
    assert snapshot.verify(tmp_path / "there", store).ok


def test_no_imports_no_bytecode(environment, store):
    snapshot.capture(environment, store, name="m", imports=[])
    assert compiled("m", store) == set()


def test_imports_that_are_none(environment, store):
    with pytest.raises(ImportsError, match="give a list of module names"):
        snapshot.capture(environment, store, imports="thing")
    with pytest.raises(ImportsError, match="keeps none: leave one of them out"):
        snapshot.capture(environment, store, imports=["thing"], bytecode="drop")


# -- preflight


def test_preflight_before_and_after_it_is_unpacked(tmp_path, environment, store, model):
    snapshot.capture(environment, store, name="m", model=model, notes=NOTES)
    before = snapshot.preflight("m", tmp_path / "a" / "b", store)
    assert before.ok, before.problems
    assert before.layers == len([layer for layer in layers("m", store).values() if layer.files])
    assert before.needed_bytes > snapshot.load("m", store).snapshot.raw_bytes
    assert not (tmp_path / "a").exists()
    assert not [path for path in tmp_path.rglob(".envparity-*") if path.parent != tmp_path / "store" / "tmp"]
    done = snapshot.restore("m", tmp_path / "a" / "b", store)
    assert done.link == before.link
    after = snapshot.preflight("m", tmp_path / "c", store)
    assert (after.layers, after.ok) == (0, True)
    assert after.needed_bytes < before.needed_bytes / 10
    taken = snapshot.preflight("m", tmp_path / "a" / "b", store)
    assert [(notice.kind, notice.remedy) for notice in taken.problems] == [
        ("destination", "choose another destination or empty it first")
    ]


def test_preflight_finds_all_that_stands_in_the_way(tmp_path, environment, store):
    from dataclasses import replace

    from snapshot.facts.host import host

    snapshot.capture(environment, store, name="m", interpreter=False)
    (tmp_path / "file").write_text("x")
    found = snapshot.preflight(
        "m", tmp_path / "file", store, python="/no/such/python", host=replace(host(), machine="sparc")
    )
    assert [notice.kind for notice in found.problems] == ["machine", "destination", "interpreter"]
    assert all(notice.remedy for notice in found.problems)


# -- what is known late


def test_what_is_known_late(environment, store, model):
    """It is asked for when all the rest is packed, and makes no other snapshot than when it is given at once."""
    asked = []

    def late(name, value):
        def ask():
            asked.append(name)
            assert not list(store.references())
            return value

        return ask

    values = {"variables": {"TZ": "UTC"}, "notes": {"n": b"1"}, "imports": ["email.message"]}
    functions = {name: late(name, value) for name, value in values.items()}
    done = snapshot.capture(environment, store, name="m/1", model=model, **functions)
    assert asked == ["variables", "notes", "imports"]
    other = snapshot.capture(environment, store, name="m/2", model=model, **values)
    assert done.snapshot == other.snapshot
    facts = [snapshot.load(name, store).facts for name in ("m/1", "m/2")]
    assert facts[0].variables == facts[1].variables
    assert [each.name for each in facts[0].variables.items] == ["TZ"]


@pytest.mark.parametrize(
    ("late", "error"),
    [
        ({"imports": lambda: 1 // 0}, ZeroDivisionError),
        ({"imports": lambda: "thing"}, ImportsError),
        ({"notes": lambda: {"../n": b"1"}}, NoteError),
    ],
)
def test_what_comes_late_and_is_wrong(environment, store, late, error):
    with pytest.raises(error):
        snapshot.capture(environment, store, name="m", **late)
    assert not list(store.references())
    assert store.check() == ()


# -- killed, and several at once

_CAPTURE = """
import sys, snapshot
store = snapshot.Store(sys.argv[2])
print("ready", flush=True)
snapshot.capture(sys.argv[1], store, name="m/2", model=sys.argv[3], notes={"n": b"1"}, imports=["email.message"])
"""


def test_killed_while_a_model_is_captured(tmp_path, environment, store, model):
    snapshot.capture(environment, store, name="m/1")
    chance = random.Random(7)
    for _ in range(6):
        command = [sys.executable, "-c", _CAPTURE, str(environment), str(store), str(model)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
        assert store.check() == ()
    snapshot.capture(environment, store, name="m/2", model=model, notes={"n": b"1"}, imports=["email.message"])
    snapshot.collect(store, grace=0)
    assert snapshot.verify("m/2", store).ok
    assert not [path for path in (tmp_path / "store" / "cache").iterdir() if path.name.startswith(".envparity-")]


def test_two_at_once(environment, store, model):
    failed = []

    def one(number):
        try:
            snapshot.capture(environment, store, name=f"m/{number}", model=model, notes={"n": b"%d" % number})
        except snapshot.SnapshotError as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [snapshot.read_note(store, f"m/{number}", "n") for number in range(3)] == [b"0", b"1", b"2"]
    assert store.check() == ()
