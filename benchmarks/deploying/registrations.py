"""Registration with its environment: ours into an empty store and for a retrained model, and MLflow's packer."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from benchmarks.deploying.laboratory import NAME, stored
from benchmarks.deploying.pages import release
from benchmarks.measuring import Contender
from benchmarks.settling import put_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.deploying.laboratory import Laboratory

FIRST, RETRAINED, PACKER = "register, first", "register, retrained", "MLflow's packer"
#: Figures of a run, by its own account: seconds without the start of Python, the import of MLflow, training and logging; the
#: same model once more; the bytes that it left.
SECONDS, AGAIN, BYTES = "seconds", "again", "bytes"


def registrations(laboratory: Laboratory, place: Path) -> list[Contender]:
    """The contenders, which work below `place`. A retrained model comes into a copy of the store that has the model before it."""
    empty, following, packing = (place / name for name in ("empty", "following", "packing"))
    artifacts, requirements = laboratory.artifacts, json.dumps(laboratory.requirements)

    def gone(path: Path) -> None:
        put_aside(path, place / "aside")
        release(place / "aside")

    def copied() -> None:
        gone(following)
        shutil.copytree(laboratory.store, following, symlinks=True)

    def left(store: Path, before: int) -> Callable[[bytes], Mapping[str, float]]:
        return lambda output: {**_told(output), BYTES: float(stored(store) - before)}

    return [
        Contender(
            FIRST,
            laboratory.script("registering", empty, "first", artifacts, requirements, "1"),
            "registration.register_model(URI, NAME, env_pack='databricks_model_serving', store=EMPTY)",
            lambda: gone(empty),
            left(empty, 0),
            watched=True,
        ),
        Contender(
            RETRAINED,
            laboratory.script("registering", following, NAME, artifacts, requirements, "2", "again"),
            "registration.register_model(URI, NAME, env_pack='databricks_model_serving', store=STORE)",
            copied,
            left(following, laboratory.packed),
            watched=True,
        ),
        Contender(
            PACKER,
            laboratory.script("packing", packing, artifacts, requirements, "2"),
            "with pack_env_for_databricks_model_serving(URI, enforce_pip_requirements=True, local_model_path=MODEL): pass",
            lambda: gone(packing),
            _told,
            watched=True,
        ),
    ]


def _told(output: bytes) -> Mapping[str, float]:
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found
