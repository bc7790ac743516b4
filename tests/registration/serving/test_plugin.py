"""`mlflow deployments -t envparity`: the real command line, and what happens when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from registration import processes
from registration.deployments import (
    DeploymentExistsError,
    DeploymentNameError,
    Deployments,
    NoSuchDeploymentError,
    Settings,
)
from registration.mlflow_plugin import _payload
from registration.serving import ServerError

pytestmark = pytest.mark.mlflow


@pytest.fixture
def deployments(registry, tmp_path):
    made = Deployments(tmp_path / "deployments", os.environ, registry.store)
    yield made
    for name in made.names():
        made.delete(name)


def answer(deployments, registry, name="p"):
    return json.loads(deployments.predict(name, registry.body))["predictions"][0]


def test_the_command_line(registry, tmp_path, command):
    target = f"envparity:{tmp_path}/here"

    def mlflow(*words, code=0, **options):
        done = subprocess.run(
            [*command.mlflow, "deployments", *words, "-t", target],
            env=command.environment(MLFLOW_TRACKING_URI=registry.tracking_uri),
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "-C name=value" in mlflow("help")
    assert "python_function deployment p is created" in mlflow("create", "--name", "p", "-m", "models:/prices/1")
    try:
        (tmp_path / "frame.json").write_text(registry.frame.to_json())
        mlflow("update", "--name", "p", "-m", "models:/prices@champion")
        answer = mlflow("predict", "--name", "p", "-I", str(tmp_path / "frame.json"))
        assert json.loads(answer.splitlines()[-1])["predictions"] == [pytest.approx(31.0)]
        assert "version: prices/2" in mlflow("get", "--name", "p")
        assert "'status': 'serving'" in mlflow("list")
        said = mlflow("update", "--name", "p", "-C", "speed=1", code=2)
        assert said.splitlines()[-1].startswith("Error: config: speed: not known; want store, ")
        assert "Traceback" not in said
    finally:
        mlflow("delete", "--name", "p")
    assert "p" not in os.listdir(tmp_path / "here")


@pytest.mark.parametrize(("version", "said"), [("3", "ended before it was ready"), ("4", "refuses to predict")])
def test_a_failed_update_leaves_the_old_one_serving(deployments, registry, version, said):
    before = deployments.create("p", "prices/1")
    with pytest.raises(ServerError, match=said):
        deployments.update("p", f"prices/{version}")
    assert deployments.get("p") == before
    assert answer(deployments, registry) == pytest.approx(21.0)
    assert sorted(os.listdir(deployments.directory / "p")) == ["1", "events.jsonl", "state.json"]


def test_an_update_switches_and_then_stops_the_old_one(deployments, registry):
    before = deployments.create("p", "prices/1").current
    after = deployments.update("p", "prices/2").current
    assert answer(deployments, registry) == pytest.approx(31.0)
    assert not processes.alive(before.identity)
    assert not processes.marked(before.mark)
    assert after.number == 2
    log = (deployments.directory / "p" / "events.jsonl").read_text().splitlines()
    steps = [json.loads(line)["event"] for line in log][-5:]
    assert steps == ["start", "ready", "check", "switch", "stop"]


def test_names(deployments, registry):
    with pytest.raises(NoSuchDeploymentError, match="there is no deployment 'p' in"):
        deployments.update("p", "prices/1")
    with pytest.raises(DeploymentNameError, match="the first no full stop"):
        deployments.create("..", "prices/1")
    deployments.create("a/b", "prices/1")
    with pytest.raises(DeploymentExistsError, match="there is a deployment 'a/b' already"):
        deployments.create("a/b", "prices/2")
    assert deployments.names() == ("a/b",)
    assert deployments.delete("a/b")
    assert not deployments.delete("a/b")
    assert os.listdir(deployments.directory) == []


def test_a_failed_creation_leaves_its_log(deployments):
    log = deployments.directory / ".p.failed.log"
    with pytest.raises(ServerError, match=rf"the weights are gone.*; its log is {log}$"):
        deployments.create("p", "prices/3", Settings(timeout=60))
    assert os.listdir(deployments.directory) == [log.name]
    assert "RuntimeError: the weights are gone" in log.read_text()
    assert not deployments.delete("p")
    assert os.listdir(deployments.directory) == []


def test_a_server_that_has_died_is_said_and_started_again(deployments, registry):
    state = deployments.create("p", "prices/1")
    os.kill(state.current.identity.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while deployments.serves(state) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(ServerError, match=r"has ended.*update the deployment to start it again"):
        deployments.predict("p", registry.body)
    deployments.update("p")
    assert answer(deployments, registry) == pytest.approx(21.0)


def test_a_reused_pid_is_nobody_of_ours(deployments):
    """The record says pid 1 of another time: whatever has that number now is left alone."""
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        found = processes.identify(innocent.pid, "0" * 32)
        stranger = processes.Identity(found.pid, found.started - 1, found.boot, "0" * 32)
        assert not processes.alive(stranger)
        assert processes.stop("0" * 32, stranger, grace=0.1) == 0
        assert innocent.poll() is None
        assert processes.stop("0" * 32, found, grace=5) == 1
        assert innocent.wait(10) == -signal.SIGTERM
    finally:
        innocent.kill()
        innocent.wait()


@pytest.mark.parametrize("step", ["ready", "switch"])
def test_a_killed_update_is_cleaned_up_by_the_next_command(deployments, registry, command, step):
    """SIGKILL when the new server is up, and when the switch was made: one of the two serves, and the other one goes."""
    deployments.create("p", "prices/1")
    script = (
        "import os, signal, sys, snapshot\n"
        "from registration.events import Log\n"
        "from registration.deployments import Deployments\n"
        "take = Log.take\n"
        "def kill(self, event):\n"
        "    take(self, event)\n"
        "    if event.what == sys.argv[3]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Log.take = kill\n"
        "Deployments(sys.argv[1], os.environ, snapshot.Store(sys.argv[2])).update('p', 'prices/2')\n"
    )
    words = [sys.executable, "-c", script, str(deployments.directory), str(registry.home / "store"), step]
    assert subprocess.run(words, env=command.environment(), check=False).returncode == -signal.SIGKILL
    state = deployments.get("p")
    expected = {"ready": "1", "switch": "2"}[step]
    assert len(state.others) == 1
    assert answer(deployments, registry) == pytest.approx(registry.answers[expected])
    state = deployments.update("p", "prices/2")
    assert not state.others
    assert answer(deployments, registry) == pytest.approx(31.0)
    assert sorted(os.listdir(deployments.directory / "p")) == sorted(
        [str(state.current.number), "events.jsonl", "state.json"]
    )


def test_a_dictionary_is_a_payload_or_the_inputs_by_name():
    """MLflow's own function cannot take one."""
    split = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}
    assert json.loads(_payload(split)) == split
    assert json.loads(_payload({"a": np.array([1.0, 2.0]), "b": [3]})) == {"inputs": {"a": [1.0, 2.0], "b": [3]}}
    assert json.loads(_payload(np.array([[1.0]]))) == {"inputs": [[1.0]]}
