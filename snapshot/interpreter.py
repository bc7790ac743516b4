"""Ask an environment's interpreter what it is, in a process of its own. Nothing is imported from the environment here."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any

from snapshot.errors import SnapshotError

_TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "target")
PROBE_SECONDS = 60.0


class NoEnvironmentError(SnapshotError, ValueError):
    """The directory is no Python environment."""


class InterpreterError(SnapshotError, OSError):
    """The environment's interpreter cannot be run."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the interpreter said of itself. Paths are absolute; `magic` are the four bytes a `.pyc` starts with.

    `built` is the prefix it was built for, which is not `base` when the directory was moved; empty when it is unknown. `path` is
    its own search path, without any site directory; `built_in` are modules that are part of the executable; `extensions` the
    endings of compiled modules, in the order in which they are looked for; `settings` are texts such as `Py_DEBUG=0`.
    """

    implementation: str
    version: str
    cache_tag: str
    soabi: str
    platform: str
    magic: bytes
    base: str
    executable: str
    stdlib: tuple[str, ...]
    include: tuple[str, ...]
    libraries: tuple[str, ...]
    libdir: tuple[str, ...]
    scripts: str
    site: tuple[str, ...]
    base_site: tuple[str, ...]
    built: str = ""
    path: tuple[str, ...] = ()
    built_in: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    build: str = ""
    compiler: str = ""
    settings: tuple[str, ...] = ()


def target_command(python: str, script: str, *arguments: str) -> list[str]:
    """The command that runs one of our scripts in `python`: isolated, without site, writing no bytecode."""
    return [python, "-I", "-S", "-B", os.path.join(_TARGET, f"{script}.py"), *arguments]


def target_environment() -> dict[str, str]:
    """Variables for a target process: only what is needed, and file names as UTF-8 whatever the locale is."""
    return {"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}


class Probing:
    """A probe under way; the caller walks the disk meanwhile."""

    def __init__(self, python: str, prefix: str) -> None:
        self.python = python
        self._command = target_command(python, "probe", prefix)
        try:
            # Isolated mode would hide PYTHONUTF8, so it is given as an option.
            self._process = subprocess.Popen(
                [python, "-X", "utf8", *self._command[1:]],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env=target_environment(),
            )
        except OSError as error:
            raise InterpreterError(
                f"cannot run the interpreter {python}: {error.strerror}; name another with --python"
            ) from error

    def stop(self) -> None:
        """Give up: the answer is not wanted any more."""
        self._process.kill()
        self._process.wait()
        # Not read to their end: what the interpreter started may hold them open for as long as it likes.
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def result(self) -> Probe:
        """Wait for the answer. Raises InterpreterError."""
        try:
            out, err = self._process.communicate(timeout=PROBE_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise InterpreterError(
                f"{self.python} did not answer within {PROBE_SECONDS:.0f} s; name a working interpreter with --python"
            ) from error
        if self._process.returncode:
            tail = err.decode("utf-8", "replace").strip().splitlines()
            raise InterpreterError(
                f"{self.python} failed (exit {self._process.returncode}): "
                f"{tail[-1] if tail else 'no message'}; name a working interpreter with --python"
            )
        try:
            return parse_probe(json.loads(out))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InterpreterError(
                f"{self.python} is no Python interpreter: it did not answer as one; name one with --python"
            ) from error


def parse_probe(answer: dict[str, Any]) -> Probe:
    """The probe's JSON as a value."""
    values: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, list) else str(value) for name, value in answer.items()
    }
    values["magic"] = bytes.fromhex(answer["magic"])
    return Probe(**values)


def find_python(prefix: str) -> str:
    """The interpreter of the environment at `prefix`. Raises NoEnvironmentError."""
    if not os.path.isdir(prefix):
        raise NoEnvironmentError(f"{prefix} is not a directory; give the prefix of a Python environment")
    for name in ("python", "python3"):
        path = os.path.join(prefix, "bin", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    if os.path.lexists(os.path.join(prefix, "bin", "python")):
        raise NoEnvironmentError(
            f"{prefix}: bin/python leads nowhere (its base interpreter is gone); name a fitting one with --python"
        )
    raise NoEnvironmentError(f"{prefix} is no Python environment: it has no bin/python")


def run_probe(python: str, prefix: str) -> Probe:
    return Probing(python, prefix).result()


class Worker:
    """A target process that hashes and compiles sources, one request at a time. Use one a thread."""

    def __init__(self, python: str) -> None:
        self.python = python
        command = target_command(python, "worker")
        try:
            self._process = subprocess.Popen(
                [python, "-X", "utf8", *command[1:]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=target_environment(),
            )
        except OSError as error:
            raise InterpreterError(f"cannot run the interpreter {python}: {error.strerror}") from error

    def ask(self, **request: object) -> dict[str, Any]:
        """Send one request. The answer has `error` when that one went wrong; InterpreterError when the process died."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError as error:
            raise InterpreterError(f"{self.python} stopped while it compiled: {error.strerror}") from error
        if not line:
            raise InterpreterError(f"{self.python} stopped while it worked on {request.get('path')}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
