"""Deploy: a registered version to a directory, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
from click.testing import CliRunner

import snapshot
from registration import claiming, events
from registration.checking import RefusedError
from registration.claiming import OccupiedError
from registration.cli import main
from registration.deploying import deploy
from registration.resolving import NotDeployableError
from snapshot.home import DEPLOYMENT, RECEIPT

pytestmark = pytest.mark.mlflow


def names(directory):
    return sorted(os.listdir(directory))


def tamper(place):
    path = next(place.glob("lib/python3*/site-packages/mlflow/version.py"))
    data = path.read_bytes()
    path.unlink()  # not through the link: the cache is innocent
    path.write_bytes(data + b"\n")
    return path.relative_to(place)


def test_a_version_is_restored_and_checked_and_never_built(registry, restored):
    assert restored.report.passed
    assert not restored.again
    assert (restored.model / "MLmodel").is_file()
    assert restored.parity_root == registry.store.snapshot("prices/1").parity_root
    steps = [event.what for event in restored.events]
    assert steps == ["resolve", "preflight", "fetch", "link", "write", "verify", "parity"]
    # First in the log: behind them stands what other tests did there since.
    assert [event.what for event in events.read(restored.log)][: len(steps)] == steps
    by_name = {event.what: event for event in restored.events}
    assert by_name["fetch"].bytes > 1_000_000
    assert by_name["link"].files > 1000
    assert names(restored.destination.parent) == ["one"]


def test_an_alias_is_the_version_that_it_names(registry, tmp_path):
    done = deploy("models:/prices@champion", tmp_path / "two", variables=os.environ, tracking_uri=registry.tracking_uri)
    assert done.label == "prices/2"
    fetched = next(event for event in done.events if event.what == "fetch")
    assert fetched.files < 100  # the model; the environment is unpacked already


def test_the_cache_that_was_asked_for_is_used_with_the_store_of_the_tags(registry, tmp_path):
    words = ["--cache", str(tmp_path / "cache"), "deploy", "models:/prices/1", str(tmp_path / "x"), "--json"]
    done = CliRunner().invoke(main, words)
    fetched = next(row for row in json.loads(done.stdout)["events"] if row["event"] == "fetch")
    assert fetched["files"] > 1000
    assert names(tmp_path / "cache" / "layers")


def test_a_snapshot_is_deployed_by_its_own_name_without_mlflow(registry, tmp_path):
    done = deploy("prices/1", tmp_path / "x", registry.store, variables=os.environ)
    again = deploy("prices/1", tmp_path / "x", registry.store, variables=os.environ, verify="full")
    assert not done.again
    assert again.again
    assert [event.what for event in again.events] == ["resolve", "verify", "parity"]
    assert len(events.read(again.log)) == len(done.events) + 3


def test_what_is_there_is_checked_where_nothing_can_be_written(registry, tmp_path, monkeypatch):
    """In an image, as another user than the one who made it."""
    place = tmp_path / "x"
    deploy("prices/1", place, registry.store, variables=os.environ)
    before, logged = names(tmp_path), (place / DEPLOYMENT).read_bytes()
    access = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: not (mode & os.W_OK and os.fspath(path) == str(tmp_path)) and access(path, mode),
    )
    monkeypatch.setattr(claiming, "_hold", lambda _: pytest.fail("it claims the place"))
    again = deploy("prices/1", place, registry.store, variables=os.environ)
    assert again.again
    assert again.report.passed
    assert names(tmp_path) == before
    assert (place / DEPLOYMENT).read_bytes() == logged
    tamper(place)
    with pytest.raises(RefusedError, match=r"version\.py"):
        deploy("prices/1", place, registry.store, variables=os.environ)
    assert place.exists()


def test_which_python_runs_it_is_found_out(registry, tmp_path, monkeypatch):
    """A snapshot without its interpreter says nothing of the one that it was restored onto."""
    stored = snapshot.restore("prices/1", tmp_path / "from", registry.store)
    snapshot.capture(
        tmp_path / "from", registry.store, python=stored.python, name="bare/1", interpreter=False, variables=os.environ
    )
    monkeypatch.setattr("snapshot.facts.here.here", lambda *_, **__: pytest.fail("it takes the snapshot's word for it"))
    done = deploy("bare/1", tmp_path / "x", registry.store, variables=os.environ)
    assert done.report.passed
    registry.store.remove("bare/1")


def test_a_destination_below_a_link(registry, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    done = deploy("prices/1", tmp_path / "link" / "x", registry.store, variables=os.environ)
    assert done.report.passed
    assert snapshot.verify(tmp_path / "real" / "x", registry.store).ok
    assert snapshot.verify(tmp_path / "link" / "x", registry.store).ok


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_a_changed_file_is_named_and_stays_where_it_is(registry, tmp_path, verify):
    deploy("prices/1", tmp_path / "x", registry.store, variables=os.environ)
    changed = tamper(tmp_path / "x")
    with pytest.raises(RefusedError, match=f"modified {changed}.*deploy to a new directory") as caught:
        deploy("prices/1", tmp_path / "x", registry.store, variables=os.environ, verify=verify)
    assert [problem.path for problem in caught.value.problems] == [str(changed)]
    assert (tmp_path / "x" / changed).exists()
    assert events.read(tmp_path / "x" / DEPLOYMENT)[-1].ok is False


def test_beyond_the_policy_nothing_stays(registry, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('max-verdict = "IDENTICAL"\n')
    (tmp_path / "x").mkdir()
    with pytest.raises(
        RefusedError,
        match=r"is NUMERIC, which is not within the policy policy.toml \(at most IDENTICAL.*first: OMP_NUM_THREADS",
    ) as caught:
        deploy(
            "prices/1",
            tmp_path / "x",
            registry.store,
            policy=policy,
            variables={**os.environ, "OMP_NUM_THREADS": "3"},
        )
    assert not caught.value.report.passed
    assert names(tmp_path) == ["policy.toml", "x"]
    assert not names(tmp_path / "x")


def test_another_destination_is_asked_for(registry, restored, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(OccupiedError, match="is not empty; choose another destination"):
        deploy("prices/1", tmp_path, registry.store)
    assert names(tmp_path) == ["mine"]
    with pytest.raises(OccupiedError, match=r"has another snapshot .* and prices/2 is"):
        deploy("prices/2", restored.destination, registry.store)


def test_what_cannot_be_deployed_is_said(registry, tmp_path):
    with pytest.raises(NotDeployableError, match=r"prices/5 was registered without its environment.*env_pack"):
        deploy("models:/prices/5", tmp_path / "x")
    with pytest.raises(NotDeployableError, match="MLflow has no models:/prices/99"):
        deploy("models:/prices/99", tmp_path / "x")
    with pytest.raises(NotDeployableError, match=r"runs:/abc/m is no registered model: give models:/NAME/VERSION"):
        deploy("runs:/abc/m", tmp_path / "x")
    with pytest.raises(NotDeployableError, match=r"is no models:/ URI.*--store"):
        deploy("prices/1", tmp_path / "x")
    with pytest.raises(NotDeployableError, match=r"is not in .*; give the store that has it"):
        deploy("models:/prices/1", tmp_path / "x", snapshot.Store(tmp_path / "other"))
    assert "x" not in names(tmp_path)


def test_a_killed_deployment_is_done_again_from_the_start(registry, tmp_path, command):
    """SIGKILL between the restore and the log: the directory is there, and does not count."""
    place = tmp_path / "x"
    script = (
        "import os, signal, sys, registration.checking\n"
        "registration.checking.check = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import snapshot\n"
        "from registration.deploying import deploy\n"
        "deploy('prices/1', sys.argv[1], snapshot.Store(sys.argv[2]))\n"
    )
    words = [command.envparity[0], "-c", script, str(place), str(registry.home / "store")]
    assert subprocess.run(words, env=command.environment(), check=False).returncode == -signal.SIGKILL
    assert (place / RECEIPT).exists()
    assert not (place / DEPLOYMENT).exists()
    done = deploy("prices/1", place, registry.store, variables=os.environ)
    assert not done.again
    assert names(tmp_path) == ["x"]


def test_what_somebody_put_there_meanwhile_is_not_taken_away(tmp_path):
    place = tmp_path / "x"
    with claiming.claimed(place) as claim:
        claim.begin("sha256:" + "0" * 64)
        place.mkdir()
        (place / "mine").write_text("mine")
        claim.clear()
    assert names(tmp_path) == ["x"]
    assert names(place) == ["mine"]


def test_the_command(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = ["deploy", "models:/prices/1", str(tmp_path / "x"), "--tracking-uri", registry.tracking_uri]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "nothing was built" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[:8])
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert document["again"] is True
    assert document["label"] == "prices/1"
    changed = tamper(tmp_path / "x")
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 1
    assert f"modified {changed}" in refused.stdout
    document = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert document["ok"] is False
    assert document["problems"][0]["path"] == str(changed)


def test_an_interrupted_deployment_leaves_nothing(registry, tmp_path, command):
    words = [*command.envparity, "--store", str(registry.home / "store"), "deploy", "prices/1", str(tmp_path / "x")]
    running = subprocess.Popen([*words, "--verify", "full"], env=command.environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "x").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130, said
    assert not names(tmp_path)
