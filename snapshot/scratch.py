"""Directories under construction: beside the place they will have, gone when their process is.

A scratch directory holds a lock; one whose lock is free was left by a killed process, and whoever comes next removes it.
"""

from __future__ import annotations

import errno
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
    path = os.path.join(parent, f".envparity-{os.urandom(8).hex()}")
    os.mkdir(path)
    fd = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try_lock(fd)
        inner = os.path.join(path, "tree")
        os.mkdir(inner)
        yield inner
    finally:
        remove_tree(path)
        os.close(fd)


def sweep(parent: str) -> int:
    """Remove the scratch directories under `parent` that nobody holds; return how many."""
    count = 0
    for name in os.listdir(parent):
        if _NAME.match(name):
            path = os.path.join(parent, name)
            # Somebody else's, or just gone: no reason to stop whoever wants to write here.
            with suppress(OSError):
                count += _sweep_one(path)
    return count


def _sweep_one(path: str) -> bool:
    try:
        fd = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Between mkdir and the lock; or killed just there.
        if time.time() - os.lstat(path).st_mtime < STALE:
            return False
        remove_tree(path)
        return True
    try:
        locked = try_lock(fd)
        if locked is False or (locked is None and time.time() - os.fstat(fd).st_mtime < STALE):
            return False
        remove_tree(path)
        return True
    finally:
        os.close(fd)


def remove_tree(path: str) -> None:
    """Remove a directory tree, read-only directories too. What is not there is no error."""
    import shutil

    def again(name: str, problem: BaseException) -> None:
        if isinstance(problem, FileNotFoundError):
            return
        if not isinstance(problem, OSError) or problem.errno not in (errno.EACCES, errno.EPERM):
            raise problem
        for directory in (os.path.dirname(name), name):
            if stat.S_ISDIR(os.lstat(directory).st_mode):
                os.chmod(directory, 0o700)
        if stat.S_ISDIR(os.lstat(name).st_mode):
            shutil.rmtree(name)
        else:
            os.unlink(name)

    shutil.rmtree(path, onerror=lambda _, name, info: again(name, info[1]))
