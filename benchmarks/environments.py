"""The environments that are measured: built once by uv from a dated index, then kept in the work directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError, CommandFailedError
from benchmarks.recipes import TORCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.recipes import Recipe
    from benchmarks.settling import Settling

#: The series was resolved for this version of Python.
PREFERRED = "3.11"


@dataclass(frozen=True, slots=True)
class Built:
    """An environment on disk.

    `base` is the prefix of its interpreter, `lock` the pins of its requirements, `source` what uv needs to know to
    find them: the day, and wheels that are not in the index.
    """

    recipe: Recipe
    prefix: Path
    python: Path
    base: Path
    version: str
    lock: Path
    source: tuple[str, ...]
    files: int
    bytes: int

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def packages(self) -> tuple[str, ...]:
        """What to ask uv for."""
        return packages(self.recipe)

    def installed(self, distribution: str) -> str | None:
        """The version of a distribution in it, if it is there."""
        wanted = distribution.replace("-", "_")
        for found in (self.prefix / "lib").glob(f"python3*/site-packages/{wanted}-*.dist-info"):
            return found.name.removeprefix(f"{wanted}-").removesuffix(".dist-info")
        return None


def packages(recipe: Recipe) -> tuple[str, ...]:
    return (*recipe.requirements, TORCH) if recipe.torch else recipe.requirements


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

    def __init__(
        self, work: Path, uv: str, environ: Mapping[str, str], say: Callable[[str], None], settling: Settling
    ) -> None:
        self._work = work / "environments"
        self._uv = uv
        self._environ = dict(environ)
        self._say = say
        self._settling = settling
        self._base, note = find_python(uv, environ)
        if note:
            say(f"note: {note}")

    def build(self, recipe: Recipe) -> Built:
        """The environment of `recipe`, from an earlier run when it was finished there. Raises CommandFailedError."""
        home = self._work / recipe.name
        prefix, lock, mark = home / "env", home / "lock.txt", home / "finished.json"
        wanted = {
            "requirements": list(recipe.requirements),
            "date": recipe.date,
            "python": self._base,
            "bytecode": recipe.bytecode,
            "torch": TORCH if recipe.torch else None,
        }
        if not mark.exists() or json.loads(mark.read_bytes()) != wanted or not self._in_cache(recipe, home):
            self._say(f"building the environment {recipe.name}")
            self._settling.clear(home)
            home.mkdir(parents=True)
            self._install(recipe, home)
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
        return Built(
            recipe, prefix, python, Path(base).resolve(), version, lock, source_of(recipe, home), *measure_tree(prefix)
        )

    def _install(self, recipe: Recipe, home: Path) -> None:
        prefix, lock = home / "env", home / "lock.txt"
        python = prefix / "bin" / "python"
        self._run([self._uv, "venv", "--python", self._base, prefix])
        if recipe.torch:
            # pip knows where this machine keeps wheels of its own; uv is shown what it found.
            pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
            self._run([*pip, "download", "-q", "--no-deps", "--dest", home / "wheels", TORCH])
        source = source_of(recipe, home)
        bytecode = "--compile-bytecode" if recipe.bytecode else "--no-compile-bytecode"
        self._run([self._uv, "pip", "install", "--python", python, *source, bytecode, *packages(recipe)])
        wanted = lock.with_suffix(".in")
        wanted.write_text("".join(f"{line}\n" for line in packages(recipe)))
        self._run([self._uv, "pip", "compile", "--python", python, *source, "--output-file", lock, wanted])

    def _in_cache(self, recipe: Recipe, home: Path) -> bool:
        """Whether uv could install it again from its cache alone, as it has to when it is measured. It cannot when that cache is
        another one than the one with which the environment was built.
        """
        python = home / "env" / "bin" / "python"
        command = [self._uv, "pip", "install", "--offline", "--dry-run", "--reinstall", "--python", python]
        done = subprocess.run(
            [*command, *source_of(recipe, home), *packages(recipe)],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def _run(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run(
            command, env=self._environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = " ".join(done.stderr.strip().splitlines()[-3:])
            raise CommandFailedError(f"{' '.join(map(str, command))} ended with {done.returncode}: {last}")
        return done.stdout


def source_of(recipe: Recipe, home: Path) -> tuple[str, ...]:
    """The options by which uv finds the packages of `recipe`."""
    wheels = ("--find-links", os.fspath(home / "wheels")) if recipe.torch else ()
    return ("--exclude-newer", recipe.date, *wheels)


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
