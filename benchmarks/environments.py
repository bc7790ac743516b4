"""The environments that are measured: built once by uv from a dated index, then kept in the work directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError, CommandFailedError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What the index offered on this day is what gets installed.
DATE = "2025-12-01"
#: Only a CPU build carries this local version: without such a wheel at hand the installation fails and fetches nothing.
TORCH = "torch==2.13.0+cpu"
PREFERRED = "3.11"

_REAL = ("mlflow", "scikit-learn", "pandas", "lightgbm")
_SMALL = ("flask", "numpy")
_REASONS = {
    "uv": "install the dev extra: python -m pip install -e '.[dev]'",
    "envparity": "install it: python -m pip install -e '.[dev]'",
    "zstd": "install the package zstd",
    "tar": "install GNU tar",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into an environment."""

    name: str
    requirements: tuple[str, ...]
    about: str
    bytecode: bool = False
    torch: bool = False


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("plain", _REAL, "installed by uv, so without bytecode"),
        Recipe("bytecode", _REAL, "the same with all of its bytecode", bytecode=True),
        Recipe("torch", _REAL, f"the same with {TORCH}; only memory is measured", torch=True),
        Recipe("quick", _SMALL, "small, for a quick look"),
    )
}


@dataclass(frozen=True, slots=True)
class Built:
    """An environment on disk. `base` is the prefix of its interpreter, `lock` the pins of its requirements."""

    recipe: Recipe
    prefix: Path
    python: Path
    base: Path
    version: str
    lock: Path
    files: int
    bytes: int

    @property
    def name(self) -> str:
        return self.recipe.name


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that take part, by absolute path."""

    envparity: str
    uv: str
    tar: str
    zstd: str
    cp: str
    sh: str

    @classmethod
    def find(cls) -> Tools:
        return cls(*(find_tool(name) for name in ("envparity", "uv", "tar", "zstd", "cp", "sh")))


def find_tool(name: str) -> str:
    """Beside the running interpreter first (where an extra of ours puts it), then on PATH. Raises MissingToolError."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is neither in {beside} nor on PATH; {_REASONS.get(name, 'install it')}")
    return os.path.abspath(found)


def find_python(uv: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The base interpreter to build with, and a note when it is not the preferred version."""
    running = getattr(sys, "_base_executable", None) or sys.executable
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version == PREFERRED:
        return os.path.realpath(running), None
    command = [uv, "python", "find", "--system", "--no-python-downloads", PREFERRED]
    found = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return os.path.realpath(found.stdout.strip()), None
    return os.path.realpath(running), f"no Python {PREFERRED} here; using {version}, so the environments are other ones"


def variables(cache: Path) -> dict[str, str]:
    """The environment variables of all commands: ours, without what would change a contender's ways."""
    unwanted = (
        "PYTHON",
        "ENVPARITY_",
        "UV_LINK_MODE",
        "UV_COMPILE_BYTECODE",
        "UV_OFFLINE",
        "UV_EXCLUDE_NEWER",
        "UV_PYTHON",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        kept.pop(name, None)
    return {**kept, "UV_CACHE_DIR": os.fspath(cache), "LC_ALL": "C.UTF-8"}


def choose_cache(work: Path) -> Path:
    """The cache of uv: $UV_CACHE_DIR, else one of our own. It must be where hard links to `work` are possible."""
    given = os.environ.get("UV_CACHE_DIR")
    cache = Path(given).absolute() if given else work / "uv-cache"
    cache.mkdir(parents=True, exist_ok=True)
    if cache.stat().st_dev != work.stat().st_dev:
        raise BenchmarkError(
            f"uv's cache {cache} is not on the file system of {work}, so uv could not link; unset UV_CACHE_DIR or give another --work"
        )
    return cache


class Builder:
    """Builds environments under `work`, each one once."""

    def __init__(self, work: Path, uv: str, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._work = work / "environments"
        self._uv = uv
        self._environ = dict(environ)
        self._say = say
        self._base, note = find_python(uv, environ)
        if note:
            say(f"note: {note}")

    def build(self, recipe: Recipe) -> Built:
        """The environment of `recipe`, from an earlier run when it was finished there. Raises CommandFailedError."""
        home = self._work / recipe.name
        prefix, lock, mark = home / "env", home / "lock.txt", home / "finished.json"
        wanted = {
            "requirements": list(recipe.requirements),
            "date": DATE,
            "python": self._base,
            "bytecode": recipe.bytecode,
            "torch": TORCH if recipe.torch else None,
        }
        if not mark.exists() or json.loads(mark.read_bytes()) != wanted:
            self._say(f"building the environment {recipe.name}")
            remove_tree(home)
            home.mkdir(parents=True)
            self._install(recipe, prefix, lock)
            mark.write_text(json.dumps(wanted, indent=1) + "\n")
        python = prefix / "bin" / "python"
        asked = self._run(
            [
                python,
                "-I",
                "-S",
                "-c",
                "import platform, sys; print(sys.base_prefix, platform.python_version(), sep='\\n')",
            ]
        )
        base, version = asked.splitlines()
        return Built(recipe, prefix, python, Path(base).resolve(), version, lock, *measure_tree(prefix))

    def _install(self, recipe: Recipe, prefix: Path, lock: Path) -> None:
        python = prefix / "bin" / "python"
        self._run([self._uv, "venv", "--python", self._base, prefix])
        bytecode = "--compile-bytecode" if recipe.bytecode else "--no-compile-bytecode"
        self._run(
            [self._uv, "pip", "install", "--python", python, "--exclude-newer", DATE, bytecode, *recipe.requirements]
        )
        source = lock.with_suffix(".in")
        source.write_text("".join(f"{line}\n" for line in recipe.requirements))
        self._run(
            [self._uv, "pip", "compile", "--python", python, "--exclude-newer", DATE, "--output-file", lock, source]
        )
        if recipe.torch:
            # By pip, because that knows where this machine keeps wheels of its own.
            self._run([sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", TORCH])

    def _run(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run(
            command, env=self._environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = " ".join(done.stderr.strip().splitlines()[-3:])
            raise CommandFailedError(f"{' '.join(map(str, command))} ended with {done.returncode}: {last}")
        return done.stdout


def remove_tree(path: Path) -> None:
    """Remove a directory with everything in it; directories may be read-only. One that is not there is no error."""
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o700)
    if path.exists():
        shutil.rmtree(path)


def measure_tree(prefix: Path) -> tuple[int, int]:
    """How many regular files there are below, and their bytes."""
    files = size = 0
    for directory, _, names in os.walk(prefix):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                files += 1
                size += os.lstat(path).st_size
    return files, size
