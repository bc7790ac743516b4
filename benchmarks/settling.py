"""Removing what was measured without disturbing what is measured next."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Seconds for which ext4 without a journal does not use the inode of a removed file again, and a few more.
PAUSE = 65.0
#: So few files can go at once: looking past their inodes costs nothing that could be measured.
FEW = 300


class Settling:
    """Removes directories, and waits before a measurement until the file system has forgotten them.

    Where ext4 has no journal, it keeps the inodes of removed files for a minute, and every file that is created
    meanwhile has to be looked for a place past them: a copy of 20,000 files took 4 s instead of 0.6.
    """

    def __init__(
        self,
        pause: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause = pause
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._removed: float | None = None

    def clear(self, place: Path) -> None:
        """Remove a directory with everything in it. One that is not there is no error."""
        if os.path.lexists(place):
            remove_tree(place)
            os.sync()
            self._removed = self._clock()

    def settle(self) -> None:
        """Wait for what is left of the pause after the last removal."""
        if self._removed is None:
            return
        rest = self._removed + self._pause - self._clock()
        if rest > 0:
            self._say(f"waiting {rest:.0f} s for the file system to settle")
            self._sleep(rest)
        self._removed = None


def put_aside(path: Path, aside: Path) -> None:
    """Make room for the next run: few files are removed, many are moved to the directory `aside` by a rename."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or path.is_file() or (path.is_dir() and _is_small(path)):
        remove_tree(path)
    else:
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / f"{path.name}-{len(os.listdir(aside))}")


def _is_small(path: Path) -> bool:
    count = 0
    for _, directories, names in os.walk(path):
        count += len(directories) + len(names)
        if count > FEW:
            return False
    return True


def remove_tree(path: Path) -> None:
    """Remove a file or a directory with everything in it; directories may be read-only. One that is not there is no error."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o700)
    if path.exists():
        shutil.rmtree(path)
