"""Through a real `mlflow server`: HTTP with credentials in the URI, artifacts served by it, another process, and a server that goes away."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import registration
import snapshot
from registration.registering import RegistrationWarning
from snapshot.pending import pending_since

pytestmark = pytest.mark.mlflow

#: What is registered here is never started: most of it may stay away.
PACK = {"install_dependencies": False, "fingerprint": False, "exclude": ["*/site-packages/*", "dist:*"]}
SECRET = "hunter2-canary"

_RESOLVE = """\
import json, sys
from registration.events import Log
from registration.resolving import resolving
rows = []
for uri in sys.argv[1:]:
    with resolving(uri) as resolution:
        found = resolution.settle(Log())
        rows.append([found.label, str(found.store.backend)])
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def server(mlflow, tmp_path_factory):
    """Started, and what this process uses until the end of the module."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", f"{home}/artifacts"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words], stdout=log, stderr=log, start_new_session=True
        )

    def stop():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    try:
        _await(port, process, home / "log")
        uri = f"http://user:{SECRET}@127.0.0.1:{port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            yield SimpleNamespace(uri=uri, stop=stop, home=home)
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
        stop()


def _await(port, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise AssertionError(log.read_text())


def test_registered_and_found_through_a_server_that_then_goes_away(mlflow, server, tmp_path):
    store = snapshot.Store(tmp_path / "store")
    mlflow.create_experiment("remote")
    with mlflow.start_run(experiment_id=mlflow.get_experiment_by_name("remote").experiment_id):
        info = mlflow.pyfunc.log_model(
            name="prices", python_model=lambda model_input: model_input, pip_requirements=["mlflow"]
        )
    with registration.enable(store=store):
        version = mlflow.register_model(info.model_uri, "flats", env_pack=PACK)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("flats", "champion", str(version.version))
    assert SECRET not in json.dumps(dict(client.get_model_version("flats", "1").tags))

    words = [sys.executable, "-c", _RESOLVE, "models:/flats/1", "models:/flats@champion"]
    done = subprocess.run(
        words, env={**os.environ, "MLFLOW_TRACKING_URI": server.uri}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [["flats/1", str(store.backend)]] * 2

    before = {each.name for each in store.references()}
    with (
        pytest.raises(mlflow.MlflowException, match=r"http://\*\*\*\*@127\.0\.0\.1.*refused") as raised,
        pytest.warns(RegistrationWarning, match=r"made a version of flats all the same cannot be seen") as seen,
    ):
        registration.register_model(
            info.model_uri, "flats", env_pack=PACK, store=store, said=lambda line: "capturing" in line and server.stop()
        )
    assert SECRET not in f"{raised.value} {[each.message for each in seen]}"
    # There may be a version, so its snapshot stays; it is none of the model's own as long as nobody says so.
    (kept,) = {each.name for each in store.references()} - before
    assert pending_since(kept) is not None
    assert store.resolve("flats").name == "flats/1"
