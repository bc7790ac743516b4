"""What a capture will read: one plan a layer, each a list of files with where they lie. Made by `survey`, read by `pack`."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snapshot.interpreter import Probe
    from snapshot.model import Finding, Kind
    from snapshot.ownership import Declared
    from snapshot.relocate import Places
    from snapshot.scan import Found


@dataclass(slots=True)
class Item:
    """One file, link or directory to capture. `path` is relative to the plan's root.

    `recorded` is the sha256 (hexadecimal) that RECORD has for it. `source` is the source's item when this is bytecode.
    `real` is where its bytes are when that is not the root: bytecode compiled by the capture, a file of the interpreter that is
    a link out of the base.
    """

    found: Found
    recorded: str | None = None
    source: Item | None = None
    real: bytes | None = None

    @property
    def path(self) -> str:
        return self.found.path


@dataclass(slots=True)
class Plan:
    """A layer to be. `root` is the directory that paths are relative to; `portable`: see `ownership.Installed`.

    `stored`: whether the layer goes into the store (the interpreter's is read for its digest in any case). `sources` is
    the plan that a bytecode plan belongs to. `claims` are files that another plan has and that RECORD here lists too.
    `declared`: of a distribution, what its own lists say.
    """

    kind: Kind
    name: str
    version: str | None
    mount: str
    root: str
    items: list[Item] = field(default_factory=list)
    portable: bool = False
    stored: bool = True
    sources: Plan | None = None
    claims: list[Item] = field(default_factory=list)
    declared: Declared | None = None

    def location(self, item: Item) -> bytes:
        return item.real or encode(f"{self.root}/{item.path}")

    @property
    def bytes(self) -> int:
        return sum(item.found.stat.st_size for item in self.items)


def located(mount: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings about paths below `mount` as findings about the environment."""
    if not mount:
        return tuple(findings)
    return tuple(replace(item, path=posixpath.join(mount, item.path)) for item in findings)


@dataclass(slots=True)
class Survey:
    """An environment as it was found: everything but the content of its files. Paths are absolute.

    `shared` has the files that several distributions claim, by root and path: the RECORD of each of them lists them.
    `excluded`: whether the capture was told to leave a path of the environment out (it is in no plan). `sites` are the directories
    that `site` puts on the path and searches for `.pth` files, relative to a restored environment, in Python's order.
    """

    prefix: str
    base: str
    python: str
    kind: str
    probe: Probe
    scripts: str
    system_site_packages: bool
    sources: dict[str, str]
    places: Places
    plans: list[Plan]
    shared: dict[tuple[str, str], tuple[Plan, Item]]
    findings: list[Finding]
    excluded: Callable[[str], bool]
    sites: tuple[str, ...] = ()

    @property
    def executable(self) -> str:
        """The base's executable relative to the base."""
        return posixpath.relpath(os.path.realpath(self.probe.executable), self.base)
