"""Directories under construction: beside the place they will have, gone when their process is.

A scratch directory holds a lock; one whose lock is free was left by a killed process, and whoever comes next removes it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from snapshot.store.locking import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"\.envparity-[0-9a-f]{16}\Z")
_LOCK = "lock"

#: Where the file system has no locks: how old (seconds) a scratch directory is when nobody can be using it.
STALE = 24 * 3600.0


@contextmanager
def scratch(parent: str) -> Iterator[str]:
    """An empty directory in a new scratch directory under `parent`. Move it away to keep it."""
    sweep(parent)
    path, fd = _new(parent)
    try:
        inner = os.path.join(path, "tree")
        os.mkdir(inner)
        yield inner
    finally:
        _clear(path)
        os.close(fd)


def _new(parent: str) -> tuple[str, int]:
    while True:
        path = os.path.join(parent, f".envparity-{os.urandom(8).hex()}")
        os.mkdir(path)
        # Whoever sweeps between these steps removes the directory again: then another one is made.
        with suppress(FileNotFoundError):
            fd = _claim(path)
            if fd is not None:
                return path, fd


def sweep(parent: str) -> int:
    """Remove the scratch directories under `parent` that nobody holds; return how many."""
    count = 0
    for name in os.listdir(parent):
        if _NAME.match(name):
            # Somebody else's, or just gone: no reason to stop whoever wants to write here.
            with suppress(OSError):
                count += _sweep_one(os.path.join(parent, name))
    return count


def _sweep_one(path: str) -> bool:
    fd = _claim(path, newest=time.time() - STALE)
    if fd is None:
        return False
    try:
        _clear(path)
    finally:
        os.close(fd)
    return True


def _claim(path: str, newest: float | None = None) -> int | None:
    """Take the lock of the scratch directory at `path`. None: its owner is alive, or it was removed meanwhile.

    Without locks it is free for its maker (`newest` is None), and for a sweeper when it is older than `newest`.
    """
    age = os.stat(path).st_mtime
    lock = os.path.join(path, _LOCK)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        got = try_lock(fd)
        mine = (newest is None or age < newest) if got is None else got
        # The lock counts only while the file is the one that others find under this name.
        if mine and os.path.samestat(os.fstat(fd), os.stat(lock)):
            kept, fd = fd, -1
            return kept
        return None
    finally:
        if fd >= 0:
            os.close(fd)


def _clear(path: str) -> None:
    """Remove a scratch directory, its lock last: until then nobody else touches it."""
    for name in os.listdir(path):
        if name != _LOCK:
            remove_tree(os.path.join(path, name))
    # A sweeper may have taken the place of the lock by now: then the rest is its work.
    with suppress(OSError):
        os.unlink(os.path.join(path, _LOCK))
        os.rmdir(path)


def remove_tree(path: str) -> None:
    """Remove a directory tree, read-only directories too, however deep it is. What is not there is no error."""
    directories: list[bytes] = []
    pending = [os.fsencode(path)]
    while pending:
        directory = pending.pop()
        directories.append(directory)
        with suppress(FileNotFoundError):
            if os.lstat(directory).st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(directory, stat.S_IRWXU)
            with os.scandir(directory) as listing:
                for item in listing:
                    if item.is_dir(follow_symlinks=False):
                        pending.append(item.path)
                    else:
                        os.unlink(item.path)
    for directory in reversed(directories):
        with suppress(FileNotFoundError):
            os.rmdir(directory)
