"""MLflow's env_pack: its own function, run by the newest environment that has it, with `sys.prefix` set to what is packed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders.base import Call, Command, bytes_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.environments import Built
    from benchmarks.tools import Tools

SCRIPT = Path(__file__).with_name("env_pack_target.py")
NAME = "MLflow env_pack"
#: What the function took by its own account, without the start of Python and the import of mlflow.
SECONDS = "seconds"


@dataclass(frozen=True, slots=True)
class EnvPack:
    """`python` belongs to an environment with mlflow. It must write no bytecode there: it has a directory for that beside the place.

    The packer follows links, so it stores what is below `lib` once more as `lib64`. `linkless` hides that link from it.
    """

    python: Path
    tools: Tools
    linkless: bool = False

    shares = False
    rounds = None

    @property
    def name(self) -> str:
        return f"{NAME}, lib64 hidden" if self.linkless else NAME

    @property
    def slug(self) -> str:
        return "env-pack-linkless" if self.linkless else "env-pack"

    def prepare(self, place: Path, prefix: Path, call: Call) -> None:
        if self.linkless:
            view = self._view(place, prefix)
            if not view.exists():
                view.mkdir(parents=True)
                # Links, which it follows. Hard links would change the files' times while others read them.
                for path in prefix.iterdir():
                    if path.name != "lib64":
                        (view / path.name).symlink_to(path)

    def pack(self, place: Path, prefix: Path, version: str) -> Command:
        source = self._view(place, prefix) if self.linkless else prefix
        bytecode = f"pycache_prefix={place.parent / 'env-pack-bytecode'}"
        return Command(
            (os.fspath(self.python), "-I", "-X", bytecode, *map(os.fspath, (SCRIPT, source, place / version))),
            "with pack_env_for_databricks_model_serving(MODEL): pass",
            _told,
        )

    def unpack(self, place: Path, version: str, destination: Path) -> Command:
        file = place / version / "_databricks" / "model_environment.tar"
        return Command.of([self.tools.tar, "-C", destination, "-xf", file], "tar -C DEST -xf FILE (of env_pack)")

    def kept(self, place: Path) -> int:
        return bytes_below(*place.glob("*/_databricks"))

    def _view(self, place: Path, prefix: Path) -> Path:
        return place.parent / "env-pack-views" / prefix.parent.name


def find(versions: Sequence[Built]) -> Built | None:
    """The newest environment whose mlflow has the packer."""
    for built in reversed(versions):
        if list((built.prefix / "lib").glob("python3*/site-packages/mlflow/utils/env_pack.py")):
            return built
    return None


def _told(output: bytes) -> Mapping[str, float]:
    return {SECONDS: float(json.loads(output.splitlines()[-1])[SECONDS])}
