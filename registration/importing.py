"""Which modules a model really imports: it is loaded once, in a process of the environment, as a server would load it."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffing.requirements import masked
from registration.errors import RegistrationError
from registration.running import Running
from registration.surroundings import target_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registration.mlmodel import LocalModel

SECONDS = 300.0


class LoadError(RegistrationError, RuntimeError):
    """A model that its environment cannot load."""


@dataclass(frozen=True, slots=True)
class Module:
    """A dotted name, and the file that it came from: empty for one without, `built-in` or `frozen` for the interpreter's own."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a load of the model brought in. Tuples are sorted by name.

    `modules` are those in use after loading, and predicting on the input example when there is one (`predicted`); `serving` what MLflow's
    scoring server imports beside them. `variables` are those of the process that loading sets, whether they were there before or not, with
    the values that it gives them. `prediction` is the sha256 of the JSON that the server would answer for the example, empty without
    one. `seconds` is how long loading and predicting took, imports included. `problem` is what went wrong without being fatal: the prediction failed (examples may need
    what only a server has), or this environment lacks what serving needs.
    """

    modules: tuple[Module, ...]
    serving: tuple[Module, ...]
    predicted: bool
    prediction: str
    seconds: float
    variables: Mapping[str, str]
    problem: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of all of them."""
        return frozenset(module.name for module in (*self.modules, *self.serving))


class Loading:
    """A process of the environment that loads a model. It begins with MLflow itself, before it is known which model.

    `python` is the environment's interpreter. What only the working directory, PYTHONPATH or the user's own site-packages have is not
    found: it would not be there where the environment is restored. What the model starts in other processes is not seen. As a context
    manager: the process does not outlive the block. Raises NotStartedError.
    """

    def __init__(self, python: str, *, seconds: float = SECONDS) -> None:
        self._model: LocalModel | None = None
        self._imported: Imported | None = None
        with ExitStack() as stack:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="envparity-load-"))
            self._answer = os.path.join(scratch, "answer.json")
            self._running = stack.enter_context(
                Running(
                    target_command(python, "load", self._answer),
                    what="loading the model",
                    seconds=seconds,
                    hint="give it more time, or see what keeps it with mlflow.pyfunc.load_model",
                    stdin=None,
                    directory=scratch,
                )
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Loading:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, wherever it is."""
        self._stack.close()

    def load(self, model: LocalModel) -> None:
        """Go on with `model`, for at most the `seconds` from now."""
        self._model = model
        self._running.what = f"loading the model {masked(model.source)}"
        self._running.tell(os.path.abspath(model.path).encode("utf-8", "surrogateescape"))

    def result(self) -> Imported:
        """What it found, once `load` was called: this waits. Raises LoadError, and TookTooLongError when the time is over."""
        if self._imported is None:
            self._imported = self._wait()
        return self._imported

    def _wait(self) -> Imported:
        assert self._model is not None  # noqa: S101
        done = self._running.result()
        if done.code or not os.path.exists(self._answer):
            why = done.last if done.code else "it ended the process that loads it"
            raise LoadError(
                f"the model {masked(self._model.source)} cannot be loaded in this environment: {why}; "
                "make mlflow.pyfunc.load_model work here first, in a process of its own: what it imports must be "
                "installed, or be part of the model (code_paths)"
            )
        with open(self._answer, encoding="utf-8") as file:
            return _parse(json.load(file))


def imports(model: LocalModel, python: str, *, seconds: float = SECONDS) -> Imported:
    """Load `model` with the interpreter `python`, and say what that imported. Raises as `Loading` does, whose words count here too."""
    with Loading(python, seconds=seconds) as loading:
        loading.load(model)
        return loading.result()


def _parse(answer: dict[str, Any]) -> Imported:
    return Imported(
        modules=tuple(Module(*row) for row in answer["modules"]),
        serving=tuple(Module(*row) for row in answer["serving"]),
        predicted=answer["predicted"],
        prediction=answer["prediction"],
        seconds=answer["seconds"],
        variables=answer["variables"],
        problem="; ".join(answer["problems"]) or None,
    )
