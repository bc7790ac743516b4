"""What all contenders deploy: one model, trained and registered in one environment, and MLflow's tars of both."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.base import bytes_below
from benchmarks.deploying.serving import Question
from benchmarks.environments import Builder
from benchmarks.errors import BenchmarkError
from benchmarks.measuring import Contender
from benchmarks.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.environments import Built
    from benchmarks.measuring import Runner
    from benchmarks.settling import Settling
    from benchmarks.tools import Tools

#: What the index offered on this day is what gets installed: later than that of the other benchmarks, for what envparity itself needs.
DATE = "2026-11-15"
NAME = "prices"
CHECKOUT = Path(__file__).resolve().parent.parent.parent
_TARGET = Path(__file__).resolve().parent / "target"


@dataclass(frozen=True, slots=True)
class Laboratory:
    """Everything that is there before the first measurement.

    `training` is the environment that the model was trained in, `node` that of the commands which deploy it: it has MLflow and envparity,
    with all their bytecode. `store` has the registered model, `tars` what MLflow's packer made of the same. `artifacts` is MLflow's
    place for models. `environ` are the variables of all commands.
    """

    tools: Tools
    training: Built
    node: Built
    store: Path
    tars: Path
    artifacts: Path
    version: int
    requirements: tuple[str, ...]
    question: Question
    environ: Mapping[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{NAME}/{self.version}"

    @property
    def packed(self) -> int:
        """The bytes of the registered snapshot."""
        return stored(self.store)

    def script(self, name: str, *arguments: str | Path) -> list[str]:
        """A script of `target` in the training environment."""
        return list(map(os.fspath, (self.training.python, _TARGET / f"{name}.py", *arguments)))


def build(
    work: Path, tools: Tools, environ: Mapping[str, str], say: Callable[[str], None], settling: Settling
) -> tuple[Built, Built]:
    """The environments of the training and of the node, each built once."""
    wheel = _wheel(work, tools, environ)
    ours = f"envparity[mlflow] @ {wheel.as_uri()}"
    builder = Builder(work, tools.uv, environ, say, settling)
    training = Recipe(
        "deploy-training",
        # pip: MLflow's packer asks it whether all requirements are there.
        ("mlflow", "scikit-learn", "pandas", "pip", ours),
        "the model is trained there, installed by uv, so without bytecode",
        date=DATE,
    )
    node = Recipe("deploy-node", ("mlflow", ours), "deploys, with all of its bytecode", date=DATE, bytecode=True)
    return builder.build(training), builder.build(node)


def prepare(
    place: Path,
    tools: Tools,
    built: tuple[Built, Built],
    environ: Mapping[str, str],
    runner: Callable[[Mapping[str, str]], Runner],
    say: Callable[[str], None],
) -> Laboratory:
    """Train, register and pack in the empty directory `place`. `runner` makes one for given variables."""
    training, node = built
    variables = {
        **environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The uncounted round fills it.
        "PIP_CACHE_DIR": os.fspath(place.parent / "pip-cache"),
        "TMPDIR": os.fspath(place / "tmp"),
    }
    for name in ("tmp", "artifacts"):
        (place / name).mkdir()
    store, artifacts, tars = place / "store", place / "artifacts", place / "tars"
    say("training a model and registering it")
    first = Laboratory(tools, training, node, store, tars, artifacts, 0, (), Question({}, ()), variables)
    told = _call(runner(variables), "the training", first.script("training", store, NAME, artifacts))
    requirements = tuple(told["requirements"])
    say("packing it with MLflow's packer")
    packing = first.script("packing", place / "packing", artifacts, json.dumps(requirements), "1", tars)
    _call(runner(variables), "MLflow's packer", packing)
    shutil.rmtree(place / "packing")
    question = Question(told["request"], told["answers"])
    return Laboratory(tools, training, node, store, tars, artifacts, told["version"], requirements, question, variables)


def stored(store: Path) -> int:
    """The bytes of a store, without its cache, which can be made again."""
    return bytes_below(*(path for path in store.iterdir() if path.name != "cache"))


def _call(runner: Runner, name: str, command: list[str]) -> dict[str, Any]:
    """What a script printed, as JSON."""
    found: list[bytes] = []

    def keep(output: bytes) -> Mapping[str, float]:
        found.append(output)
        return {}

    runner.once(Contender(name, command, name, collect=keep))
    told: dict[str, Any] = json.loads(found[0].splitlines()[-1])
    return told


def _wheel(work: Path, tools: Tools, environ: Mapping[str, str]) -> Path:
    """The wheel of this checkout, in a directory that is named by its content: another wheel is another requirement."""
    fresh = work / "wheels" / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    command = [tools.uv, "build", "--wheel", "--out-dir", os.fspath(fresh), os.fspath(CHECKOUT)]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-3:])
        raise BenchmarkError(f"the wheel of {CHECKOUT} could not be built: {last}")
    (made,) = fresh.glob("*.whl")
    place = work / "wheels" / hashlib.sha256(made.read_bytes()).hexdigest()[:16]
    place.mkdir(exist_ok=True)
    return made.replace(place / made.name)
