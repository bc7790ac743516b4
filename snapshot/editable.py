"""Source trees that an environment imports from: editable installs (PEP 610, PEP 660, `.egg-link`) and `.pth` path lines."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from snapshot.home import SOURCE_MOUNT
from snapshot.model import Finding
from snapshot.pathfile import joined, path_lines
from snapshot.scan import encode, read_regular, walk

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from snapshot.ownership import Installed
    from snapshot.scan import Found

#: Directories of a source tree that are no part of what runs.
LEFT_OUT = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".ipynb_checkpoints",
        "node_modules",
    }
)


#: What nobody means as a source tree: the root and what systems have below it (FHS 3.0). `/app` and its like are somebody's project.
_WIDE = frozenset(
    [
        "/",
        *(
            f"/{name}"
            for name in ("bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt")
        ),
        *(f"/{name}" for name in ("proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var")),
    ]
)


def find_sources(
    root: str, base: str, sites: Iterable[str], found: Mapping[str, Found], distributions: Iterable[Installed]
) -> tuple[dict[str, tuple[str, ...]], list[Finding]]:
    """Each source tree by name: its directory, and by what other names the environment calls it, where links lead there. What
    lies in the prefix (`root`) or the base is captured anyway.
    """
    candidates = [(item.name, item.editable) for item in distributions if item.editable]
    # Of one directory an .egg-link has the project's name, and easy-install.pth only the directory's.
    for path in sorted(found, key=lambda path: (not path.endswith(".egg-link"), path)):
        if posixpath.dirname(path) in sites and path.endswith((".pth", ".egg-link")):
            for line in _path_lines(root, path):
                name = path.removesuffix(".egg-link") if path.endswith(".egg-link") else line
                candidates.append((str(canonicalize_name(posixpath.basename(name))), line))
    sources: dict[str, tuple[str, ...]] = {}
    findings: list[Finding] = []
    restored = [os.path.join(root, SOURCE_MOUNT)]
    resolved = sorted(
        ((os.path.realpath(path), name, path) for name, path in candidates),
        key=lambda row: (row[0].count("/"), row[1] == "", row[0]),
    )
    for directory, name, path in resolved:
        if _holds([root, base], directory) and not _holds(restored, directory):
            continue
        known = next((each for each, names in sources.items() if _holds([os.path.realpath(names[0])], directory)), None)
        if known is not None:
            sources[known] = _with_spelling(sources[known], path, directory)
        elif os.path.isfile(directory):
            findings.append(Finding("path-outside", path, "an archive outside of the environment; not captured"))
        elif not os.path.isdir(directory):
            findings.append(Finding("missing", path, f"the source directory of {name} is not there"))
        elif directory in _WIDE or _holds([directory], base):
            findings.append(Finding("path-outside", path, f"too wide to be captured as the source of {name}"))
        else:
            sources[unique(name or "source", sources)] = (os.path.abspath(path),)
    return sources, findings


def _with_spelling(names: tuple[str, ...], path: str, directory: str) -> tuple[str, ...]:
    """The names of a source tree, and the one that `path` has for it: a way to `directory`, which is in the tree."""
    tail = directory[len(os.path.realpath(names[0])) :]
    spelling = os.path.abspath(path).removesuffix(tail)
    same = os.path.realpath(spelling) == os.path.realpath(names[0])
    return tuple(dict.fromkeys((*names, spelling))) if spelling and same else names


def _path_lines(root: str, path: str) -> list[str]:
    """Directories that a `.pth` or `.egg-link` adds to the path."""
    # A dangling link, or a directory of that name: no paths.
    lines = path_lines(read_regular(os.path.join(encode(root), encode(path))) or b"")
    site = os.path.join(root, posixpath.dirname(path))
    return [joined(site, line) for line in (lines[:1] if path.endswith(".egg-link") else lines)]


def _holds(directories: Iterable[str], path: str) -> bool:
    return any(path == directory or path.startswith(directory.rstrip("/") + "/") for directory in directories)


def unique(name: str, taken: Container[str]) -> str:
    number, candidate = 2, name
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    return candidate


def walk_source(directory: str) -> tuple[dict[str, Found], list[str]]:
    """A source tree without version control, caches and environments in it; and what was left out."""
    skipped: list[str] = []

    def prune(path: str) -> bool:
        if posixpath.basename(path) in LEFT_OUT or os.path.lexists(os.path.join(directory, path, "pyvenv.cfg")):
            skipped.append(path)
            return True
        return False

    return walk(directory, prune=prune), skipped
