"""The command as a process: what it imports, and what it leaves in the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import registration

ROOT = Path(registration.__file__).parents[1]
HEAVY = {"rich", "platformdirs", "packaging", "importlib_metadata", "mlflow", "piptools", "elftools", "hypothesis"}


def python(code, *words, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False, **options
    )


def imported(code, *words):
    report = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = python(code + report, *words)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", ["snapshot", "diffing", "registration"])
def test_a_package_by_itself_imports_nothing_heavy(package):
    assert not imported(f"import {package}") & (HEAVY | {"click", "zstandard"})


RUN = """
import sys
from registration.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == {code}, end.code
"""


def test_a_restore_imports_nothing_that_it_does_not_need(tmp_path):
    found = imported(RUN.format(code=2), "--store", str(tmp_path), "restore", "unknown", str(tmp_path / "restored"))
    assert not found & HEAVY


def test_rich_comes_with_the_first_table_only(tmp_path):
    found = imported(RUN.format(code=0), "--store", str(tmp_path), "list")
    assert not found & HEAVY


def test_an_error_as_a_process(tmp_path):
    done = python("from registration.cli import main; main()", "--store", str(tmp_path), "inspect", "churn", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("envparity: error: no snapshot 'churn'")
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_as_a_process(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", "from registration.cli import main; main()", "--store", str(tmp_path), "list"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()  # nobody listens, before there is anything to say
        said = process.stderr.read()
        assert process.wait() == 141
    assert said == ""
