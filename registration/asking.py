"""What MLflow's registry says of a model version, asked in a process of its own: importing MLflow takes a second or more, in which others can work."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from diffing.requirements import masked
from registration.errors import RegistrationError
from registration.extra import MlflowError, need_mlflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NotDeployableError(RegistrationError, LookupError):
    """A model without a snapshot, or one whose snapshot is not at hand."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version in the registry. `label` is NAME/VERSION, also where it was asked for by an alias."""

    label: str
    tags: dict[str, str]


#: With the search path of the process that starts it: `-c` alone would import what lies in the working directory.
_CHILD = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; given = json.loads(sys.stdin.buffer.readline()); "
    "sys.path[:] = given.pop('path'); from registration.asking import main; main(**given)"
)
#: What MLflow's error codes say of a version or an alias that is not there.
_NOT_THERE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"})
#: How MLflow's client has a server's refusal: there is no code for it.
_REFUSED = re.compile(r"error code 40[13]\b")
_ERRORS = {kind.__name__: kind for kind in (NotDeployableError, MlflowError)}


def is_here() -> bool:
    """Whether this process is to ask: MLflow is imported already, and may have been configured by more than variables."""
    return "mlflow" in sys.modules or not sys.executable


@contextmanager
def asking(uri: str, tracking_uri: str | None) -> Iterator[Callable[[], ModelVersion]]:
    """Ask for the version that `uri` (models:/…) means, and go on. What this gives is called, once, to wait for the answer.

    The process that asks has the variables of this one, and is gone in the end, also when this one is killed.
    Raises MlflowError at once where MLflow is not installed; the answer, what `ask` raises.
    """
    from importlib.util import find_spec

    if find_spec("mlflow") is None:
        need_mlflow()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            # A session of its own: Control-C is for this process, which ends the other one.
            process = subprocess.Popen(
                [sys.executable, "-c", _CHILD], stdin=theirs.fileno(), stdout=theirs.fileno(), start_new_session=True
            )
        try:
            # Not as arguments, which all can read: a tracking URI may hold a password.
            request = json.dumps({"path": sys.path, "uri": uri, "tracking_uri": tracking_uri})
            with suppress(ConnectionError):  # it has ended already: then there is no answer
                ours.sendall(f"{request}\n".encode("ascii"))
            yield lambda: _answer(ours, process, uri)
        finally:
            process.kill()
            process.wait()


def _answer(ours: socket.socket, process: subprocess.Popen[bytes], uri: str) -> ModelVersion:
    with suppress(ConnectionError), ours.makefile("rb") as file:
        said = file.read()
        if said:
            found = json.loads(said)
            if "error" in found:
                raise _ERRORS[found["error"]](found["message"])
            return ModelVersion(**found)
    raise NotDeployableError(
        f"the process that asks MLflow for {masked(uri)} ended without an answer (exit code {process.wait()}); see whether "
        f"{sys.executable} can import mlflow"
    )


def main(uri: str, tracking_uri: str | None) -> None:
    """The process that asks. It ends when the answer is written, or with the process that started it."""
    import gc

    gc.disable()  # it lives for a second, most of it imports: a sixth of the time
    out = os.dup(1)
    os.dup2(2, 1)  # what MLflow prints is no answer
    threading.Thread(target=_follow, daemon=True).start()
    try:
        found: dict[str, Any] = asdict(ask(uri, tracking_uri))
    except (NotDeployableError, MlflowError) as error:
        found = {"error": type(error).__name__, "message": str(error)}
    with os.fdopen(out, "wb") as file:
        file.write(json.dumps(found).encode("ascii"))
    os._exit(0)  # MLflow's threads are not waited for


def _follow() -> None:
    """Nothing more comes over standard input, but its end when the other process ends."""
    os.read(0, 1)
    os._exit(1)


def ask(uri: str, tracking_uri: str | None) -> ModelVersion:
    """Ask in this process. Raises NotDeployableError, and MlflowError where MLflow is missing or too old."""
    need_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    try:
        client: Any = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        found = get_model_name_and_version(client, uri)
        # A logged model has an id and nothing else.
        row = client.get_model_version(found[0], str(found[1])) if len(found) == 2 else None
    except Exception as error:  # a driver of its database that is missing or fails can raise anything
        if isinstance(error, MlflowException) and error.error_code in _NOT_THERE:
            raise NotDeployableError(
                f"MLflow has no {masked(uri)}: {_said(error)}; check the name and the tracking URI"
            ) from error
        kind = "" if isinstance(error, (MlflowException, OSError)) else f"{type(error).__name__}: "
        refused = _REFUSED.search(str(error)) is not None
        remedy = (
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            if refused
            else "the tracking URI"
        )
        raise NotDeployableError(
            f"MLflow cannot be asked for {masked(uri)}: {kind}{_said(error)}; check {remedy}"
        ) from error
    if row is None:
        raise NotDeployableError(
            f"{uri} is a logged model, and only a registered one has an environment: give models:/NAME/VERSION"
        )
    return ModelVersion(f"{found[0]}/{found[1]}", dict(row.tags))


def _said(error: Exception) -> str:
    """The first line of what it says, without secrets."""
    said = str(getattr(error, "message", None) or error).strip() or type(error).__name__
    return masked(said.splitlines()[0]).rstrip(".")
