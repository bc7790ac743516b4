"""Paths in a file of requirements: where they lead, and which project lies there."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing.requirements import Item

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_EXTRAS = re.compile(r"\[[^\]/]*\]\Z")
#: Of a pyproject.toml: no project's is larger.
_LARGEST = 1 << 20


def located(item: Item, directories: Sequence[str]) -> Item:
    """The item with its path as the URL that direct_url.json has for it (PEP 610), and with the name of the project that lies there.

    A path that is not absolute begins in the first of `directories` that has it: pip takes the working directory for a requirements.txt,
    PEP 751 that of the lock file.
    """
    if not item.url or item.vcs or _SCHEME.match(item.url):
        return item
    place = _EXTRAS.sub("", item.url)
    found = [os.path.abspath(os.path.join(directory, place)) for directory in directories]
    path = next(filter(os.path.exists, found), found[-1])
    return replace(item, url=Path(path).as_uri(), name=item.name or _project(path))


def _project(path: str) -> str | None:
    """The name that a project's own metadata gives it (PEP 621); None where it does not say."""
    try:
        with open(os.path.join(path, "pyproject.toml"), "rb") as file:
            project = tomllib.loads(file.read(_LARGEST).decode("utf-8")).get("project")
    except (OSError, ValueError, RecursionError):
        return None
    name = project.get("name") if isinstance(project, dict) else None
    return str(canonicalize_name(name)) if isinstance(name, str) and name else None
