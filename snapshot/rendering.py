"""Templates to files: what each location-dependent file holds at a given destination."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError
from snapshot.substitution import record_value, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from snapshot.blueprint import Blueprint, Template


_RECORD = "record:"

#: What shell scripts, Python literals, `pyvenv.cfg` and PATH all take as it is.
_SAFE = re.compile(r"[^\0-\x1f\x7f\"'`$\\:\ud800-\udfff]+\Z")


class DestinationNameError(SnapshotError, ValueError):
    """A path that cannot stand in scripts and configuration files."""


class Rendering:
    """The values of all tokens at `destination`, and the files and links made with them. `base`: see docs/format.md."""

    def __init__(self, blueprint: Blueprint, destination: str, base: str | None) -> None:
        if not _SAFE.match(destination):
            raise DestinationNameError(
                f"{destination!r} cannot stand in scripts, pyvenv.cfg and PATH (quotes, colons, dollar signs, backslashes, "
                "control characters, bytes that are not UTF-8); choose another destination"
            )
        self._blueprint = blueprint
        home = base or os.path.join(destination, blueprint.base_mount).rstrip("/")
        self.values = {"prefix": destination.encode("utf-8"), "base": home.encode("utf-8", "surrogateescape")}
        for name, mount in blueprint.sources.items():
            self.values[f"source:{name}"] = os.path.join(destination, mount).encode("utf-8", "surrogateescape")
        self._inside = base is None

    def files(self, read: Callable[[Template], bytes]) -> Iterator[tuple[Template, bytes]]:
        """Each template with its bytes here; those that record others' digests come last."""
        for template in sorted(self._blueprint.templates, key=lambda item: item.is_record):
            mount = template.path.removesuffix(template.inner)
            # A RECORD names files of its own layer; here they are told apart by their whole path.
            at = tuple(
                (offset, f"{_RECORD}{mount}{token[len(_RECORD) :]}" if token.startswith(_RECORD) else token)
                for offset, token in template.at
            )
            data = render(read(template), at, self.values)
            if not template.is_record:
                self.values[_RECORD + template.path] = record_value(sha256(data).hexdigest(), len(data))
            yield template, data

    def links(self) -> Iterator[tuple[str, str]]:
        """Each link's path and target here. Links into the destination are relative: they survive a move of it."""
        for path, target, at in self._blueprint.links:
            if not at:
                yield path, target
                continue
            token = at[0][1]
            value = os.fsdecode(self.values[token]) + target
            root = os.fsdecode(self.values["prefix"])
            if token == "base" and not self._inside:  # noqa: S105 - a token of the format
                yield path, value
            else:
                yield path, os.path.relpath(value, os.path.dirname(os.path.join(root, path)))
