"""The command as a process: what it imports, and what it leaves in the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import registration.entry
import snapshot
from tests.library.test_public import COLD
from tests.unit.placing import good, published

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
    assert not imported(f"import {package}") & (HEAVY | {"click", "zstandard", "backports.zstd", "compression.zstd"})


RUN = """
import sys
from registration.entry import main
try:
    main()
except SystemExit as end:
    assert end.code == {code}, end.code
"""


def test_a_restore_imports_nothing_that_it_does_not_need(tmp_path):
    found = imported(RUN.format(code=2), "--store", str(tmp_path), "restore", "unknown", str(tmp_path / "restored"))
    assert not found & HEAVY


def test_a_warm_restore_imports_nothing_that_only_a_cold_one_needs(tmp_path):
    store = published(tmp_path)
    snapshot.restore("x", tmp_path / "cold", store)
    report = f"print([name for name in {COLD!r} if name in sys.modules])"
    done = python(RUN.format(code=0) + report, "--store", str(store), "restore", "x", str(tmp_path / "warm"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    good(tmp_path / "warm")


def test_the_process_leaves_the_collector_on_while_the_command_runs(tmp_path):
    """It is off while modules are imported; a capture runs long enough to need it."""
    code = "import gc, registration.cli as cli; cli.main = lambda: print(gc.isenabled()); from registration.entry import main; main()"
    assert python(code).stdout == "True\n"


def test_rich_comes_with_the_first_table_only(tmp_path):
    found = imported(RUN.format(code=0), "--store", str(tmp_path), "list")
    assert not found & HEAVY


def test_a_list_imports_nothing_of_what_it_does_not_show(tmp_path):
    store = published(tmp_path)
    report = "print([name for name in ('snapshot.model', 'snapshot.serialize', 'zstandard') if name in sys.modules])"
    done = python(RUN.format(code=0) + report, "--store", str(store), "list")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_as_a_process(tmp_path):
    done = python("from registration.entry import main; main()", "--store", str(tmp_path), "inspect", "churn", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("envparity: error: no snapshot 'churn'")
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_as_a_process(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", "from registration.entry import main; main()", "--store", str(tmp_path), "list"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()  # nobody listens, before there is anything to say
        said = process.stderr.read()
        assert process.wait() == 141
    assert said == ""
