"""Unpacked layers on this node, which restores link from: checked before they are handed on, and healed.

A cached file shares its inode with every environment it was linked into, so an edit there changes it here. Its size, mode and
modification time (`blueprint.file_time`: it depends on the content) are compared at each use; what an edit that
forges all three would hide, `verify="full"` finds by reading every byte.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from snapshot.blueprint import Blueprint
from snapshot.scan import encode
from snapshot.scratch import scratch, sweep
from snapshot.store.area import remove
from snapshot.store.cached import replace_cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from snapshot.model import Digest


class LayerCache:
    """The directories `layers/HEX` and the files `blueprints/HEX.json` under `directory`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._layers = os.path.join(self.directory, "layers")
        self._blueprints = os.path.join(self.directory, "blueprints")

    def layer(self, diff_id: str) -> str:
        return os.path.join(self._layers, diff_id.removeprefix("sha256:"))

    def has(self, diff_id: str) -> bool:
        return os.path.isdir(self.layer(diff_id))

    def add(self, diff_id: str, unpack: Callable[[str], None]) -> None:
        """Make the layer by `unpack(directory)`. Whoever is first wins; a process killed meanwhile leaves nothing valid."""
        os.makedirs(self._layers, exist_ok=True)
        with scratch(self._layers) as tree:
            unpack(tree)
            try:
                os.rename(tree, self.layer(diff_id))
            except OSError as error:
                # Another process has made the same layer meanwhile, and that is as good.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise

    def heal(self, diff_id: str, paths: list[str], unpack: Callable[[str], None]) -> None:
        """Replace damaged files by fresh ones: new inodes, so what shares the damaged ones is left as it is."""
        with scratch(self._layers) as tree:
            unpack(tree)
            for path in paths:
                target = os.path.join(encode(self.layer(diff_id)), encode(path))
                if os.path.isdir(target) and not os.path.islink(target):
                    remove(os.fsdecode(target))
                _make_parents(os.path.dirname(target), stop=encode(self.layer(diff_id)))
                os.replace(os.path.join(encode(tree), encode(path)), target)

    def blueprint(self, snapshot: Digest) -> Blueprint | None:
        try:
            with open(self._blueprint_path(snapshot), "rb") as file:
                return Blueprint.decode(file.read(), snapshot)
        except FileNotFoundError:
            return None

    def keep(self, blueprint: Blueprint) -> None:
        replace_cached(self._blueprint_path(blueprint.snapshot), blueprint.encode())

    def _blueprint_path(self, snapshot: str) -> str:
        return os.path.join(self._blueprints, snapshot.removeprefix("sha256:") + ".json")

    def forget(self, keep: set[str]) -> int:
        """Remove the layers whose diff_id is not in `keep`; return how many. What was linked from them stays whole."""
        removed = 0
        with suppress(FileNotFoundError):
            for name in os.listdir(self._layers):
                if f"sha256:{name}" not in keep and len(name) == 64:
                    # Out of the way by one rename, so that no restore finds half a layer.
                    with scratch(self._layers) as tree:
                        os.rename(os.path.join(self._layers, name), os.path.join(tree, name))
                    removed += 1
        if removed:
            remove(self._blueprints)
        return removed

    def sweep(self) -> int:
        """Remove what killed processes left; return how many scratch directories that was."""
        return sweep(self._layers) if os.path.isdir(self._layers) else 0


def _make_parents(directory: bytes, stop: bytes) -> None:
    if directory != stop and not os.path.isdir(directory):
        _make_parents(os.path.dirname(directory), stop)
        with suppress(FileNotFoundError):
            os.unlink(directory)
        os.mkdir(directory, 0o755)
