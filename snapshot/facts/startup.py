"""What Python runs or reads at every start: `.pth` files, sitecustomize and usercustomize."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from snapshot.facts.model import Module, StartupHook
from snapshot.pathfile import code_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.facts.listing import Listing

_CUSTOMIZE = ("sitecustomize", "usercustomize")
#: From these releases on `site` passes over a `.pth` whose name starts with a dot (python/cpython#113659), by minor version.
_WITHOUT_HIDDEN = {(3, 8): 19, (3, 9): 19, (3, 10): 14, (3, 11): 8, (3, 12): 2}


def hooks(listing: Listing, sites: Iterable[str], modules: Iterable[Module], version: str) -> tuple[StartupHook, ...]:
    """All hooks. `sites` are the directories that are searched for `.pth`, `modules` what imports find, `version` Python's."""
    found = [
        StartupHook(path, "pth", bool(code_lines(listing.read(path) or b"")), listing.owner(path))
        for site in sites
        for path in path_files(listing, site, version)
    ]
    found += [
        StartupHook(each.path, each.name, code=True, owner=each.owner) for each in modules if each.name in _CUSTOMIZE
    ]
    return tuple(sorted(found, key=lambda each: (each.path, each.kind)))


def path_files(listing: Listing, site: str, version: str) -> list[str]:
    """The `.pth` files of a site directory that Python reads, in its order."""
    names = sorted(name for name in listing.names(site) if name.endswith(".pth"))
    paths = [
        posixpath.join(site, name) for name in names if not (name.startswith(".") and _passes_over_hidden(version))
    ]
    return [path for path in paths if listing.is_file(path)]


def _passes_over_hidden(version: str) -> bool:
    major, minor, rest = [*version.split("."), "0", "0"][:3]
    micro = int("".join(character for character in rest[:2] if character.isdigit()) or 0)
    return micro >= _WITHOUT_HIDDEN.get((int(major), int(minor)), 0)
