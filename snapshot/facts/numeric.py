"""The numeric fingerprint of an environment: start the probe in it, and read what it prints. docs/numeric.md says what it measures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from snapshot.errors import SnapshotError
from snapshot.facts.model import Measurement, Numeric
from snapshot.interpreter import target_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How long the probe may take. It takes half a second; the first import of a numpy that was never read takes longer.
SECONDS = 30.0

_SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "target", "numeric.py")
_MARK = b"envparity-numeric:"


class FingerprintError(SnapshotError, OSError):
    """The probe could not run in the environment, or did not come to an end."""


def fingerprint(python: str, *, environ: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Numeric:
    """What computes in the environment of `python`, and what comes out.

    `environ` are the variables that the environment serves with: how many threads compute, and with which instructions, depends on
    them. None: those of a process with no variables of its own. Python itself runs isolated (`-I`: no PYTHONPATH, no user site) and
    writes no bytecode, in an empty directory. `seconds`: when to give up. That there is no numpy, or none that can be imported, is
    part of the answer. Raises FingerprintError.
    """
    variables = dict(target_environment() if environ is None else environ)
    with tempfile.TemporaryDirectory(prefix="envparity-") as directory:
        try:
            done = subprocess.run(
                [python, "-I", "-B", "-X", "utf8", _SCRIPT],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                cwd=directory,
                env=variables,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise FingerprintError(
                f"the numeric probe of {python} did not end within {seconds:g} s; capture without the fingerprint, or allow more"
            ) from error
        except OSError as error:
            raise FingerprintError(
                f"cannot run {python} for the numeric probe: {error.strerror}; name a working interpreter"
            ) from error
    if done.returncode:
        raise FingerprintError(
            f"the numeric probe of {python} {_ending(done)}; see whether numpy can be imported there, or capture without the fingerprint"
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
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


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        try:
            name = signal.Signals(-done.returncode).name
        except ValueError:
            name = f"signal {-done.returncode}"
        # An illegal instruction: a library that was made, or told, to use what this processor does not have.
        return f"was ended by {name}"
    # What it wrote may hold anything, so it is not repeated: a .pth or sitecustomize of the environment can print its secrets.
    return f"ended with exit code {done.returncode}"
