"""MLflow's scoring server in a restored environment: started, waited for, asked, and stopped with all that it started."""

from __future__ import annotations

import http.client
import os
import secrets
import select
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from registration import processes
from registration.errors import RegistrationError
from registration.events import Log
from registration.variables import ASTRAY
from snapshot.secrets import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

#: Where a restored environment has its model.
MODEL = ".envparity/model"
#: What MLflow writes beside a model that was logged with an input example: a whole request.
EXAMPLE = "serving_input_example.json"

#: Seconds for a server to become ready, and for one request.
STARTUP = 120.0
REQUEST = 60
_MOMENT = 2.0
#: Lines of a dead server's log that its error has.
LINES = 12

_LAUNCHER = Path(__file__).with_name("target") / "serve.py"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 (what is asked for a connection instead)


class ServerError(RegistrationError, RuntimeError):
    """A server that does not start, does not answer, or answers with an error. `log` are the last lines of its log."""

    def __init__(self, message: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log = log


class PortError(RegistrationError, OSError):
    """A port that cannot be had."""


def process_variables(variables: Mapping[str, str], prefix: str | os.PathLike[str]) -> dict[str, str]:
    """The variables that a server in the environment at `prefix` runs with: `variables`, with its programs first, and without what
    leads Python out of it.
    """
    kept = {name: value for name, value in variables.items() if name not in ASTRAY}
    search = [os.path.join(prefix, "bin"), *filter(None, [variables.get("PATH", os.defpath)])]
    return {**kept, "PATH": os.pathsep.join(search), "VIRTUAL_ENV": os.fspath(prefix)}


class Server:
    """One server process, in a process group of its own. As a context manager it is started, and stopped whatever happens.

    It ends with the process that started it, even if that is killed, unless it is released: then it stays until `processes.stop` is
    called with its `mark`.
    """

    def __init__(
        self,
        prefix: str | os.PathLike[str],
        variables: Mapping[str, str],
        *,
        model: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        workers: int = 1,
        log: str | os.PathLike[str] | None = None,
        mark: str | None = None,
        startup: float = STARTUP,
        request: int = REQUEST,
        events: Log | None = None,
    ) -> None:
        """`prefix`: a restored environment, `model` a directory (default: the one in it). `variables` are those of the process.

        `port` None is any free one. `log` is a file to append to; None: one that is gone with the server. `mark` names the process
        (`processes.MARK`; default: a new one). `startup` and `request` in seconds.
        """
        self.prefix = Path(os.path.abspath(prefix))
        self.model = Path(os.path.abspath(model)) if model is not None else self.prefix / MODEL
        self.host = host
        self.port = port or 0
        self.mark = mark or secrets.token_hex(16)
        self.log = None if log is None else Path(os.path.abspath(log))
        self.identity: processes.Identity | None = None
        self._variables = {**process_variables(variables, self.prefix), processes.MARK: self.mark}
        self._workers = workers
        self._startup = startup
        self._request = request
        self._events = Log() if events is None else events
        self._process: subprocess.Popen[bytes] | None = None
        self._output: BinaryIO | None = None
        self._begin = 0

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host or '127.0.0.1'}:{self.port}"

    def start(self) -> None:
        """Start, and return when it is healthy: the model is loaded. Raises PortError and ServerError; nothing is left running then."""
        try:
            with self._events.step("start") as step:
                self._launch()
                step.detail = f"pid {self._running.pid}, {self.url}"
            with self._events.step("ready") as step:
                self._await_health()
                step.detail = f"{self.url}/health answers"
        except BaseException:  # Control-C too: the process would stay
            self._end(processes.GRACE)
            raise

    def stop(self, grace: float = processes.GRACE) -> None:
        """End it and all that it started: SIGTERM, and after `grace` seconds SIGKILL. Stopping twice is no error."""
        if self._process is not None:
            with self._events.step("stop") as step:
                step.detail = f"pid {self._process.pid}"
                self._end(grace)

    def release(self) -> processes.Identity:
        """Let it run when this process ends, and have nothing to do with it any more. Its identity, for `processes.stop`."""
        process, self._process = self._running, None
        if self.identity is None or process.stdin is None:
            raise ServerError("the server is not running; start it first")
        process.stdin.write(b"r")
        process.stdin.flush()
        self._close(process)
        process.returncode = 0  # so that nobody warns of a process that is meant to go on
        return self.identity

    def wait(self) -> None:
        """Return never, or raise ServerError when it ends by itself."""
        code = self._running.wait()
        raise self._died(f"the server ended by itself ({_ending(code)})")

    def predict(self, body: bytes, timeout: float = REQUEST) -> bytes:
        """The answer to a request, JSON both. Raises ServerError."""
        return predict(self.url, body, timeout)

    def check(self) -> str:
        """A prediction on the model's input example, if it has one; in words, what was done. Raises ServerError."""
        with self._events.step("check") as step:
            example = self.model / EXAMPLE
            if not example.is_file():
                step.detail = "no prediction: the model has no input example"
            else:
                self.predict(example.read_bytes())
                step.detail = "predicted on the model's input example"
        return step.detail

    def tail(self) -> tuple[str, ...]:
        """The last lines of its log, without credentials in URLs."""
        if self._output is None:
            return ()
        return tail(self._output, self._begin)

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("the server is not running; start it first")
        return self._process

    def _launch(self) -> None:
        if not (self.model / "MLmodel").is_file():
            raise ServerError(f"there is no model at {self.model}: restore a snapshot of a registered model there")
        if unquote(str(self.model)) != str(self.model):
            raise ServerError(
                f"MLflow takes the % in {self.model} for an escape and looks for the model elsewhere; choose a destination without it"
            )
        listening = listen(self.host, self.port)
        with listening:
            self.port = listening.getsockname()[1]
            self._output = tempfile.TemporaryFile() if self.log is None else open(self.log, "a+b")  # noqa: SIM115
            self._begin = self._output.seek(0, os.SEEK_END)
            words = [
                # -s: a user's own site directory is not the environment's.
                *(self.prefix / "bin" / "python", "-s", "-c", _LAUNCHER.read_text(encoding="utf-8")),
                *(self.model, listening.fileno(), self._workers, self._request),
                processes.GRACE,
            ]
            try:
                self._process = subprocess.Popen(
                    [str(word) for word in words],
                    stdin=subprocess.PIPE,
                    stdout=self._output,
                    stderr=subprocess.STDOUT,
                    env=self._variables,
                    cwd="/",  # nothing importable lies there
                    pass_fds=[listening.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise ServerError(
                    f"{words[0]} does not start: {error.strerror}; restore the environment again"
                ) from error
        self.identity = processes.identify(self._process.pid, self.mark)

    def _await_health(self) -> None:
        """Ask once: the socket has been listening from the start, so the answer comes when the server takes the connection."""
        deadline = time.monotonic() + self._startup
        host = _WILDCARDS.get(self.host, self.host)
        handle = os.pidfd_open(self._running.pid)
        connection = http.client.HTTPConnection(host, self.port, timeout=self._startup)
        try:
            with suppress(ConnectionError):  # it is dead already, which the handle tells
                connection.request("GET", "/health")
            waiting = [handle, *([connection.sock] if connection.sock is not None else [])]
            ready, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
            if handle in ready:
                raise self._died(f"the server ended before it was ready ({_ending(self._running.wait())})")
            if not ready:
                raise self._died(f"the server was not ready within {self._startup:g} seconds")
            try:
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException) as error:
                # The end of its socket is seen a moment before its own.
                if select.select([handle], [], [], _MOMENT)[0]:
                    raise self._died(
                        f"the server ended before it was ready ({_ending(self._running.wait())})"
                    ) from error
                raise self._died(f"the server broke off before it was ready ({type(error).__name__})") from error
            if status != http.HTTPStatus.OK:
                raise self._died(f"the server says that it is not healthy (status {status})")
        finally:
            connection.close()
            os.close(handle)

    def _died(self, what: str) -> ServerError:
        lines = self.tail()
        last = f": {lines[-1]}" if lines else ""
        where = f"; its log is {self.log}" if self.log is not None else ""
        return ServerError(f"{what}{last}{where}", lines)

    def _end(self, grace: float) -> None:
        process, self._process = self._process, None
        if process is not None:
            try:
                # Before it is waited for: until then its pid can be no other process's.
                processes.stop(self.mark, self.identity, grace=grace)
            finally:
                self._close(process)
                process.wait()

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        for file in (process.stdin, self._output):
            if file is not None:
                file.close()
        self._output = None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; with port 0 on any free one. Raises PortError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(2048)
        except BaseException:  # whatever it is, the socket is not to stay open
            made.close()
            raise
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise PortError(
            f"cannot listen on port {port} of {host or 'any address'}: {said}; give another port, or none for any that is free"
        ) from error
    return made


def predict(url: str, body: bytes, timeout: float = REQUEST) -> bytes:
    """Send `body` (JSON) to `/invocations` of the server at `url`. Raises ServerError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(_WILDCARDS.get(host, host), parts.port, timeout=timeout)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"the server at {url} does not answer: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise ServerError(f"the server at {url} refuses to predict (status {answer.status}): {_said(content)}")
    return content


def _said(content: bytes) -> str:
    """The message in MLflow's answer, and not the traceback beside it."""
    import json

    try:
        message = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        message = content.decode("utf-8", "replace")
    return " ".join(str(message).split())[:500]


def tail(log: BinaryIO, begin: int = 0) -> tuple[str, ...]:
    """The last lines of a log from the offset `begin` on, without credentials in URLs."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(begin, size - 65536))
    text = redact(log.read())[0].decode("utf-8", "replace")
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-LINES:]


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
