"""A snapshot to its blueprint. Whatever could write outside of the destination, or to one place twice, is refused. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from snapshot.blueprint import Blueprint, Files, Template
from snapshot.errors import SnapshotError
from snapshot.home import HOME, PYTHON_MOUNT, SOURCE_MOUNT
from snapshot.model import MODEL_LAYERS, Kind, is_note
from snapshot.substitution import UnknownTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snapshot.digest import Digest
    from snapshot.model import Entry, Layer, Snapshot, Tree


class UnsafeSnapshotError(SnapshotError, ValueError):
    """A snapshot that would write outside of the destination, or two things to one place. Nothing is restored."""


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
    found: dict[Layer, Files] = {}
    for layer in snapshot.layers:
        check.mount(layer)
        files = Files(layer.tree, layer.mount, [], [], [], [], [])
        for entry in trees[layer.tree]:
            path = posixpath.join(layer.mount, entry.path)
            check.entry(path, entry, layer)
            _add(made, files, path, entry)
        if files.paths:
            made.files.append(files)
            found[layer] = files
    for path, only in check.finish():
        made.directories.append(path)
        if only is not None and only in found:
            found[only].directories.append(path)
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
        # Each with the layer that needs it; None: several do.
        self._directories: dict[str, Layer | None] = {}
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
            self._needed(path, layer)
        elif path in self._leaves:
            raise UnsafeSnapshotError(f"two layers have {path!r}: {self._leaves[path]} and {layer.label}")
        else:
            self._leaves[path] = layer.label
        self._needed(path.rpartition("/")[0], layer)
        if entry.type == "l":
            self._link(path, entry, layer)

    def _needed(self, path: str, layer: Layer) -> None:
        """A directory and all above it, up to one of which nothing new is learnt: what is above that was seen with it."""
        while path:
            seen = path in self._directories
            if seen and (self._directories[path] is None or self._directories[path] is layer):
                return
            self._directories[path] = None if seen else layer
            path = path.rpartition("/")[0]

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

    def finish(self) -> list[tuple[str, Layer | None]]:
        """Every directory, parents first, with the only layer that needs it."""
        through = sorted(self._directories.keys() & self._leaves.keys())
        if through:
            raise UnsafeSnapshotError(
                f"layer {self._leaves[through[0]]}: {through[0]!r} is a file or link, and a directory elsewhere"
            )
        return sorted(self._directories.items(), key=lambda item: item[0])

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
