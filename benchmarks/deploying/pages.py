"""The page cache and the disk between runs: bytecode is dropped from memory, what a run wrote is made small without being removed."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def drop_bytecode(roots: Iterable[Path]) -> int:
    """Ask the kernel to forget the content of every .pyc file below `roots`, so that it is read from the disk again. How many there are.

    What has not been written back stays in memory: call `os.sync` before.
    """
    count = 0
    for path in _files(roots):
        if path.endswith(".pyc"):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
            count += 1
    return count


def occupied(root: Path) -> tuple[int, int]:
    """How many regular files there are below `root`, and their bytes; one with several names counts once."""
    sizes = {_inode(path): os.lstat(path).st_size for path in _files([root])}
    return len(sizes), sum(sizes.values())


def release(root: Path) -> int:
    """Empty the files below `root` that have no link from elsewhere, and leave them there. Returns the bytes.

    Where many files were just removed, ext4 without a journal is slow for a minute; files that are only emptied give their space
    back and do not disturb what is measured next.
    """
    links = Counter(_inode(path) for path in _files([root]))
    freed = 0
    for path in _files([root]):
        status = os.lstat(path)
        if status.st_size and status.st_nlink == links[status.st_dev, status.st_ino]:
            os.chmod(path, 0o600)
            os.truncate(path, 0)
            freed += status.st_size
    return freed


def _inode(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _files(roots: Iterable[Path]) -> Iterator[str]:
    """All regular files, each by every name that it has."""
    for root in roots:
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    yield path
