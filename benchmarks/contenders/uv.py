"""uv: the same packages from its warm cache, by hard links."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.environments import measure_tree
from benchmarks.errors import BenchmarkError
from benchmarks.measuring import Contender

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.environments import Built
    from benchmarks.workloads.base import Bench

INSTALL, LOCKED, MAKE = "uv pip install", "uv pip install -r lock", "uv venv && uv pip install"
COMPILED = "uv pip install --compile-bytecode"


def install(bench: Bench) -> Contender:
    """From the requirements alone."""
    return _install(bench, INSTALL, ["--no-compile-bytecode", *bench.built.packages], "PACKAGES")


def install_locked(bench: Bench) -> Contender:
    """With all versions given, so that nothing has to be resolved."""
    return _install(bench, LOCKED, ["--no-compile-bytecode", "-r", bench.built.lock], "-r LOCK")


def install_compiled(bench: Bench) -> Contender:
    """With all bytecode."""
    return _install(bench, COMPILED, ["--compile-bytecode", *bench.built.packages], "--compile-bytecode PACKAGES")


def make(bench: Bench) -> Contender:
    """With uv making the whole environment, as a restore does."""
    uv, destination = bench.tools.uv, installed(bench, MAKE)
    script = 'uv=$1 base=$2 to=$3; shift 3; "$uv" venv --python "$base" "$to" && "$uv" pip install --python "$to/bin/python" "$@"'
    arguments = [*_options(bench), "--no-compile-bytecode", *bench.built.packages]
    command = [bench.tools.sh, "-c", script, "sh", uv, bench.built.python.resolve(), destination, *arguments]
    shown = "uv venv DEST && uv pip install --offline --link-mode hardlink PACKAGES"
    return Contender(MAKE, list(map(str, command)), shown, lambda: bench.put_aside(destination))


def installed(bench: Bench, name: str) -> Path:
    """Where uv puts the environment of the contender `name`."""
    words = "".join(letter if letter.isalnum() else " " for letter in name)
    return bench.directory / "uv" / "-".join(words.split())


def check_install(built: Built, destination: Path) -> None:
    """Whether uv did what it was measured for: as many files, and links to its cache. Raises BenchmarkError."""
    files, _ = measure_tree(destination)
    linked = sum(
        os.lstat(os.path.join(directory, name)).st_nlink > 1
        for directory, _, names in os.walk(destination)
        for name in names
    )
    # Empty files and those that are written for the place are no links.
    if files < 0.9 * built.files * (0.5 if built.recipe.bytecode else 1) or linked < 0.8 * files:
        raise BenchmarkError(
            f"uv made {files} files in {destination}, {linked} of them links, for {built.files} in {built.prefix}; "
            "check that uv's cache is on a file system with hard links"
        )


def _options(bench: Bench) -> list[str]:
    return ["--offline", "--link-mode", "hardlink", *bench.built.source]


def _install(bench: Bench, name: str, arguments: Sequence[str | Path], shown: str) -> Contender:
    """An installation into an environment that is made before the clock starts."""
    uv, destination = bench.tools.uv, installed(bench, name)

    def prepare() -> None:
        bench.put_aside(destination)
        bench.call([uv, "venv", "--python", bench.built.python.resolve(), destination])

    command = [uv, "pip", "install", "--python", destination / "bin" / "python", *_options(bench), *arguments]
    text = f"uv pip install --offline --link-mode hardlink {shown} (into a new uv venv)"
    return Contender(name, list(map(str, command)), text, prepare)
