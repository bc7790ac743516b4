"""The search path, and what each import finds on it: computed from the files, without running anything of the environment.

As `site` and importlib do it (CPython's Lib/site.py and FileFinder in Lib/importlib/_bootstrap_external.py): a package before a compiled
module before a source before bytecode, directory by directory. Import hooks that a `.pth` line installs are not followed, but for the
finders that setuptools writes for editable installs: that such a line is there is a fact of its own (`snapshot.facts.startup`).
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import zipfile
from typing import TYPE_CHECKING

from snapshot.facts.model import PYTHON, Module
from snapshot.facts.startup import path_files
from snapshot.pathfile import path_lines
from snapshot.scan import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from snapshot.facts.listing import Listing
    from snapshot.plan import Survey

#: The path of a module that is part of the executable, as importlib calls it.
BUILT_IN = "built-in"
_SOURCES = (".py", ".pyc")
_FINDER = re.compile(r"__editable___.*_finder\.py\Z", re.DOTALL)


def search_path(listing: Listing, found: Survey) -> tuple[str, ...]:
    """`sys.path` without what a process adds (its script's directory, PYTHONPATH, a user's own site directory)."""
    path = dict.fromkeys(map(listing.relative, found.probe.path))
    for site in found.sites:
        path.setdefault(site)
        directory = listing.absolute(site)
        for file in path_files(listing, site, found.probe.version):
            for line in path_lines(listing.read(file) or b""):
                added = os.path.join(directory, line)
                if os.path.exists(encode(added)):
                    path.setdefault(listing.relative(added))
                elif listing.relative(added).startswith("/"):
                    listing.looked_outside = True  # it can come to be there, and no plan would tell
    return tuple(path)


def modules(listing: Listing, found: Survey, path: Sequence[str]) -> tuple[Module, ...]:
    """Every module at the top of the search path `path`, or one step below a namespace package of the environment."""
    suffixes = (*found.probe.extensions, *_SOURCES)
    candidates: dict[str, list[str]] = {name: [BUILT_IN] for name in found.probe.built_in}
    _Finder(listing, suffixes, candidates).look("", path)
    for name, file in _editable(listing, found.sites, suffixes):
        candidates.setdefault(name, []).append(file)
    return tuple(
        Module(name, first, PYTHON if first == BUILT_IN else listing.owner(first), tuple(dict.fromkeys(rest)))
        for name, (first, *rest) in sorted(candidates.items())
    )


class _Finder:
    """Gathers, by module, the files that an import could take, the one that it takes first."""

    def __init__(self, listing: Listing, suffixes: Sequence[str], found: dict[str, list[str]]) -> None:
        self._listing = listing
        self._suffixes = suffixes
        self._found = found

    def look(self, package: str, directories: Iterable[str]) -> None:
        """Look through the directories of a package, or of the search path when it is empty."""
        portions: dict[str, list[str]] = {}
        for directory in directories:
            if not self._listing.names(directory):
                self._archive(package, directory)
                continue
            for name, files, below in self._entries(directory):
                if files:
                    self._found.setdefault(package + name, []).extend(files)
                elif below is not None:
                    portions.setdefault(name, []).append(below)
        for name, below_it in sorted(portions.items()):
            if package + name not in self._found:
                self.look(f"{package}{name}.", below_it)

    def _entries(self, directory: str) -> Iterator[tuple[str, list[str], str | None]]:
        """Name, files in the order of precedence, and the directory that may be a part of a namespace package."""
        names = self._listing.names(directory)
        ranked: dict[str, list[tuple[int, str]]] = {}
        for entry in names:
            for rank, suffix in enumerate(self._suffixes):
                name = entry[: -len(suffix)]
                if entry.endswith(suffix) and name and "." not in name:
                    ranked.setdefault(name, []).append((rank, posixpath.join(directory, entry)))
        for name in {entry for entry in names if "." not in entry and entry != "__pycache__"} | ranked.keys():
            inner = posixpath.join(directory, name)
            inside = self._listing.names(inner) if name in names else set()
            files = [posixpath.join(inner, f"__init__{end}") for end in self._suffixes if f"__init__{end}" in inside]
            files += [path for _, path in sorted(ranked.get(name, ()))]
            # Not outside of the environment: a `.pth` may name the root of the file system.
            below = inner if inside and name.isidentifier() and not inner.startswith("/") else None
            yield name, list(filter(self._listing.is_file, files)), below

    def _archive(self, package: str, path: str) -> None:
        """What zipimport finds in an archive on the search path. Archives are looked into at the top only."""
        if package or not os.path.isfile(location := encode(self._listing.absolute(path))):
            return
        self._listing.looked_outside = True
        try:
            with zipfile.ZipFile(os.fsdecode(location)) as archive:
                members = set(archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return  # Python passes over it too
        for end in ("/__init__.pyc", "/__init__.py", ".pyc", ".py"):
            for member in sorted(members):
                name = member.removesuffix(end)
                if name and name != member and "/" not in name and "." not in name:
                    self._found.setdefault(name, []).append(posixpath.join(path, member))


def _editable(listing: Listing, sites: Iterable[str], suffixes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Top-level modules and their files as the finders of editable installs (PEP 660, setuptools) have them."""
    for site in sites:
        for finder in sorted(filter(_FINDER.match, listing.names(site))):
            for name, directory in sorted(_mapping(listing.read(posixpath.join(site, finder)) or b"").items()):
                path = listing.relative(directory)
                ends = ("/__init__.py", *suffixes)
                file = next((path + end for end in ends if listing.is_file(path + end)), None)
                if file is not None and "." not in name:
                    yield name, file


def _mapping(source: bytes) -> dict[str, str]:
    """The literal that a finder's module assigns to MAPPING."""
    try:
        tree = ast.parse(decode(source))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "MAPPING" for target in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict):
                return {
                    key.value: item.value
                    for key, item in zip(value.keys, value.values, strict=True)
                    if isinstance(key, ast.Constant)
                    and isinstance(item, ast.Constant)
                    and isinstance(key.value, str)
                    and isinstance(item.value, str)
                }
    return {}
