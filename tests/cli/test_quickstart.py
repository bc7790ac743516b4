"""`envparity quickstart`: the steps, what a failed one says, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from registration import trying
from registration.quickstart import Step
from registration.trying import HINT, Doing, Trial, TrialError, hindrance

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
    monkeypatch.setattr(trying, "hindrance", lambda _: HINT)
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
    assert said.endswith(f"{HINT}\n")
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
    assert (document["model"], document["predictions"], document["report"]) == (None, None, None)
    assert document["hint"] == HINT


def test_the_named_store_is_used(envparity, library, workshop):
    said = envparity("quickstart").stdout
    assert f"store        {envparity.store_path}\n" in said
    assert f"the snapshot stays in {envparity.store_path}; envparity remove quickstart takes it out\n" in said
    assert "everything was removed" not in said
    assert str(library.calls[0][1][1]) == str(envparity.store_path)


def test_the_store_of_the_environment_variable_is_left_alone(envparity, library, workshop, monkeypatch):
    monkeypatch.setenv("ENVPARITY_STORE", str(envparity.store_path))
    assert "\neverything was removed again; --keep DIR keeps it\n" in envparity("quickstart", store=False).stdout
    assert str(library.calls[0][1][1]).startswith(str(workshop))


def test_results_can_be_kept(envparity, library, workshop, tmp_path):
    kept = tmp_path / "kept"
    said = envparity("quickstart", "--keep", kept, store=False).stdout
    assert f"\nkept in {kept}\n" in said
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
    assert said.splitlines()[-3].endswith(": diff, original")
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


# -- with a model


class Told:
    """Stands in for the trial's process: tells what a test puts here."""

    def __init__(self, served=751.3393125276466, report=None):
        self.model = "models:/quickstart/1"
        self.predictions = {"trained": 751.3393125276466, "served": served}
        self.report = report
        self.error = None

    def __call__(self, prefix, home, store, *, cache, variables):
        (home / "scratch").mkdir()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        yield Doing("starting MLflow, and training a model")
        yield Step("train", ok=True, detail="a random forest, logged with MLflow 3.17.2", seconds=6.0)
        if self.error:
            raise TrialError(self.error)
        equal = self.predictions["trained"] == self.predictions["served"]
        detail = f"{self.predictions['trained']!r} trained, {self.predictions['served']!r} served"
        yield Step("predict", ok=equal, detail=detail, seconds=0.25, notes=() if equal else ("a line of the log",))


@pytest.fixture
def told(workshop, monkeypatch, make):
    import datetime as dt

    from diffing.assessing import assess
    from diffing.sides import Side

    train = Side("quickstart/1", "snapshot", make.training(), name="quickstart/1")
    serve = Side("/srv/deployed", "environment", make.training())
    told = Told(report=assess(train, serve, today=dt.date(2026, 11, 1)))
    monkeypatch.setattr(trying, "hindrance", lambda _: None)
    monkeypatch.setattr(trying, "Trial", told)
    return told


def test_a_model_is_served_and_the_report_shown(envparity, told, workshop):
    said = envparity("quickstart", store=False).stdout
    assert all(len(line) <= 80 for line in said.splitlines() if "/" not in line)
    assert "\npredict         751.3393125276466 trained, 751.3393125276466 served" in said
    assert "\n\nPARITY: PASSED  IDENTICAL" in said
    assert "the deployed model predicts exactly what it did when trained, in 6.25 s\n" in said
    assert said.endswith("next, with a model of yours: envparity deploy models:/NAME/VERSION DIRECTORY\n")
    assert "envparity[mlflow]" not in said
    assert list(workshop.iterdir()) == []


def test_json_with_a_model(envparity, told, tmp_path):
    document = envparity.json("quickstart", "--keep", tmp_path / "kept")
    assert document["ok"] is True
    assert document["model"] == "models:/quickstart/1"
    assert document["predictions"]["served"] == document["predictions"]["trained"] == 751.3393125276466
    assert document["report"]["verdict"] == "IDENTICAL"
    assert document["restored"] == str(tmp_path / "kept" / "deployed")
    assert (document["hint"], document["kept"]) == (None, True)
    assert not (tmp_path / "kept" / "scratch").exists()


def test_another_prediction_is_a_failed_check(envparity, told, workshop):
    told.predictions["served"] = 751.3393125276467
    said = envparity("quickstart", code=1).stdout
    assert "\npredict !       751.3393125276466 trained, 751.3393125276467 served" in said
    assert "\n  a line of the log\n" in said
    assert "FAILED in 6.25 s: predict\n" in said
    assert f"the snapshot stays in {envparity.store_path}; envparity remove quickstart/1 takes it out\n" in said


def test_a_trial_that_cannot_go_on_is_an_error(envparity, told, workshop):
    told.error = "no space left"
    assert envparity("quickstart", store=False, code=2).stderr == "envparity: error: no space left\n"
    assert list(workshop.iterdir()) == []


def test_whether_a_model_can_be_tried(tmp_path, monkeypatch):
    (tmp_path / "conda-meta").mkdir()
    assert "python -m venv" in hindrance(str(tmp_path))
    (tmp_path / "conda-meta").rmdir()
    assert hindrance(str(tmp_path)) == HINT  # what is installed is somewhere else
    monkeypatch.setattr(trying, "_NEEDED", {"click": "8"})
    assert hindrance(sys.prefix) is None
    monkeypatch.setattr(trying, "_NEEDED", {"click": "99"})
    assert hindrance(sys.prefix) == HINT
    monkeypatch.setattr(trying, "_NEEDED", {"no-such-distribution": "0"})
    assert hindrance(sys.prefix) == HINT


def test_a_process_that_ends_without_a_word_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with (
        Trial(sys.prefix, tmp_path, str(tmp_path / "store"), cache=None, variables=os.environ) as trial,
        pytest.raises(TrialError, match=r"ended unexpectedly \(exit code 1\): it said nothing"),
    ):
        list(trial)


def test_the_users_tracking_server_is_not_known_to_it(tmp_path):
    found = trying._quiet({"MLFLOW_TRACKING_URI": "https://x", "DATABRICKS_TOKEN": "y", "LANG": "C"}, tmp_path)
    assert found == {"LANG": "C", "MLFLOW_DISABLE_TELEMETRY": "true", "TMPDIR": str(tmp_path)}


@pytest.mark.mlflow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_nothing_runs_on_after_an_interruption(tmp_path, number, code):
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    process = subprocess.Popen(
        [sys.executable, "-c", "from registration.cli import main; main()", "quickstart"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = None
    while log is None or not log.exists():  # then the other process is there
        assert process.poll() is None
        time.sleep(0.02)
        log = next(tmp_path.glob("envparity-*/trial.log"), None)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code
    assert said == ("envparity: error: interrupted; run the same command again\n" if code == 130 else "")
    deadline = time.monotonic() + 60
    while running(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert number == signal.SIGKILL or list(tmp_path.iterdir()) == []


def running(directory):
    """Processes whose temporary directory is in `directory`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(each.startswith(f"TMPDIR={directory}".encode()) for each in variables):
            found.append(pid)
    return found
