"""Start a model's trial (`trial`) in a process of its own, hear what it does, and end it with all that it started."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from diffing.rendering import document
from diffing.requirements import masked
from registration.errors import RegistrationError
from registration.extra import OLDEST
from registration.quickstart import Step
from registration.serving import process_variables
from registration.trial import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from diffing.report import Report

#: What the trial imports.
_NEEDED = {"mlflow": OLDEST, "scikit-learn": "0"}
#: Seconds that it has to end its server and go. A server has ten of them.
_GRACE = 25.0
#: Lines of its output that an error has when it ended without a word.
_LINES = 3

HINT = "pip install 'envparity[mlflow]' adds a model: trained, deployed and served"


class TrialError(RegistrationError, RuntimeError):
    """The trial could not be brought to an end. The message says why."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What is under way, for whoever watches."""

    text: str


def hindrance(prefix: str) -> str | None:
    """Why no model can be tried in the environment at `prefix`, which is this process's; None: it can."""
    from packaging.version import Version

    place = Path(prefix).resolve()
    if os.path.isdir(place / "conda-meta") or str(place) in {"/", "/usr"}:
        return "in a virtual environment (python -m venv) a model would be tried, too"
    for name, oldest in _NEEDED.items():
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return HINT
        # What only the user's own or the system's site-packages have is not captured.
        where = Path(str(found.locate_file(""))).resolve()
        if not where.is_relative_to(place) or Version(found.version) < Version(oldest):
            return HINT
    return None


class Trial:
    """The process. As a context manager it is started, and ended with all that it started whatever happens.

    Iterating over it gives what is under way, and each step when it has ended. The rest is known afterwards: `report` is the parity report
    of the deployment, `model` its URI, `predictions` what was predicted when the model was trained and by the server.
    """

    def __init__(self, prefix: str, home: Path, store: str, *, cache: str | None, variables: Mapping[str, str]) -> None:
        """`home` is an existing directory for everything, `store` and `cache` are paths; `variables` are those of this process."""
        self.report: Report | None = None
        self.model: str | None = None
        self.predictions: dict[str, float] = {}
        self._prefix = prefix
        self._home = home
        self._store = os.path.abspath(store)
        self._cache = None if cache is None else os.path.abspath(cache)
        self._variables = variables
        self._log = home / "trial.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: IO[str] | None = None

    def __enter__(self) -> Trial:
        scratch = self._home / "scratch"
        scratch.mkdir()
        reading, writing = os.pipe()
        self._messages = open(reading, encoding="utf-8")
        try:
            request = Request(self._prefix, str(self._home), self._store, self._cache, writing)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-m", "registration.trial", json.dumps(asdict(request))],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=_quiet(process_variables(self._variables, self._prefix), scratch),
                    cwd=self._home,
                    pass_fds=[writing],
                    start_new_session=True,  # Control-C is for this process, which ends that one in order
                )
        except BaseException:  # whatever it is, nobody will read from there
            self._messages.close()
            raise
        finally:
            os.close(writing)
        return self

    def __iter__(self) -> Iterator[Doing | Step]:
        """Raises TrialError."""
        assert self._messages is not None  # noqa: S101 (as a context manager only)
        for line in self._messages:
            message = json.loads(line)
            if "error" in message:
                raise TrialError(message["error"])
            yield from self._heard(message)
        code = self._running.wait()
        if code:
            lines = [each.strip() for each in self._log.read_text("utf-8", "replace").splitlines() if each.strip()]
            said = masked(" / ".join(lines[-_LINES:])) or "it said nothing"
            raise TrialError(f"the model's trial ended unexpectedly (exit code {code}): {said}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running
        try:
            if process.stdin is not None:
                process.stdin.close()  # which it takes for Control-C
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        finally:
            if process.poll() is None:  # a second Control-C, or one that it has not noticed: its server ends with it
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if self._messages is not None:
                self._messages.close()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TrialError("the trial was not started")
        return self._process

    def _heard(self, message: dict[str, Any]) -> Iterator[Doing | Step]:
        if "doing" in message:
            yield Doing(message["doing"])
        elif "step" in message:
            row = message["step"]
            yield Step(row["name"], row["ok"], row["detail"], row["seconds"], tuple(row["notes"]))
        elif "report" in message:
            self.report = document.decode(message["report"])
        elif "model" in message:
            self.model = message["model"]
        else:
            self.predictions = message["predictions"]


def _quiet(variables: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Without the user's own tracking server, run and settings, and without telemetry."""
    kept = {name: value for name, value in variables.items() if not name.startswith(("MLFLOW_", "DATABRICKS_"))}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true", "TMPDIR": str(scratch)}
