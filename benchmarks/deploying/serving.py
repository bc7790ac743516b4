"""Start a server, ask it until it answers, stop it with everything that it started."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BenchmarkError, CommandFailedError
from benchmarks.measuring import family

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HOST = "127.0.0.1"
#: Seconds between two questions to a server that does not listen yet.
POLL = 0.02
#: Seconds after which a deployment has failed: pip may have much to install.
PATIENCE = 900.0
#: Seconds that a command has to stop its server, then that the rest has, then until SIGKILL must have worked.
_GRACE = (5.0, 5.0, 10.0)


class WrongAnswerError(BenchmarkError, ValueError):
    """A prediction that is not that of the training."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request to the scoring server, and the predictions that the model gave when it was trained."""

    request: Mapping[str, Any]
    answers: Sequence[float]

    def check(self, status: int, body: bytes, name: str) -> None:
        """Raises WrongAnswerError unless it is exactly the right answer: no tolerance."""
        if status != http.client.OK:
            raise WrongAnswerError(f"{name} answered {status}: {body[:300].decode(errors='replace')}")
        found = json.loads(body)["predictions"]
        if found != list(self.answers):
            raise WrongAnswerError(
                f"{name} predicted {found}, the training {list(self.answers)}; it serves something else"
            )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def started(
    command: Sequence[str], environ: Mapping[str, str], output: Path, errors: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a session of its own. However the block ends, it and all its descendants are gone afterwards."""
    with output.open("wb") as said, errors.open("wb") as complained:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=complained,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def first_answer(process: subprocess.Popen[bytes], port: int, question: Question, name: str, errors: Path) -> float:
    """Ask until there is an answer: the clock (`time.perf_counter`) at that moment.

    Raises WrongAnswerError, and CommandFailedError when the command ends or takes too long.
    """
    body = json.dumps(question.request)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise CommandFailedError(f"{name} ended with {process.returncode} before it answered: {_last(errors)}")
        connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        except TimeoutError:
            break
        except (ConnectionError, http.client.BadStatusLine):  # not there yet
            time.sleep(POLL)
            continue
        finally:
            connection.close()
        now = time.perf_counter()
        question.check(response.status, answer, name)
        return now
    raise CommandFailedError(f"{name} did not answer in {PATIENCE:.0f} s: {_last(errors)}")


def check_place(pid: int, place: Path, name: str) -> None:
    """Raises WrongAnswerError unless the scoring server (uvicorn) among the descendants of `pid` runs with an interpreter below `place`.

    The same answer from the environment of the training would prove nothing.
    """
    servers = []
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{member}/cmdline", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
            if any("uvicorn" in word for word in words):
                servers.append(words[0])
    if not any(server.startswith(f"{place}{os.sep}") for server in servers):
        raise WrongAnswerError(f"{name} serves with {', '.join(servers) or 'no uvicorn'}, not from {place}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a command as a user would, then what is left of its descendants by force. Raises CommandFailedError if that is not possible."""
    with ExitStack() as opened:
        handles = {process.pid: os.pidfd_open(process.pid)} if process.poll() is None else {}
        for pid in family(process.pid) if handles else []:
            with suppress(ProcessLookupError):
                handles.setdefault(pid, os.pidfd_open(pid))
        for handle in handles.values():
            opened.callback(os.close, handle)
        left = list(handles.values())
        for signalled, number, grace in zip(
            (left[:1], left, left), (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL), _GRACE, strict=True
        ):
            for handle in signalled:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            left = _outlast(process, left, grace)
            if not left:
                break
        with suppress(ProcessLookupError):  # whoever was started in the meantime
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if left:
        raise CommandFailedError(f"{len(left)} processes of {process.args!r} do not end; look at what they wait for")


def _outlast(process: subprocess.Popen[bytes], handles: Sequence[int], grace: float) -> list[int]:
    """Those that are still there after `grace` seconds."""
    end = time.monotonic() + grace
    left = list(handles)
    while left and (rest := end - time.monotonic()) > 0:
        process.poll()
        ended = select.select(left, [], [], min(rest, 0.1))[0]
        left = [handle for handle in left if handle not in ended]
    return left


def _last(errors: Path) -> str:
    return " ".join(errors.read_text(errors="replace").strip().splitlines()[-3:]) or "it said nothing"
