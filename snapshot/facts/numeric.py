"""The numeric fingerprint of an environment: start the probe in it, and read what it prints. docs/numeric.md says what it measures."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from snapshot.errors import SnapshotError
from snapshot.facts.model import Measurement, Numeric
from snapshot.interpreter import target_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How long the probe may take. It takes half a second; the first import of a numpy that was never read takes longer.
SECONDS = 30.0

#: The probe may write no file that is longer, in bytes. Its answer has about 70 kB; start-up hooks may print what they like.
_LONGEST = 16 << 20

#: What OpenBLAS's threads do while there is nothing to do: wait for 2^16 cycles and sleep, not 2^26. It changes no result, and what
#: packs the layers meanwhile needs the processors.
_IDLE = {"OPENBLAS_THREAD_TIMEOUT": "16"}

_SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "target", "numeric.py")
_MARK = b"envparity-numeric:"


class FingerprintError(SnapshotError, OSError):
    """The probe could not run in the environment, or did not come to an end."""


def fingerprint(python: str, *, environ: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Numeric:
    """What computes in the environment of `python`, and what comes out. As `Fingerprinting`; raises FingerprintError."""
    with Fingerprinting(python, environ=environ, seconds=seconds) as probe:
        return probe.result()


class Fingerprinting:
    """The probe under way in the environment of `python`; what it has not ended by the end of the block is killed.

    `environ` are the variables that the environment serves with: how many threads compute, and with which instructions, depends on
    them. None: those of a process with no variables of its own. How long idle threads wait is set where they do not say. Python itself runs isolated (`-I`: no PYTHONPATH, no user site) and
    writes no bytecode, in an empty directory. `seconds`: when to give up, from now on. That there is no numpy, or none that can be
    imported, is part of the answer.
    """

    def __init__(self, python: str, *, environ: Mapping[str, str] | None = None, seconds: float = SECONDS) -> None:
        self._python = python
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._failed: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="envparity-")
        # Not a pipe: that holds less than the answer, and the probe would wait for whoever reads it.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
        try:
            self._process = subprocess.Popen(
                # It runs in another directory.
                [os.path.abspath(python) if os.sep in python else python, "-I", "-B", "-X", "utf8", _SCRIPT],
                stdout=self._said,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                cwd=self._directory.name,
                env={**_IDLE, **(target_environment() if environ is None else environ)},
            )
            with suppress(ProcessLookupError):  # it has ended
                resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (_LONGEST, _LONGEST))
        except OSError as error:
            self._failed = error  # for whoever asks: without an answer everything else is as good

    def __enter__(self) -> Fingerprinting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._said.close()
        self._directory.cleanup()

    def result(self) -> Numeric:
        """Wait for the answer. Raises FingerprintError."""
        python, process = self._python, self._process
        if process is None:
            reason = self._failed.strerror if self._failed is not None else "it did not start"
            raise FingerprintError(
                f"cannot run {python} for the numeric probe: {reason}; name a working interpreter"
            ) from self._failed
        try:
            # One that has ended was in time, whenever it is asked.
            process.wait(timeout=max(0.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise FingerprintError(
                f"the numeric probe of {python} did not end within {self._seconds:g} s; capture without the fingerprint, or allow more"
            ) from error
        if process.returncode:
            raise FingerprintError(
                f"the numeric probe of {python} {_ending(process.returncode)}; see whether numpy can be imported there, or capture without the fingerprint"
            )
        self._said.seek(0)
        lines = [line for line in self._said.read(_LONGEST).splitlines() if line.startswith(_MARK)]
        try:
            return parse(json.loads(lines[-1][len(_MARK) :]))
        except (IndexError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise FingerprintError(
                f"the numeric probe of {python} gave no answer; see what its sitecustomize and .pth files do to standard output"
            ) from error


def parse(answer: dict[str, Any]) -> Numeric:
    """The probe's JSON as a value, sorted."""
    backend = {(str(component), str(name), str(value)) for component, name, value in answer["backend"]}
    measurements = [
        Measurement(
            name=str(row["name"]),
            group=str(row["group"]),
            dtype=str(row["dtype"]),
            digest=str(row["digest"]),
            sample=tuple(str(value) for value in row["sample"]),
        )
        for row in answer["measurements"]
    ]
    return Numeric(tuple(sorted(backend)), tuple(sorted(measurements, key=lambda each: (each.group, each.name))))


def _ending(code: int) -> str:
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        # An illegal instruction: a library that was made, or told, to use what this processor does not have.
        return f"was ended by {name}"
    # What it wrote may hold anything, so it is not repeated: a .pth or sitecustomize of the environment can print its secrets.
    return f"ended with exit code {code}"
