"""Which sources some modules are imported from: so that only their bytecode is kept."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING

from snapshot import bytecode
from snapshot.errors import SnapshotError
from snapshot.facts.listing import Listing
from snapshot.facts.modules import search_path
from snapshot.model import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from snapshot.plan import Survey


class ImportsError(SnapshotError, ValueError):
    """Modules that cannot be kept the bytecode of."""


def check_imports(imports: Collection[str], bytecode: str) -> None:
    """Raises ImportsError for what is no collection of names, or for names whose bytecode is dropped."""
    if isinstance(imports, (str, bytes)) or not all(isinstance(name, str) for name in imports):
        raise ImportsError("imports: give a list of module names, such as ['sklearn.ensemble', 'pandas']")
    if bytecode == "drop":
        raise ImportsError("imports says which bytecode to keep, and bytecode='drop' keeps none: leave one of them out")


def sources_of(found: Survey, imports: Collection[str]) -> set[tuple[int, str]]:
    """The sources of the modules `imports` (dotted names) and of the packages that they lie in: the plan's `id`, and the path in it.

    A name is looked for on the search path as `site` makes it. One that is not there may come from a directory that a program or
    an import hook adds: then every directory that is no package is looked into. Names without a source (compiled, built in) are
    passed over.
    """
    wanted = {
        ".".join(parts[:end]) for parts in (name.split(".") for name in imports) for end in range(1, len(parts) + 1)
    }
    last = {name.rpartition(".")[2] for name in wanted}
    listing = Listing(found)
    path = set(search_path(listing, found))
    sources = {
        posixpath.join(plan.mount, item.path): (id(plan), item.path)
        for plan in found.plans
        if plan.stored and plan.kind is not Kind.BYTECODE
        for item in plan.items
        if item.path.endswith(".py") and not item.found.is_directory
    }
    at_top: dict[str, list[tuple[int, str]]] = defaultdict(list)
    elsewhere: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for full, source in sources.items():
        for directory, name in _names(full, last):
            if name not in wanted:
                continue
            if directory in path:
                at_top[name].append(source)
            elif f"{directory}/__init__.py" not in sources:
                elsewhere[name].append(source)
    return {source for name in wanted for source in (at_top.get(name) or elsewhere.get(name) or [])}


def _names(path: str, last: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each directory that a source could be imported from, and the name that it would have."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    if parts and parts[-1] in last:
        for start in range(len(parts)):
            yield "/".join(parts[:start]), ".".join(parts[start:])


def keep_only(found: Survey, sources: Collection[tuple[int, str]]) -> None:
    """Take all other bytecode out of the plans."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for owner, path in sources:
        wanted[owner].add(bytecode.cache_path(path, found.probe.cache_tag))
    for plan in found.plans:
        if plan.kind is Kind.BYTECODE:
            plan.items = [item for item in plan.items if item.path in wanted[id(plan.sources)]]
