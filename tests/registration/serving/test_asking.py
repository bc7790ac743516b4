"""While MLflow is asked, what is likely is deployed; what the registry says counts, and a wrong guess leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest

from registration import tags
from registration.asking import ask
from registration.deploying import deploy
from registration.events import Log
from registration.resolving import MistakenError, NotDeployableError, Resolution, Target
from snapshot.home import RECEIPT
from snapshot.store import Store

pytestmark = pytest.mark.mlflow


@pytest.fixture
def run(command, registry, restored):
    """`envparity deploy` in a process that has not imported MLflow. The store is the default one, not named; all is unpacked before."""

    def go(uri, place, *more, **variables):
        home = registry.home / "share"
        (home / "envparity").mkdir(parents=True, exist_ok=True)
        if not (home / "envparity" / "store").exists():
            (home / "envparity" / "store").symlink_to(registry.home / "store")
        return subprocess.run(
            [*command.envparity, "deploy", uri, str(place), "--tracking-uri", registry.tracking_uri, *more],
            env=command.environment(XDG_DATA_HOME=str(home), **variables),
            capture_output=True,
            text=True,
            check=False,
        )

    return go


def steps(done):
    return [row["event"] for row in json.loads(done.stdout)["events"]]


def test_the_guess_counts_when_the_answer_is_there(run, registry, tmp_path):
    """The guess is in the default store, and the tags name the same directory otherwise."""
    done = run("models:/prices/1", tmp_path / "x", "--json")
    assert done.returncode == 0, done.stderr
    assert steps(done) == ["preflight", "fetch", "link", "write", "verify", "parity", "resolve"]
    document = json.loads(done.stdout)
    assert document["events"][-1]["detail"].startswith("in parallel: prices/1 is sha256:")
    assert document["snapshot"] == registry.store.resolve("prices/1").snapshot
    assert os.listdir(tmp_path) == ["x"]


def test_the_registry_is_right_and_not_the_name(run, registry, mlflow, tmp_path):
    client = mlflow.MlflowClient()
    client.create_registered_model("houses")
    registry.store.tag("prices/1", "houses/1")
    right = registry.store.resolve("prices/2")
    client.create_model_version(
        "houses",
        str(registry.home / "2"),
        tags={tags.SNAPSHOT: right.snapshot, tags.STORE: str(registry.home / "store")},
    )
    (tmp_path / "x").mkdir()
    done = run("models:/houses/1", tmp_path / "x", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["snapshot"] == right.snapshot
    assert steps(done)[6:9] == ["resolve", "remove", "preflight"]
    assert json.loads((tmp_path / "x" / RECEIPT).read_bytes())["snapshot"] == right.snapshot
    # Where the wrong one was before, it stays as it was.
    place = tmp_path / "y"
    before = deploy("houses/1", place, registry.store, variables=os.environ).log.read_bytes()
    done = run("models:/houses/1", place)
    assert done.returncode == 2
    assert "has another snapshot" in done.stderr
    assert (place / ".envparity" / "deploy.jsonl").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["x", "y"]


def test_what_is_not_deployable_leaves_nothing(run, registry, tmp_path):
    """Version 5 has no environment, whatever the store has under its name."""
    registry.store.tag("prices/1", "prices/5")
    done = run("models:/prices/5", tmp_path / "a" / "x")
    assert done.returncode == 2
    assert "prices/5 was registered without its environment" in done.stderr
    assert not os.listdir(tmp_path)


def askers(pid):
    """The process that asks for the process `pid`, with its arguments."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            with open(f"/proc/{name}/cmdline", encoding="utf-8") as file:
                arguments = file.read()
        except OSError:
            continue
        if parent == pid and "registration.asking" in arguments:
            found[int(name)] = arguments
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_while_the_registry_does_not_answer(registry, restored, command, tmp_path, number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}"
        words = [*command.envparity, "--store", str(registry.home / "store"), "deploy", "models:/prices/1"]
        running = subprocess.Popen(
            [*words, str(tmp_path / "x")],
            env=command.environment(MLFLOW_TRACKING_URI=uri, MLFLOW_REGISTRY_URI=uri),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        with silent.accept()[0]:  # it asks, and all that could be done meanwhile may be done
            while not (tmp_path / "x" / RECEIPT).exists():
                assert running.poll() is None
                time.sleep(0.02)
            (asker,) = askers(running.pid).items()
            running.send_signal(number)
            out, err = running.communicate(timeout=60)
    assert "secret" not in asker[1] + out + err
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{asker[0]}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{asker[0]}")
    if number == signal.SIGINT:
        assert running.returncode == 130, err
        assert not os.listdir(tmp_path)
    else:
        assert not deploy("prices/2", tmp_path / "x", registry.store, variables=os.environ).again
        assert os.listdir(tmp_path) == ["x"]


def test_a_process_that_dies_is_said(run, tmp_path):
    (tmp_path / "lib" / "mlflow").mkdir(parents=True)
    (tmp_path / "lib" / "mlflow" / "__init__.py").write_text("import os; os._exit(3)")
    done = run("models:/prices/1", tmp_path / "x", PYTHONPATH=os.pathsep.join([str(tmp_path / "lib"), ROOT]))
    assert done.returncode == 2
    assert "ended without an answer (exit code 3); see whether" in done.stderr
    assert os.listdir(tmp_path) == ["lib"]


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def test_one_snapshot_in_two_stores_is_two(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "c").symlink_to("a")
    here, there, again = (
        Target("u", "m/1", Store(tmp_path / name), SimpleNamespace(snapshot=SimpleNamespace(short="sha256:1")))
        for name in "abc"
    )
    here.reference.snapshot = again.reference.snapshot = there.reference.snapshot
    for found, right in ((again, True), (there, False)):
        resolution, log = Resolution(lambda found=found: found, here), Log()
        assert not resolution.means(here)
        with pytest.raises(ZeroDivisionError if right else MistakenError), resolution.confirming(here, log):
            _ = 1 / 0
        assert resolution.means(here) is right
        assert [event.what for event in log.events] == ["resolve"]


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (
            "Model Version (name=x, version=1) not found",
            "RESOURCE_DOES_NOT_EXIST",
            "MLflow has no models:/x/1: .*tracking URI",
        ),
        ("Registered model alias a not found.", "INVALID_PARAMETER_VALUE", "MLflow has no models:/x/1: "),
        (
            "API request to endpoint /x failed with error code 401 != 200. Response body: 'You are not authenticated.'",
            "INTERNAL_ERROR",
            "MLflow cannot be asked for models:/x/1: .* 401 .*; check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        ),
        (
            "API request to http://nowhere failed",
            "INTERNAL_ERROR",
            "MLflow cannot be asked for .*; check the tracking URI",
        ),
    ],
)
def test_a_refusal_is_no_missing_version(mlflow, monkeypatch, said, code, message):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    def refused(*_, **__):
        raise MlflowException(said, error_code=ErrorCode.Value(code))

    monkeypatch.setattr(mlflow.MlflowClient, "get_model_version", refused)
    with pytest.raises(NotDeployableError, match=message):
        ask("models:/x/1", None)
