"""A snapshot flattened for restoring: which directories, files, links and templates make it, and that none of it can
reach outside. Pure, but for JSON: a blueprint is kept in the node's cache, so that a warm restore reads one file.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from snapshot.errors import SnapshotError
from snapshot.model import FIXED_MTIME, HOME, MODEL_LAYERS, PYTHON_MOUNT, SOURCE_MOUNT, Digest, Kind, is_note
from snapshot.relocate import UnknownTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snapshot.model import Entry, Layer, Snapshot, Tree

#: Raise it whenever a blueprint of the same snapshot would be another one.
_VERSION = 5


class UnsafeSnapshotError(SnapshotError, ValueError):
    """A snapshot that would write outside of the destination, or two things to one place. Nothing is restored."""


def file_time(sha256: str) -> int:
    """The modification time (nanoseconds) of a restored file: the fixed second, and a fraction made of its digest.

    Any write sets another time; so does copying another version over the file with its times kept, which a time that is
    the same for all files would not show. The fraction has microseconds only: not every file system keeps more, and as a
    float, which is how Python compares a source's time with its bytecode's, the last nanoseconds round up to the next second.
    """
    return FIXED_MTIME * 1_000_000_000 + int(sha256[:12], 16) % 1_000_000 * 1_000


@dataclass(frozen=True, slots=True)
class Template:
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

    `times` are modification times in nanoseconds.
    """

    tree: str
    mount: str
    paths: list[str]
    modes: list[int]
    sizes: list[int]
    times: list[int]

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
        row["templates"] = [[getattr(item, name) for name in Template.__slots__] for item in self.templates]
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
        for template in self.templates:
            paths += (template.path, template.inner)
        # In one piece: one by one, twelve thousand paths take ten times as long.
        joined = "/" + "/\0/".join(paths) + "/"
        return joined.count("\0") == len(paths) - 1 and not any(name in joined for name in ("//", "/./", "/../"))

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


def blueprint_of(
    snapshot_id: Digest, snapshot: Snapshot, trees: Mapping[Digest, Tree], origin: str | None = None
) -> Blueprint:
    """Flatten `snapshot`; `origin` is its record's base. Raises UnsafeSnapshotError naming what is wrong."""
    made = Blueprint(
        snapshot=snapshot_id,
        parity_root=snapshot.parity_root,
        kind=snapshot.environment.kind,
        base_mount=snapshot.environment.base_mount,
        bytecode=snapshot.environment.bytecode,
        cache_tag=snapshot.interpreter.cache_tag,
        captured=snapshot.interpreter.captured,
        executable=snapshot.interpreter.executable,
        implementation=snapshot.interpreter.implementation,
        version=snapshot.interpreter.version,
        soabi=snapshot.interpreter.soabi,
        platform=snapshot.interpreter.platform,
        origin=origin,
        sources=dict(snapshot.environment.sources),
    )
    check = _Check(snapshot)
    for layer in snapshot.layers:
        check.mount(layer)
        files = Files(layer.tree, layer.mount, [], [], [], [])
        for entry in trees[layer.tree]:
            path = posixpath.join(layer.mount, entry.path)
            check.entry(path, entry, layer)
            _add(made, files, path, entry)
        if files.paths:
            made.files.append(files)
    made.directories = check.finish()
    check.tokens(made.templates)
    return made


def _add(made: Blueprint, files: Files, path: str, entry: Entry) -> None:
    if entry.type == "d":
        if entry.mode != 0o755:
            made.read_only.append(path)
    elif entry.type == "l":
        made.links.append((path, entry.target, entry.at))
    elif entry.at:
        made.templates.append(Template(path, entry.mode, files.tree, entry.path, entry.sha256, entry.at))
    else:
        files.add(entry)


