"""The files of a survey under the paths that they have in a restored environment: who owns each, where it lies, what is in a directory."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING

from snapshot.facts.model import PYTHON
from snapshot.home import PYTHON_MOUNT
from snapshot.model import Kind
from snapshot.scan import decode, encode, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.plan import Item, Plan, Survey


class Listing:
    """Made from the plans: what a capture leaves out is not in it."""

    def __init__(self, found: Survey) -> None:
        self._survey = found
        self._files: dict[str, tuple[Plan, Item]] = {}
        self._children: dict[str, set[str]] = {"": set()}
        for plan in found.plans:
            if plan.kind is Kind.BYTECODE:
                continue
            lead = f"{plan.mount}/" if plan.mount else ""
            for item in plan.items:
                if not item.found.is_directory:
                    self._files[lead + item.path] = plan, item
        for path in self._files:
            self._enter(path)
        declared = [(plan.declared.editable, plan.name) for plan in found.plans if plan.declared is not None]
        editable = {os.path.realpath(directory): name for directory, name in declared if directory}
        self._sources = {
            name: editable.get(os.path.realpath(directory), "") for name, directory in found.sources.items()
        }
        #: Whether something was looked at that no plan has: then equal plans do not mean equal facts.
        self.looked_outside = False

    def _enter(self, path: str) -> None:
        while path:
            parent, _, name = path.rpartition("/")
            if parent in self._children:
                self._children[parent].add(name)
                return
            self._children[parent] = {name}
            path = parent

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def owner(self, path: str) -> str:
        """The distribution that a file belongs to, `python` for the interpreter's own, empty for anything else.

        The files of an editable install belong to its distribution.
        """
        plan, _ = self._files.get(self._resolved(path), (None, None))
        if plan is None:
            return ""
        if plan.kind is Kind.SOURCE:
            return self._sources.get(plan.name, "")
        return {Kind.DISTRIBUTION: plan.name, Kind.INTERPRETER: PYTHON}.get(plan.kind, "")

    def location(self, path: str) -> bytes:
        """Where a file lies now."""
        plan, item = self._files[path]
        return plan.location(item)

    def relative(self, path: str) -> str:
        """An absolute path as a restored environment has it; what lies outside stays absolute."""
        for spelling in (os.path.realpath(path), os.path.normpath(path)):
            inside = self._survey.places.split(spelling)
            if inside is not None:
                place, rest = inside
                mount = PYTHON_MOUNT if place.mount is None else place.mount
                return posixpath.join(mount, rest.strip("/")).rstrip("/")
        return os.path.normpath(path)

    def absolute(self, path: str) -> str:
        """The reverse."""
        if path.startswith("/"):
            return path
        best = ("", self._survey.places.places[0])
        for place in self._survey.places.places:
            mount = PYTHON_MOUNT if place.mount is None else place.mount
            if (path == mount or path.startswith(mount + "/")) and len(mount) > len(best[0]):
                best = mount, place
        return posixpath.join(best[1].spellings[-1], path[len(best[0]) :].strip("/"))

    def names(self, directory: str) -> set[str]:
        """What is in a directory; nothing where it is none. Outside of the environment the disk is asked."""
        inside = self._children.get(directory)
        if inside is not None:
            return inside
        if directory.startswith("/"):
            return self._outside(directory)
        target = self._target(directory)
        return set() if target is None else self.names(target)

    def _target(self, path: str) -> str | None:
        """Where a link leads in the end; None for anything else."""
        known = self._files.get(path)
        if known is None or not known[1].found.is_link:
            return None
        real = self.relative(os.path.realpath(os.fsdecode(self.location(path))))
        return real if real != path else None

    def _resolved(self, path: str) -> str:
        """The path of a file whose directory is a link, without that link."""
        directory, name = posixpath.split(path)
        target = None if path in self._files else self._target(directory)
        return path if target is None else posixpath.join(target, name)

    def _outside(self, directory: str) -> set[str]:
        self.looked_outside = True
        try:
            return {decode(name) for name in os.listdir(encode(directory))}
        except OSError:  # no directory, or not to be read: Python finds nothing in it either
            return set()

    def is_link(self, path: str) -> bool:
        return self._files[path][1].found.is_link

    def is_file(self, path: str) -> bool:
        """Whether Python would take `path` for a file: links are followed."""
        path = self._resolved(path)
        known = self._files.get(path)
        if known is not None:
            return known[1].found.is_file or os.path.isfile(self.location(path))
        return path.startswith("/") and os.path.isfile(encode(path))

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none, or nothing that can be read as one."""
        return read_regular(self.location(path)) if path in self._files else None
