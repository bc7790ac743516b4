"""The programs that take part: those without which nothing can be measured, and those that are left out when absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Its last release; it asks setuptools for nothing.
VENV_PACK = "venv-pack==0.2.0"

_REASONS = {
    "uv": "install the dev extra: python -m pip install -e '.[dev]'",
    "envparity": "install it: python -m pip install -e '.[dev]'",
    "zstd": "install the package zstd",
    "tar": "install GNU tar",
}
#: By program, the package of Debian that has it.
PACKAGES = {"borg": "borgbackup", "restic": "restic", "casync": "casync"}


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs that every run needs, by absolute path."""

    envparity: str
    uv: str
    tar: str
    zstd: str
    cp: str
    sh: str
    env: str

    @classmethod
    def find(cls) -> Tools:
        return cls(*(find_tool(name) for name in ("envparity", "uv", "tar", "zstd", "cp", "sh", "env")))


@dataclass(frozen=True, slots=True)
class Rivals:
    """The programs that may be absent: paths by name, and for each one that is left out why."""

    found: Mapping[str, str]
    absent: Mapping[str, str]


def find_tool(name: str) -> str:
    """Beside the running interpreter first (where an extra of ours puts it), then on PATH. Raises MissingToolError."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is neither in {beside} nor on PATH; {_REASONS.get(name, 'install it')}")
    return os.path.abspath(found)


def find_rivals(
    work: Path, tools: Tools, environ: Mapping[str, str], say: Callable[[str], None], *, quick: bool = False
) -> Rivals:
    """What is on PATH, and venv-pack, installed from the index into an environment of its own in `work`; not when it has to be `quick`."""
    found, absent = {}, {}
    for name, package in PACKAGES.items():
        path = shutil.which(name)
        if path:
            found[name] = os.path.abspath(path)
        else:
            absent[name] = f"{name} is not on PATH (Debian's package {package})"
    program = work / "tools" / "venv-pack" / "bin" / "venv-pack"
    failure = None
    if quick:
        failure = "it is not installed for a quick look"
    elif not program.exists():
        failure = _install_venv_pack(program, tools, environ, say)
    if failure is None:
        found["venv-pack"] = os.fspath(program)
    else:
        absent["venv-pack"] = failure
    return Rivals(found, absent)


def _install_venv_pack(
    program: Path, tools: Tools, environ: Mapping[str, str], say: Callable[[str], None]
) -> str | None:
    """Why it could not be installed; None: it was."""
    home = program.parent.parent
    say(f"installing {VENV_PACK}")
    commands: tuple[list[str | Path], ...] = (
        [tools.uv, "venv", "--clear", "--python", sys.executable, home],
        [tools.uv, "pip", "install", "--python", home / "bin" / "python", VENV_PACK],
    )
    for command in commands:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{VENV_PACK} could not be installed: {' '.join(done.stderr.strip().splitlines()[-1:])}"
    return None
