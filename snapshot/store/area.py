"""Directories that vanish with the process that made them, at the latest when the next one comes: staging and scratch.

Each holds a lock. One whose lock is free was left by a killed process, and whoever sweeps its parent removes it.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from snapshot.store.locking import try_lock

_LOCK = "lock"

#: Where the file system has no locks, what nobody has touched for this long (seconds) is taken for debris.
STALE = 24 * 3600.0


class Area:
    """One directory under `parent`, alive while its lock is held. Its name begins with `prefix`."""

    def __init__(self, parent: str, prefix: str = "") -> None:
        while True:
            path = os.path.join(parent, prefix + os.urandom(8).hex())
            os.mkdir(path)
            # Whoever sweeps between these steps removes the directory again: then another one is made.
            with suppress(FileNotFoundError):
                fd = _claim(path)
                if fd is not None:
                    break
        self.path = path
        self._fd = fd

    def file(self) -> str:
        """The path of a file that is not there yet."""
        return os.path.join(self.path, os.urandom(8).hex())

    def remove(self) -> None:
        # What cannot be removed now is debris like that of a killed process, and the next sweep tries again.
        with suppress(OSError):
            _clear(self.path)
        os.close(self._fd)


def sweep(parent: str, prefix: str = "") -> int:
    """Remove what was left behind under `parent` with names that begin with `prefix`; return how many areas that was."""
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return 0
    return sum(_sweep_one(os.path.join(parent, name)) for name in names if _is_ours(name, prefix))


def _is_ours(name: str, prefix: str) -> bool:
    rest = name.removeprefix(prefix)
    return name.startswith(prefix) and len(rest) == 16 and set(rest) <= set("0123456789abcdef")


def _sweep_one(path: str) -> bool:
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return False  # nothing of ours
        fd = _claim(path, newest=time.time() - STALE)
        if fd is None:
            return False
        try:
            _clear(path)
        finally:
            os.close(fd)
    except OSError:
        # Another process was faster, or it is another user's to remove: no reason to stop whoever wants to write.
        return False
    return True


def _claim(path: str, newest: float | None = None) -> int | None:
    """Take the lock of the area at `path`. None: its owner is alive, or it was removed meanwhile.

    Without locks an area is free for its maker (`newest` is None), and for a sweeper when it is older than `newest`.
    """
    age = os.stat(path).st_mtime
    lock = os.path.join(path, _LOCK)
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
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
    """Remove an area, its lock last: until then nobody else touches it."""
    for name in os.listdir(path):
        if name != _LOCK:
            remove(os.path.join(path, name))
    # A sweeper may have taken the place of the lock by now: then the rest is its work.
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(path, _LOCK))
    os.rmdir(path)


def remove(path: str) -> None:
    """Remove a file, or a directory tree, read-only directories too, however deep. What is not there is no error."""
    directories: list[bytes] = []
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
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
