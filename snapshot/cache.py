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
from snapshot.scratch import away_from, scratch, sweep
from snapshot.store.area import remove
from snapshot.store.cached import replace_cached

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from snapshot.digest import Digest


class LayerCache:
    """The directories `layers/HEX` and the files `blueprints/HEX.json` under `directory`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._layers = os.path.join(self.directory, "layers")
        self._blueprints = os.path.join(self.directory, "blueprints")

    def layer(self, tree: str) -> str:
        """Where a layer lies, by the digest of its tree: every file is compared with the tree when it is unpacked, so no
        other snapshot can put something else there.
        """
        return os.path.join(self._layers, tree.removeprefix("sha256:"))

    def has(self, tree: str) -> bool:
        return os.path.isdir(self.layer(tree))

    def add(self, tree: str, unpack: Callable[[str], None]) -> None:
        """Make the layer by `unpack(directory)`. Whoever is first wins; a process killed meanwhile leaves nothing valid."""
        os.makedirs(self._layers, exist_ok=True)
        with scratch(self._layers) as fresh:
            os.chmod(fresh, 0o755)  # whatever the umask is: nobody else changes what lies in it
            unpack(fresh)
            self._enter(fresh, tree)

    def replace(self, tree: str, unpack: Callable[[str], None]) -> None:
        """Make the layer anew in place of a damaged one: what shares its inodes is left as it is."""
        with scratch(self._layers) as fresh, scratch(self._layers) as old:
            os.chmod(fresh, 0o755)
            unpack(fresh)
            # Another process may have removed it, or may be doing the same.
            with suppress(FileNotFoundError):
                os.rename(self.layer(tree), os.path.join(old, "layer"))
            self._enter(fresh, tree)

    def _enter(self, fresh: str, tree: str) -> None:
        try:
            os.rename(fresh, self.layer(tree))
        except OSError as error:
            # Another process has made the same layer meanwhile, and that is as good.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def blueprint(self, snapshot: Digest) -> Blueprint | None:
        try:
            with open(self._blueprint_path(snapshot), "rb") as file:
                # It says what is run, and which digests templates have: anybody else's is made anew from the store.
                if os.fstat(file.fileno()).st_uid not in {0, os.geteuid()}:
                    return None
                return Blueprint.decode(file.read(), snapshot)
        except FileNotFoundError:
            return None

    def keep(self, blueprint: Blueprint) -> None:
        replace_cached(self._blueprint_path(blueprint.snapshot), blueprint.encode())

    def _blueprint_path(self, snapshot: str) -> str:
        return os.path.join(self._blueprints, snapshot.removeprefix("sha256:") + ".json")

    def forgettable(self, keep: Collection[str]) -> list[str]:
        """The names of the layers whose tree is not in `keep`."""
        with suppress(FileNotFoundError):
            return [name for name in os.listdir(self._layers) if len(name) == 64 and f"sha256:{name}" not in keep]
        return []

    def forget(self, keep: Collection[str]) -> int:
        """Remove the layers whose tree is not in `keep`; return how many. What was linked from them stays whole.

        The blueprints of snapshots that are not in `keep` go too.
        """
        removed = 0
        for name in self.forgettable(keep):
            # Out of the way by one rename, so that no restore finds half a layer; and where `sweep` finds what is left if this is
            # ended. It takes no room: the disk may be full, and this may be what frees it.
            with suppress(FileNotFoundError):
                away = away_from(os.path.join(self._layers, name))
                removed += 1
                # A sweep may be faster, and another user's files are theirs to remove: what is left goes with the next one.
                with suppress(OSError):
                    remove(away)
        with suppress(FileNotFoundError):
            for name in os.listdir(self._blueprints):
                if name.endswith(".json") and f"sha256:{name.removesuffix('.json')}" not in keep:
                    remove(os.path.join(self._blueprints, name))
        return removed

    def sweep(self) -> int:
        """Remove what killed processes left; return how many scratch directories that was."""
        return sweep(self._layers) if os.path.isdir(self._layers) else 0
