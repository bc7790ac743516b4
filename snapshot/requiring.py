"""Which distributions others need: Requires-Dist of their metadata, read for the interpreter that they run on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from snapshot.model import Finding
from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snapshot.interpreter import Probe
    from snapshot.model import Interpreter
    from snapshot.ownership import Installed

_BEGINNING = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class Required:
    """What one distribution names in its metadata. `always` is needed on this interpreter; `ever` has what an extra or
    another platform would need too.
    """

    always: frozenset[str]
    ever: frozenset[str]


def required(lines: Iterable[str], python: Interpreter | Probe) -> Required:
    """Read the values of Requires-Dist. What cannot be read counts as needed."""
    facts = {
        "python_version": ".".join(python.version.split(".")[:2]),
        "python_full_version": python.version,
        "platform_python_implementation": python.implementation,
        "implementation_name": python.implementation.lower(),
        "extra": "",
    }
    always, ever = set(), set()
    for line in lines:
        try:
            found = Requirement(line)
            name = str(canonicalize_name(found.name))
            needed = found.marker is None or found.marker.evaluate(facts)
        except (InvalidRequirement, UndefinedEnvironmentName):
            match = _BEGINNING.match(line)
            if match is None:
                continue  # no name that could be needed
            name, needed = str(canonicalize_name(match[1])), True
        ever.add(name)
        if needed:
            always.add(name)
    return Required(frozenset(always), frozenset(ever))


def requires_of_metadata(metadata: str) -> list[str]:
    """The lines of a METADATA file."""
    from email.parser import HeaderParser  # a capture does not need it

    return [str(value) for value in HeaderParser().parsestr(metadata).get_all("Requires-Dist", [])]


def can_be_read(path: bytes) -> bool:
    """Whether a metadata directory holds files in the places of those that are read: a pipe or a device would never end."""
    places = [path, *(os.path.join(path, name) for name in (b"METADATA", b"PKG-INFO", b"requires.txt"))]
    return all(os.path.isfile(file) or os.path.isdir(file) or not os.path.exists(file) for file in places)


def requires_of_directory(path: bytes) -> list[str]:
    """The same of a metadata directory on disk, an `.egg-info` with its own form too."""
    import importlib_metadata  # 15 ms: only a capture needs it

    if not can_be_read(path):
        return []
    try:
        return importlib_metadata.PathDistribution(Path(os.fsdecode(path))).requires or []
    except (FileNotFoundError, ValueError):  # no METADATA, or not UTF-8: a finding of its own says so
        return []


def still_required(
    root: str, dropped: Sequence[Installed], kept: Iterable[Installed], python: Interpreter | Probe
) -> list[Finding]:
    """A finding for each distribution that is left out although one that stays needs it."""
    if not dropped:
        return []
    names = {one.name for one in dropped}
    users: dict[str, list[str]] = {}
    for one in kept:
        lines = requires_of_directory(os.path.join(encode(root), encode(one.metadata)))
        for name in required(lines, python).always & names:
            users.setdefault(name, []).append(one.name)
    return [
        Finding("exclude-required", f"dist:{name}", f"left out, but required by {', '.join(sorted(set(found)))}")
        for name, found in sorted(users.items())
    ]
