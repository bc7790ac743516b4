"""The server: started, asked, stopped, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from registration import processes
from registration.events import Log
from registration.serving import PortError, Server, ServerError, predict, process_variables

pytestmark = pytest.mark.mlflow


def lines_until(process, text):
    found = []
    for line in process.stdout:
        found.append(line)
        if text in line:
            return found
    raise AssertionError("".join(found))


@pytest.fixture
def serve(command, registry, restored):
    """`envparity serve` of version 1, and its first lines."""

    def start(*words, until="serving at"):
        given = [*command.envparity, "--store", str(registry.home / "store"), "serve", "prices/1"]
        process = subprocess.Popen(
            [*given, "--dest", str(restored.destination), *words],
            env=command.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, lines_until(process, until) if until else []

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


def gone(mark_of):
    """Whether no process with these variables is left, within ten seconds."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if not processes.marked(mark_of):
            return True
        time.sleep(0.05)
    return False


def mark_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        rows = dict(row.split(b"=", 1) for row in file.read().split(b"\0") if b"=" in row)
    return rows[processes.MARK.encode()].decode()


def test_it_predicts_what_it_predicted_when_trained(registry, restored):
    log = Log()
    with Server(restored.destination, os.environ, workers=2, events=log) as server:
        assert json.loads(server.predict(registry.body))["predictions"] == [pytest.approx(registry.answers["1"])]
        assert server.check() == "predicted on the model's input example"
        assert len(processes.marked(server.mark)) >= 3
        with pytest.raises(ServerError, match=r"refuses to predict \(status 400\)"):
            server.predict(b"{}")
    assert not processes.marked(server.mark)
    assert [event.what for event in log.events] == ["start", "ready", "check", "stop"]


def test_a_model_that_does_not_load_is_explained(registry, restored, tmp_path):
    server = Server(restored.destination, os.environ, model=registry.home / "3", log=tmp_path / "log")
    with pytest.raises(ServerError, match=r"ended before it was ready \(exit code 1\).*its log is") as caught:
        server.start()
    said = "\n".join(caught.value.log)
    assert "the weights are gone" in said
    assert "secret" not in said + str(caught.value)
    assert not processes.marked(server.mark)


def test_a_server_that_takes_too_long_is_ended(restored):
    server = Server(restored.destination, os.environ, startup=0.2)
    with pytest.raises(ServerError, match=r"was not ready within 0\.2 seconds"):
        server.start()
    assert not processes.marked(server.mark)


def test_a_port_in_use(restored):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=f"cannot listen on port {port} of 127.0.0.1: Address already in use; give"):
            Server(restored.destination, os.environ, port=port).start()


def test_without_a_model(restored, tmp_path):
    with pytest.raises(ServerError, match=f"there is no model at {tmp_path}"):
        Server(restored.destination, os.environ, model=tmp_path).start()


def test_a_place_that_mlflow_would_take_for_another(tmp_path):
    model = tmp_path / "a%20b"
    model.mkdir()
    (model / "MLmodel").touch()
    with pytest.raises(ServerError, match=r"MLflow takes the % in .*a%20b for an escape .*; choose a destination"):
        Server(tmp_path, os.environ, model=model).start()


def test_a_server_that_dies_is_an_error(restored):
    with Server(restored.destination, os.environ) as server:
        os.kill(server.identity.pid, signal.SIGKILL)
        with pytest.raises(ServerError, match=r"ended by itself \(signal 9\)"):
            server.wait()


def test_variables_do_not_lead_astray():
    given = {"PYTHONPATH": "/x", "VIRTUAL_ENV": "/y", "PATH": "/bin", "OMP_NUM_THREADS": "2"}
    assert process_variables(given, "/env") == {
        "PATH": "/env/bin:/bin",
        "VIRTUAL_ENV": "/env",
        "OMP_NUM_THREADS": "2",
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly(serve, registry, tmp_path, number):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process, said = serve("--workers", "2", "--port", str(port), "--log", str(tmp_path / "log"))
    assert f"serving at http://127.0.0.1:{port}/invocations" in said[-1]
    assert json.loads(predict(f"http://127.0.0.1:{port}", registry.body))["predictions"] == [pytest.approx(21.0)]
    mark = mark_of(int(said[-1].split("(pid ")[1].split(")")[0]))
    assert len(processes.marked(mark)) >= 3
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert out == "stopped\n"
    assert not processes.marked(mark)
    assert "/invocations" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_may_be_ended_before_it_serves(serve, tmp_path, number):
    """While the server starts: its log is there, and it is not ready."""
    process, _ = serve("--log", str(tmp_path / "log"), until=None)
    while not (tmp_path / "log").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "stopped\n"), err


def test_the_time_to_become_ready_is_an_option(serve):
    process, _ = serve("--timeout", "0.1s", until=None)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the server was not ready within 0.1 seconds" in err


def test_the_server_goes_when_the_command_is_killed(serve):
    process, said = serve("--json", until='"url"')
    document = json.loads("".join([*said, *lines_rest(process)]))
    mark = mark_of(document["pid"])
    process.kill()
    assert gone(mark)


def lines_rest(process):
    """The rest of one JSON object."""
    for line in process.stdout:
        yield line
        if line == "}\n":
            return


def test_what_was_changed_is_not_served(registry, tmp_path, command):
    from registration.deploying import deploy

    deploy("prices/1", tmp_path / "x", registry.store, variables=os.environ)
    (tmp_path / "x" / ".envparity" / "model" / "sitecustomize.py").write_text("")
    words = [*command.envparity, "--store", str(registry.home / "store"), "serve", "prices/1"]
    done = subprocess.run(
        [*words, "--dest", str(tmp_path / "x")], env=command.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "added .envparity/model/sitecustomize.py" in done.stdout
    assert "serving at" not in done.stdout
