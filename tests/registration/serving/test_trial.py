"""The part of `envparity quickstart` that serves: what it tells, and what is left when it is stopped."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from registration import processes, trial
from registration.serving import ServerError

pytestmark = pytest.mark.mlflow


@pytest.fixture
def question(monkeypatch):
    """One that the registry's model can answer."""
    monkeypatch.setattr(trial, "_COLUMNS", ["a", "b"])
    monkeypatch.setattr(trial, "_QUESTION", [10.0, 1.0])


@pytest.mark.usefixtures("question")
def test_another_prediction_than_when_trained_is_told_and_ends_it(restored, tmp_path):
    out = io.StringIO()
    with pytest.raises(ServerError, match=r"20\.5 trained, 2[01]\.\d+ served: not equal"):
        trial._serve(restored, str(tmp_path), 20.5, trial.Teller(out))
    *_, serve, predictions, predict = map(json.loads, out.getvalue().splitlines())
    assert (serve["step"]["name"], serve["step"]["ok"]) == ("serve", True)
    assert predictions["predictions"] == {"trained": 20.5, "served": pytest.approx(21.0)}
    assert (predict["step"]["name"], predict["step"]["ok"]) == ("predict", False)
    assert predict["step"]["detail"].endswith("not equal")


_WAITS = """
import sys
from types import SimpleNamespace
from registration import trial
trial.run = lambda request, tell: trial._serve(SimpleNamespace(destination=request.prefix), request.home, 0.0, tell)
sys.exit(trial.main())
"""


def test_the_end_of_input_stops_the_server_that_is_being_started(restored, tmp_path, command):
    request = {"prefix": str(restored.destination), "home": str(tmp_path), "store": "", "cache": None, "messages": 1}
    process = subprocess.Popen(
        [sys.executable, "-c", _WAITS, json.dumps(request)],
        env=command.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "scoring server" in process.stdout.readline()
    while not (mark := _mark_of_child(process.pid)):
        assert process.poll() is None
    _, said = process.communicate()  # closes its input
    assert process.returncode == 130, said
    # An interruption between the server's start and the first look at it leaves it to itself: it ends with whoever started it.
    deadline = time.monotonic() + 30
    while processes.marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _mark_of_child(pid):
    """The mark of the server that `pid` has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = file.read().split()
    for child in children:
        try:
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:  # it is just becoming another program
            continue
        for each in variables:
            if each.startswith(processes.MARK.encode() + b"="):
                return each.partition(b"=")[2].decode()
    return None