class _Check:
    """Sees every path of a snapshot and refuses what could write outside of the destination, or to one place twice."""

    def __init__(self, snapshot: Snapshot) -> None:
        environment = snapshot.environment
        self._mounts = {"", environment.base_mount, *dict(environment.sources).values()}
        for mount in self._mounts:
            if mount not in ("", PYTHON_MOUNT) and posixpath.dirname(mount) != SOURCE_MOUNT:
                raise UnsafeSnapshotError(f"the snapshot puts files into {mount!r}, which the format does not have")
        self._tokens = {"prefix", "base", *(f"source:{name}" for name, _ in environment.sources)}
        self._leaves: dict[str, str] = {}
        self._directories: set[str] = set()
        self._models: set[str] = set()

    def mount(self, layer: Layer) -> None:
        if layer.kind is Kind.MODEL:
            # It does not count in the parity root: it must not reach what does.
            if MODEL_LAYERS.get(layer.name) != layer.mount or layer.name in self._models:
                raise UnsafeSnapshotError(
                    f"layer {layer.label}: a model has one layer 'model' and one 'notes', and none in {layer.mount!r}"
                )
            self._models.add(layer.name)
        elif layer.mount not in self._mounts:
            raise UnsafeSnapshotError(f"layer {layer.label}: unknown mount {layer.mount!r}")

    def entry(self, path: str, entry: Entry, layer: Layer) -> None:
        if layer.mount == "" and (entry.path == HOME or entry.path.startswith(HOME + "/")):
            raise UnsafeSnapshotError(f"layer {layer.label}: {entry.path!r} lies where envparity keeps its own files")
        if layer.kind is Kind.MODEL:
            self._of_model(entry, layer)
        if entry.type == "d":
            self._directories.add(path)
        elif path in self._leaves:
            raise UnsafeSnapshotError(f"two layers have {path!r}: {self._leaves[path]} and {layer.label}")
        else:
            self._leaves[path] = layer.label
        parent = path.rpartition("/")[0]
        while parent and parent not in self._directories:
            self._directories.add(parent)
            parent = parent.rpartition("/")[0]
        if entry.type == "l":
            self._link(path, entry, layer)

    @staticmethod
    def _of_model(entry: Entry, layer: Layer) -> None:
        """Files that are the same everywhere, and links among them; of notes, nothing but files of their own."""
        if entry.at or entry.outside or (entry.type == "l" and leads_out(entry.path, entry.target)):
            raise UnsafeSnapshotError(f"layer {layer.label}: {entry.path!r} leads out of the model")
        if layer.mount == HOME and not (entry.type == "f" and is_note(entry.path)):
            raise UnsafeSnapshotError(f"layer {layer.label}: {entry.path!r} is no note")

    def _link(self, path: str, entry: Entry, layer: Layer) -> None:
        if entry.at:
            if len(entry.at) != 1 or entry.at[0][0] != 0 or entry.at[0][1] not in self._tokens:
                raise UnsafeSnapshotError(
                    f"layer {layer.label}: the link {path!r} has substitutions that no link has: {entry.at!r}"
                )
            # The target is what follows the directory that is put in.
            out = bool(entry.target) and (entry.target[0] != "/" or leads_out("", entry.target[1:]))
        else:
            out = leads_out(path, entry.target)
        if out and not entry.outside:
            raise UnsafeSnapshotError(f"layer {layer.label}: the link {path!r} leads out of the environment")

    def finish(self) -> list[str]:
        """Every directory, parents first."""
        through = sorted(self._directories & self._leaves.keys())
        if through:
            raise UnsafeSnapshotError(
                f"layer {self._leaves[through[0]]}: {through[0]!r} is a file or link, and a directory elsewhere"
            )
        return sorted(self._directories)

    def tokens(self, templates: list[Template]) -> None:
        """Whether everything that goes into templates will be there."""
        written = {template.path for template in templates if not template.is_record}
        for template in templates:
            mount = template.path.removesuffix(template.inner)
            for _, token in template.at:
                if token.startswith("record:"):
                    known = mount + token.removeprefix("record:") in written
                else:
                    known = token.removesuffix("+url") in self._tokens
                if not known:
                    raise UnknownTokenError(
                        f"{template.path!r} depends on {token!r}, which the snapshot does not have; capture it again"
                    )


def leads_out(path: str, target: str) -> bool:
    """Whether a link at `path` (relative to the destination) names something outside of it."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or joined == ".." or joined.startswith("../")
