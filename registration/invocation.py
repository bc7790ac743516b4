"""What every subcommand shares: which store, and whether tracebacks are wanted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapshot.store import Store


class Invocation:
    """One run of the command. The store is opened when a subcommand asks for it."""

    def __init__(
        self, where: str | None = None, *, cache: str | None = None, chosen: bool = False, debug: bool = False
    ) -> None:
        """`chosen`: whether `where` was given for this very run, and not by the environment variable."""
        self.where = where
        self.cache = cache
        self.chosen = chosen
        self.debug = debug

    @property
    def store_path(self) -> str:
        """The store that was named, or the one in the user's data directory."""
        if self.where is None:
            import platformdirs

            self.where = os.path.join(platformdirs.user_data_dir("envparity"), "store")
        return self.where

    @property
    def named(self) -> str:
        """The store as `--store` has it in a command that somebody is told to run; empty when it need not be said."""
        return os.path.abspath(self.store_path) if self.chosen else ""

    @property
    def store(self) -> Store:
        from snapshot.store import Store

        return Store(self.store_path, cache=self.cache)
