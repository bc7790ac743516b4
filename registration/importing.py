"""Which modules a model really imports: it is loaded once, in a process of the environment, as a server would load it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registration.errors import RegistrationError
from registration.running import run
from registration.surroundings import target_command

if TYPE_CHECKING:
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
    command and scoring server import beside them. `prediction` is the sha256 of the JSON that the server would answer for the example, empty without
    one. `seconds` is how long loading and predicting took, imports included. `problem` is what went wrong without being fatal: the prediction failed (examples may need
    what only a server has), or this environment lacks what serving needs.
    """

    modules: tuple[Module, ...]
    serving: tuple[Module, ...]
    predicted: bool
    prediction: str
    seconds: float
    problem: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names of all of them."""
        return frozenset(module.name for module in (*self.modules, *self.serving))


def imports(model: LocalModel, python: str, *, seconds: float = SECONDS) -> Imported:
    """Load `model` with the interpreter `python` and its packages, and say what that imported.

    What only the working directory, PYTHONPATH or the user's own site-packages have is not found: it would not be there where the
    environment is restored. What the model starts in other processes is not seen. It may take `seconds`. Raises LoadError, and
    TookTooLongError when the time is over.
    """
    with tempfile.TemporaryDirectory(prefix="envparity-load-") as scratch:
        answer = os.path.join(scratch, "answer.json")
        done = run(
            target_command(python, "load", model.path, answer),
            what=f"loading the model {model.source}",
            seconds=seconds,
            hint="give it more time, or see what keeps it with mlflow.pyfunc.load_model",
            directory=scratch,
        )
        if done.code or not os.path.exists(answer):
            why = done.last if done.code else "it ended the process that loads it"
            raise LoadError(
                f"the model {model.source} cannot be loaded in this environment: {why}; "
                "make mlflow.pyfunc.load_model work here first, in a process of its own: what it imports must be "
                "installed, or be part of the model (code_paths)"
            )
        with open(answer, encoding="utf-8") as file:
            return _parse(json.load(file))


def _parse(answer: dict[str, Any]) -> Imported:
    return Imported(
        modules=tuple(Module(*row) for row in answer["modules"]),
        serving=tuple(Module(*row) for row in answer["serving"]),
        predicted=answer["predicted"],
        prediction=answer["prediction"],
        seconds=answer["seconds"],
        problem="; ".join(answer["problems"]) or None,
    )
