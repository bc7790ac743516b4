"""`envparity quickstart`: the steps, what a failed one says, and what is left behind."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

STEPS = ["capture", "restore", "verify", "diff, original", "diff, restored", "run python"]


class Prefixes(dict):
    """Every environment is the same one, except those that are put in."""

    def __init__(self, default):
        super().__init__()
        self.default = default

    def __missing__(self, key):
        return self.default


@pytest.fixture
def workshop(library, make, monkeypatch, tmp_path):
    """Where temporary directories are made. The restored interpreter is a script that tells what it was told to."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    library.environments = Prefixes(make.training())
    library.interpreter = """#!/bin/sh\necho '["3.11.7", "'"${0%/bin/python}"'", 43]'\n"""
    plain = library.restore

    def restore(reference, destination, store, **options):
        binaries = Path(destination) / "bin"
        binaries.mkdir(parents=True)
        if library.interpreter:
            (binaries / "python").write_text(library.interpreter)
            (binaries / "python").chmod(0o755)
        binaries.chmod(0o555)
        return plain(reference, destination, store, **options)

    monkeypatch.setattr("snapshot.restore", restore, raising=False)
    return directory


def test_every_step_is_shown_and_nothing_is_left(envparity, library, workshop):
    said = envparity("quickstart", store=False).stdout
    assert all(len(line) <= 80 for line in said.splitlines() if "/" not in line)
    for step in STEPS:
        assert f"\n{step}  " in said
    assert "11,904 files, 592 MB, 205 MB packed" in said
    assert "Python 3.11.7 starts in it and sees 43 distributions" in said
    assert "the restored environment is the same, in " in said
    assert [what for what, _, _ in library.calls] == [
        "capture",
        "restore",
        "verify",
        "describe",
        "load",
        "describe",
        "load",
    ]
    assert library.calls[0][1][0] == library.calls[3][1][0] == sys.prefix
    assert list(workshop.iterdir()) == []


def test_json(envparity, workshop):
    document = envparity.json("quickstart")
    assert document["ok"] is True
    assert document["environment"] == sys.prefix
    assert document["store"] == str(envparity.store_path)
    assert [step["name"] for step in document["steps"]] == STEPS
    assert all(step["ok"] and step["seconds"] >= 0 for step in document["steps"])


def test_the_named_store_is_used(envparity, library, workshop):
    said = envparity("quickstart").stdout
    assert f"store        {envparity.store_path}\n" in said
    assert said.endswith(f"the snapshot stays in {envparity.store_path}; envparity remove quickstart takes it out\n")
    assert "everything was removed" not in said
    assert str(library.calls[0][1][1]) == str(envparity.store_path)


def test_the_store_of_the_environment_variable_is_left_alone(envparity, library, workshop, monkeypatch):
    monkeypatch.setenv("ENVPARITY_STORE", str(envparity.store_path))
    assert envparity("quickstart", store=False).stdout.endswith("everything was removed again; --keep DIR keeps it\n")
    assert str(library.calls[0][1][1]).startswith(str(workshop))


def test_results_can_be_kept(envparity, library, workshop, tmp_path):
    kept = tmp_path / "kept"
    said = envparity("quickstart", "--keep", kept, store=False).stdout
    assert said.endswith(f"kept in {kept}\n")
    assert (kept / "restored" / "bin" / "python").exists()
    assert str(library.calls[0][1][1]) == str(kept / "store")
    assert envparity.error("quickstart", "--keep", kept).startswith(f"{kept} is not empty; give --keep a directory")


def test_a_difference_is_a_failed_check(envparity, library, workshop, make):
    library.environments[sys.prefix] = make.training(core=b"edited meanwhile")
    said = envparity("quickstart", code=1).stdout
    assert "\ndiff, original !" in said
    assert "PARITY: FAILED  DRIFTED" in said
    assert "core.py changed" in said
    assert "FAILED in " in said
    assert said.splitlines()[-2].endswith(": diff, original")
    steps = {step["name"]: step for step in envparity.json("quickstart", code=1)["steps"]}
    assert (steps["diff, original"]["ok"], steps["diff, restored"]["ok"]) == (False, True)


def test_a_problem_is_a_failed_check(envparity, library, workshop, make):
    library.problems = tuple(make.Problem("modified", f"lib/{number}.py", "") for number in range(12))
    said = envparity("quickstart", code=1).stdout
    assert "verify !        12 problems" in said
    assert "  modified lib/9.py\n  … and 2 more (--json has all)\n" in said


@pytest.mark.parametrize(
    ("interpreter", "detail"),
    [
        ("", "does not start: No such file or directory"),
        ("#!/bin/sh\necho oh >&2\nexit 3\n", "ended with exit code 3"),
        ("""#!/bin/sh\necho '["3.11.7", "/somewhere", 43]'\n""", "it takes /somewhere for its environment"),
    ],
)
def test_an_interpreter_that_does_not_run_is_a_failed_check(envparity, library, workshop, interpreter, detail):
    library.interpreter = interpreter
    step = envparity.json("quickstart", code=1)["steps"][-1]
    assert step["ok"] is False
    assert step["detail"].endswith(detail)
    assert step["notes"] == (["oh"] if "oh" in interpreter else [])


def test_an_error_leaves_nothing_behind(envparity, library, workshop):
    library.error = OSError("the disk is full")
    result = envparity("quickstart", store=False, code=2)
    assert result.stderr == "envparity: error: the disk is full\n"
    assert os.listdir(workshop) == []
