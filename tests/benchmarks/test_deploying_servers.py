"""Servers of the deployment benchmark: asked until they answer, compared exactly, ended with all that they started; and the files that runs leave."""

from __future__ import annotations

import os
import sys
import time

import pytest

from benchmarks.deploying.pages import drop_bytecode, occupied, release
from benchmarks.deploying.serving import Question, WrongAnswerError, check_place, first_answer, free_port, started
from benchmarks.errors import CommandFailedError
from benchmarks.measuring import family

QUESTION = Question({"inputs": [1]}, (0.1, 2.0))
BODY = b'{"predictions": [0.1, 2.0]}'

# Starts a child in a session of its own, which SIGTERM does not end, and answers after a while.
SERVER = """
import http.server, signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
started = subprocess.Popen([sys.executable, "-c", child], start_new_session=True, stdout=subprocess.PIPE)
started.stdout.readline()
time.sleep(0.3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = ANSWER
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def serve(answer, tmp_path, inside=lambda _: None):
    """Ask a server that answers `answer`; the seconds that it took, and its processes."""
    port, errors = free_port(), tmp_path / "errors"
    command = [sys.executable, "-c", SERVER.replace("ANSWER", repr(answer)), str(port)]
    begin = time.perf_counter()
    with started(command, os.environ, tmp_path / "output", errors) as process:
        inside(process)
        seconds = first_answer(process, port, QUESTION, "it", errors) - begin
        members = family(process.pid)
    return seconds, members


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("benchmarks.deploying.serving._GRACE", (0.1, 0.1, 10.0))


def test_it_is_asked_until_it_answers_and_nothing_is_left(tmp_path, impatient):
    seconds, members = serve(BODY, tmp_path)
    assert seconds > 0.3
    assert len(members) == 2
    assert not any(os.path.exists(f"/proc/{pid}") and _running(pid) for pid in members)


def test_another_answer_ends_the_benchmark_and_the_server(tmp_path, impatient):
    seen = []
    with pytest.raises(
        WrongAnswerError, match=r"it predicted \[0\.1, 2\.0000000000000004\], the training \[0\.1, 2\.0\]"
    ):
        serve(b'{"predictions": [0.1, 2.0000000000000004]}', tmp_path, seen.append)
    assert seen[0].poll() is not None


def test_control_c_leaves_no_server(tmp_path, impatient):
    seen = []

    def interrupt(process):
        seen.append(process)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(BODY, tmp_path, interrupt)
    assert seen[0].poll() is not None


def test_a_command_that_ends_says_why(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with (
        started(command, os.environ, tmp_path / "output", tmp_path / "errors") as process,
        pytest.raises(CommandFailedError, match="it ended with 1 before it answered: no such model"),
    ):
        first_answer(process, free_port(), QUESTION, "it", tmp_path / "errors")


def test_a_server_of_another_environment_proves_nothing(tmp_path, impatient):
    interpreter = tmp_path / "env" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    script = ["-c", "import time; print('here', flush=True); time.sleep(600)", "uvicorn"]
    output = tmp_path / "output"
    for argv, there in (([str(interpreter), *script], True), ([sys.executable, *script], False)):
        with started(argv, os.environ, output, tmp_path / "errors") as process:
            while not output.read_bytes():
                assert process.poll() is None
                time.sleep(0.01)
            if there:
                check_place(process.pid, tmp_path / "env", "it")
            else:
                with pytest.raises(WrongAnswerError, match=f"it serves with {sys.executable}, not from {tmp_path}/env"):
                    check_place(process.pid, tmp_path / "env", "it")


def test_a_server_that_refuses_is_an_error():
    with pytest.raises(WrongAnswerError, match="it answered 400: no column"):
        QUESTION.check(400, b"no column", "it")
    QUESTION.check(200, BODY, "it")


def _running(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"


def test_only_bytecode_is_dropped(tmp_path):
    for name in ("a/b.pyc", "a/c.py", "d/e.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 5000)
    (tmp_path / "a" / "link.pyc").symlink_to("nowhere")
    assert drop_bytecode([tmp_path / "a", tmp_path / "d", tmp_path / "not there"]) == 2
    assert (tmp_path / "a" / "b.pyc").read_bytes() == b"x" * 5000


def test_what_a_run_wrote_is_emptied_and_what_it_shares_is_not(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "cached").write_bytes(b"of others")
    os.link(tmp_path / "cached", run / "linked")
    (run / "own").write_bytes(b"1234")
    (run / "own").chmod(0o444)
    (run / "twice").write_bytes(b"56")
    os.link(run / "twice", run / "again")
    assert occupied(run) == (3, 15)
    assert release(run) == 6
    assert (tmp_path / "cached").read_bytes() == b"of others"
    assert [(run / name).stat().st_size for name in ("linked", "own", "twice", "again")] == [9, 0, 0, 0]
