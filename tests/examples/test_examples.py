"""Both examples as a reader runs them: one makes a model and its environment, the other deploys what that has made."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from snapshot.store import Store

pytestmark = pytest.mark.mlflow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
#: Marks whatever an example starts, and what that starts.
MARK = "ENVPARITY_EXAMPLE"


def run(name, home):
    """What the example prints. It leaves no process behind."""
    mark = secrets.token_hex(8)
    # scikit-learn sets KMP_… in the process that imports it, as tests do.
    away = ("MLFLOW_", "DATABRICKS_", "KMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(away)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, home],
        env={**kept, "MLFLOW_DISABLE_TELEMETRY": "true", MARK: mark},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not running(mark)
    return done.stdout


def running(mark):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in variables:
            found.append(pid)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of the data scientist, and what was printed."""
    pytest.importorskip("mlflow", reason="needs the mlflow extra")
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    home = tmp_path_factory.mktemp("examples") / "churn"
    return home, run("data_scientist.py", home)


def test_the_data_scientist(trained):
    home, said = trained
    store = Store(home / "store")
    assert {each.name for each in store.references()} == {"churn/1", "churn/2"}
    assert re.search(rf"^envparity\.snapshot +{store.resolve('churn/1').snapshot}$", said, re.MULTILINE)
    assert "churn: 2 versions" in said
    (added,) = re.findall(r"^2 +\S+ +\S+ \S+ +(\S+ [kM]?B) ", said, re.MULTILINE)
    assert added.endswith("kB")
    assert re.search(r"^(IDENTICAL|EQUIVALENT): 0 differences, parity root", said, re.MULTILINE)
    page = (home / "parity.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "churn/1" in page


def test_the_platform_engineer(trained):
    home, _ = trained
    said = run("platform_engineer.py", home)
    assert re.search(r"^fetch .* of \d+ layers unpacked$", said, re.MULTILINE)
    assert "nothing when trained, Prescott here" in said
    assert re.search(r"version 1 predicts \[\[0\.00\d+, 0\.99\d+\], \[0\.98\d+, 0\.01\d+\]\]", said)
    assert re.search(
        r"^refused: .*modified lib/python3\.\d+/site-packages/sklearn/linear_model/_logistic\.py", said, re.M
    )
    assert "exit code 1: a check failed, and nothing was started" in said
    asked = re.findall(r"^(created|updated|rolled back) +churn/(\d) at (http://\S+) says (\S+)$", said, re.MULTILINE)
    assert [(what, version) for what, version, _, _ in asked] == [
        ("created", "1"),
        ("updated", "2"),
        ("rolled back", "1"),
    ]
    assert asked[0][3] == asked[2][3] != asked[1][3]
    assert said.endswith("deleted; 0 deployments are left\n")
