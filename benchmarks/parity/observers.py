"""What other tools see of a change: what they print of the changed copy that they do not print of an unchanged one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.parity.laboratory import Laboratory, Serving

#: Seconds for one comparison.
PATIENCE = 120.0


class NotFinishedError(RuntimeError):
    """The tool took longer than PATIENCE, so it is not known what it sees."""


@dataclass(frozen=True, slots=True)
class Observer:
    """A tool. `look` gives the lines in which it finds a copy different from the training environment, or wrong in itself."""

    name: str
    look: Callable[[Serving, Serving], frozenset[str]]


def observers(laboratory: Laboratory) -> tuple[list[Observer], list[str]]:
    """Those that are installed, and the names of those that are not."""
    lock = laboratory.work / "lock.txt"
    if not lock.exists():
        lock.write_text(
            laboratory.run(laboratory.uv, "pip", "freeze", "--python", laboratory.origin / "bin" / "python")
        )
    found = [
        Observer("pip freeze", _frozen),
        Observer("pip check", _checked),
        Observer("uv pip sync", lambda _, serve: _uv(laboratory, serve, lock)),
    ]
    missing = []
    pip_sync = shutil.which("pip-sync", path=os.path.dirname(sys.executable)) or shutil.which("pip-sync")
    if pip_sync:
        found.insert(2, Observer("pip-sync", lambda _, serve: _pip_sync(pip_sync, serve, lock)))
    else:
        missing.append("pip-sync")
    found.append(Observer("diff -r", lambda train, serve: _lines(train, serve, ["diff", "-rq", "--no-dereference"])))
    if shutil.which("diffoscope"):
        options = ["diffoscope", "--exclude-directory-metadata=recursive", "--max-text-report-size=0", "--text=-"]
        found.append(Observer("diffoscope", lambda train, serve: _headings(_lines(train, serve, options))))
    else:
        missing.append("diffoscope")
    return found, missing


def _said(command: Sequence[str | os.PathLike[str]], environ: dict[str, str] | None = None) -> list[str]:
    try:
        done = subprocess.run(
            list(map(os.fspath, command)),
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise NotFinishedError(f"{command[0]} took longer than {PATIENCE:.0f} s") from error
    return [line.rstrip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]


def _frozen(train: Serving, serve: Serving) -> frozenset[str]:
    left, right = (set(_said([each.python, "-m", "pip", "freeze", "--all"], each.environ)) for each in (train, serve))
    return frozenset(left ^ right)


def _checked(_: Serving, serve: Serving) -> frozenset[str]:
    return frozenset(_said([serve.python, "-m", "pip", "check"], serve.environ)) - {"No broken requirements found."}


def _pip_sync(pip_sync: str, serve: Serving, lock: Path) -> frozenset[str]:
    said = _said([pip_sync, "--dry-run", "--python-executable", serve.python, lock], serve.environ)
    return frozenset(line for line in said if re.match(r"  \S|Would", line))


def _uv(laboratory: Laboratory, serve: Serving, lock: Path) -> frozenset[str]:
    said = _said([laboratory.uv, "pip", "sync", "--dry-run", "--python", serve.python, lock], serve.environ)
    return frozenset(line for line in said if re.match(r" [-+~] ", line))


def _headings(lines: frozenset[str]) -> frozenset[str]:
    """Of diffoscope's report what it is about, and not the content: that has the copy's place in it, or a digest of it."""
    return frozenset(line for line in lines if "── " in line)


def _lines(train: Serving, serve: Serving, command: Sequence[str]) -> frozenset[str]:
    """Every line, with the copy's own place taken out."""
    said = _said([*command, train.root, serve.root])
    return frozenset(line.replace(os.fspath(serve.root), "SERVE") for line in said)
