"""A snapshot flattened for restoring: which directories, files, links and templates make it (`snapshot.flattening`).

Pure, but for JSON: a blueprint is kept in the node's cache, so that a warm restore reads one file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from snapshot.home import FIXED_MTIME

if TYPE_CHECKING:
    from snapshot.model import Entry

#: Raise it whenever a blueprint of the same snapshot would be another one.
_VERSION = 6


def file_time(sha256: str) -> int:
    """The modification time (nanoseconds) of a restored file: the fixed second, and a fraction made of its digest.

    Any write sets another time; so does copying another version over the file with its times kept, which a time that is
    the same for all files would not show. The fraction has microseconds only: not every file system keeps more, and as a
    float, which is how Python compares a source's time with its bytecode's, the last nanoseconds round up to the next second.
    """
    return FIXED_MTIME * 1_000_000_000 + int(sha256[:12], 16) % 1_000_000 * 1_000


class Template(NamedTuple):
    """A file to write: its place, where its template lies in the cache, and what goes in."""

    path: str
    mode: int
    tree: str
    inner: str
    sha256: str
    at: tuple[tuple[int, str], ...]

    @property
    def is_record(self) -> bool:
        return any(token.startswith("record:") for _, token in self.at)


class Files(NamedTuple):
    """The files of one layer that are the same everywhere, in columns: JSON reads these in half the time of rows.

    `times` are modification times in nanoseconds. `directories` are those that no other layer needs, by their whole path, parents
    first: they can be made together with the files.
    """

    tree: str
    mount: str
    paths: list[str]
    modes: list[int]
    sizes: list[int]
    times: list[int]
    directories: list[str]

    def add(self, entry: Entry) -> None:
        self.paths.append(entry.path)
        self.modes.append(entry.mode)
        self.sizes.append(entry.size)
        self.times.append(file_time(entry.sha256))

    def only(self, paths: set[str]) -> Files:
        """The same for some of the files."""
        kept = [number for number, path in enumerate(self.paths) if path in paths]
        return Files(
            self.tree,
            self.mount,
            [self.paths[number] for number in kept],
            [self.modes[number] for number in kept],
            [self.sizes[number] for number in kept],
            [self.times[number] for number in kept],
            self.directories,
        )


@dataclass(slots=True)
class Blueprint:
    """What `restore` follows: everything but digests, which it needs only for layers that it has to unpack or to read whole.

    `origin` is the base that the environment was captured with, which may exist here too.
    """

    snapshot: str
    parity_root: str
    kind: str
    base_mount: str
    bytecode: str
    cache_tag: str
    captured: bool
    executable: str
    implementation: str
    version: str
    soabi: str
    platform: str
    origin: str | None
    sources: dict[str, str]
    directories: list[str] = field(default_factory=list)
    read_only: list[str] = field(default_factory=list)
    files: list[Files] = field(default_factory=list)
    links: list[tuple[str, str, tuple[tuple[int, str], ...]]] = field(default_factory=list)
    templates: list[Template] = field(default_factory=list)

    def encode(self) -> bytes:
        row = {name: getattr(self, name) for name in Blueprint.__slots__}
        return json.dumps({"format": _VERSION, **row}, separators=(",", ":")).encode("ascii")

    @classmethod
    def decode(cls, data: bytes, snapshot: str) -> Blueprint | None:
        """None when the bytes are no blueprint of `snapshot` that this code wrote: then it is made anew."""
        try:
            row = json.loads(data)
            if row.pop("format") != _VERSION or row["snapshot"] != snapshot:
                return None
            row["templates"] = [_template(item) for item in row["templates"]]
            row["files"] = [Files(*item) for item in row["files"]]
            made = cls(**row)
            return made if made.stays_inside() else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def stays_inside(self) -> bool:
        """Whether no path leaves the destination. `blueprint_of` saw to it, but a store may come with somebody else's cache."""
        paths = [self.executable, *self.directories, *self.read_only, *(link[0] for link in self.links)]
        paths += [part for part in (self.base_mount, self.cache_tag, *self.sources.values()) if part]
        for files in self.files:
            paths += [files.mount, *files.paths] if files.mount else files.paths
            paths += files.directories
        for template in self.templates:
            paths += (template.path, template.inner)
        # In one piece: one by one, twelve thousand paths take ten times as long.
        joined = "/" + "/\0/".join(paths) + "/"
        return joined.count("\0") == len(paths) - 1 and not re.search(r"/\.{0,2}/", joined)

    @property
    def python(self) -> str:
        """The interpreter of the restored environment, relative to it."""
        return self.executable if self.kind == "base" else "bin/python"

    def layers(self) -> set[str]:
        """The trees of the layers that files or templates come from."""
        return {files.tree for files in self.files} | {item.tree for item in self.templates}

    def needs_compiling(self) -> list[str]:
        """Sources that are written anew in each place and whose bytecode has to be made there."""
        if self.bytecode == "none":
            return []
        return [
            item.path
            for item in self.templates
            if item.path.endswith(".py") and (self.bytecode == "compiled" or not item.path.startswith("bin/"))
        ]


def _template(row: list[Any]) -> Template:
    path, mode, tree, inner, sha256, at = row
    return Template(path, mode, tree, inner, sha256, tuple((offset, token) for offset, token in at))
