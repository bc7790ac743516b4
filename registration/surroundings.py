"""The environment that a registration happens in, as its interpreter describes it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from diffing.requirements import CPU_BUILDS
from registration.errors import RegistrationError
from snapshot.facts.model import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

_TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "target")
_SECONDS = 60.0


class SurroundingsError(RegistrationError, OSError):
    """The environment's interpreter cannot be run, or does not answer as one."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One distribution. `requires` are the lines of Requires-Dist; `source` where it came from, if not from an index."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An environment. `installed` by normalised name; `markers` are the variables of PEP 508; `conda`: whether conda made it."""

    python: str
    prefix: str
    python_version: str
    installed: Mapping[str, Installed] = field(default_factory=dict)
    markers: Mapping[str, str] = field(default_factory=dict)
    conda: bool = False

    def find(self, name: str) -> Installed | None:
        """The distribution of that normalised name, or the CPU build of it that has the same modules; None where neither is there."""
        return self.installed.get(name) or self.installed.get(CPU_BUILDS.get(name, ""))


def target_command(python: str, script: str, *arguments: str) -> list[str]:
    """The command that runs one of our scripts in an environment.

    Isolated: what only PYTHONPATH, the working directory or the user's own site-packages have is not found, as it will not be
    where the environment is restored. No bytecode is written: a registration changes nothing that it need not.
    """
    return [python, "-I", "-B", "-X", "utf8", os.path.join(_TARGET, f"{script}.py"), *arguments]


def surroundings(python: str) -> Surroundings:
    """Ask the interpreter `python` what is installed for it. Raises SurroundingsError."""
    try:
        done = subprocess.run(
            target_command(python, "installed"),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except OSError as error:
        raise SurroundingsError(f"cannot run the interpreter {python}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise SurroundingsError(f"{python} did not say within {_SECONDS:.0f} s what is installed") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SurroundingsError(f"{python} cannot say what is installed: {said[-1] if said else 'no message'}")
    try:
        return _parse(python, json.loads(done.stdout))
    except (ValueError, TypeError, KeyError) as error:
        raise SurroundingsError(f"{python} is no Python interpreter: it did not answer as one") from error


def _parse(python: str, answer: dict[str, Any]) -> Surroundings:
    installed: dict[str, Installed] = {}
    for name, version, requires, origin in answer["distributions"]:
        installed.setdefault(
            canonicalize_name(name), Installed(name, version, tuple(sorted(requires)), _source(str(origin)))
        )
    return Surroundings(
        python=python,
        prefix=answer["prefix"],
        python_version=answer["python_version"],
        installed=installed,
        markers=answer["markers"],
        conda=os.path.isdir(os.path.join(answer["prefix"], "conda-meta")),
    )


def _source(text: str) -> Source | None:
    """What direct_url.json says (PEP 610); a damaged one says nothing."""
    try:
        found = json.loads(text or "{}")
        vcs = found.get("vcs_info") or {}
        archive = found.get("archive_info") or {}
        return Source(
            url=found["url"],
            vcs=vcs.get("vcs") or "",
            commit=vcs.get("commit_id") or "",
            digest=archive.get("hash") or "",
            editable=bool((found.get("dir_info") or {}).get("editable")),
        )
    except (ValueError, KeyError, AttributeError):
        return None
