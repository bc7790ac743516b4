"""Requirement files and lock files as one side of a comparison. `read` is an edge of `diffing`: it reads files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from diffing.errors import DiffError
from snapshot.secrets import redact

if TYPE_CHECKING:
    from packaging.markers import Marker


class RequirementsError(DiffError, ValueError):
    """A file of requirements with something in it that cannot be read. The message has a line for each problem."""


@dataclass(frozen=True, slots=True)
class Item:
    """One requirement. `name` is normalised; None for a path or URL that does not say what it installs.

    `url` is that of a direct reference, without secrets and without `vcs+` and `@commit`, which are `vcs` and `commit` (whatever the line says: a
    branch, a tag or a commit). `hashes` are those that files may have (`sha256:…`). `constraint`: only says which version, if it is installed.
    """

    name: str | None
    file: str
    line: int | None
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    extras: tuple[str, ...] = ()
    condition: Marker | None = None
    url: str = ""
    vcs: str = ""
    commit: str = ""
    subdirectory: str = ""
    hashes: tuple[str, ...] = ()
    editable: bool = False
    constraint: bool = False

    @property
    def where(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def pin(self) -> str | None:
        """The one version that will do, None if there are more."""
        clauses = list(self.specifier)
        if len(clauses) == 1 and clauses[0].operator in {"==", "==="} and not clauses[0].version.endswith(".*"):
            return clauses[0].version
        return None


@dataclass(frozen=True, slots=True)
class Requirements:
    """A file of requirements. `kind` is `requirements` or `pylock`: a lock says all that there is, a requirements.txt need not.

    `python` is the lock's `requires-python`, empty where nothing is said.
    """

    label: str
    kind: str
    items: tuple[Item, ...]
    python: str = ""


def masked(text: str) -> str:
    """`text` without the user part of any URL."""
    return redact(text.encode("utf-8", "surrogateescape"))[0].decode("utf-8", "replace")


def read(path: str | os.PathLike[str]) -> Requirements:
    """Read a requirements.txt, or a lock file if its name is `pylock.toml` or `pylock.NAME.toml` (PEP 751).

    Raises RequirementsError with every problem, each with its file and line.
    """
    path = os.fspath(path)
    label = os.path.basename(path)
    problems: list[str] = []
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", label):
        from diffing.lockfile import read_lock

        found = read_lock(path, label, problems)
    else:
        from diffing.requirement_lines import read_lines

        found = Requirements(label, "requirements", tuple(read_lines(path, problems)))
    if problems or found is None:
        raise RequirementsError("\n".join(dict.fromkeys(problems)))
    return found


def read_text(path: str, label: str, problems: list[str]) -> str | None:
    """The text of a file, or one more problem."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        problems.append(f"{label}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{label}: not UTF-8 text")
    return None
