"""Locks between processes that end with the process that holds them, and what takes their place where there are none."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from snapshot.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How network and user-space file systems say that they have no flock.
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})

#: Without flock: how long to wait for the file that stands in for the lock, and how often to look (seconds).
PATIENCE = 60.0
_PAUSE = 0.05


def try_lock(fd: int, *, wait: bool = False) -> bool | None:
    """Lock `fd`. False: somebody else has it (only without `wait`). None: this file system has no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


@contextmanager
def exclusive(path: str) -> Iterator[None]:
    """Hold the lock on the file `path`, which is made when it is not there and never removed."""
    # A write descriptor: NFS wants one for an exclusive lock.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with nullcontext() if try_lock(fd, wait=True) else _exclusive_file(f"{path}.held"):
            yield
    finally:
        os.close(fd)


@contextmanager
def _exclusive_file(path: str) -> Iterator[None]:
    """The lock is that the file exists. A killed process leaves it behind, so somebody may have to remove it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError as error:
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{path} says that another process is writing to this store, and has for {PATIENCE:.0f} seconds; "
                    "this file system has no locks, so remove that file if no such process is running"
                ) from error
            time.sleep(_PAUSE)
        else:
            break
    os.close(fd)
    try:
        yield
    finally:
        os.unlink(path)
