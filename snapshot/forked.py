"""Do half of a job in a forked child: file system calls that threads would have to queue for the interpreter lock with."""

from __future__ import annotations

import marshal
import os
from typing import TYPE_CHECKING, Any

from snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable


class ChildError(SnapshotError, OSError):
    """What went wrong in the child, told again here."""


def alone() -> bool:
    """Whether this process has one thread. With more, a child could inherit a lock that nobody will release."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except FileNotFoundError:  # no /proc: not known, so no
        return False


def both(here: Callable[[], Any], there: Callable[[], Any]) -> tuple[Any, Any]:
    """Run `there` in a forked child and `here` meanwhile; return both results.

    The child's result must be made of plain values (numbers, text, lists). Call only when `alone`. Raises ChildError when
    the child failed, after `here` is done.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work(there, writing)
    os.close(writing)
    try:
        mine = here()
    finally:
        with open(reading, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
    if not data:
        raise ChildError("a child process of the restore was killed; restore again")
    ok, value = marshal.loads(data)  # noqa: S302 - our own child wrote it
    if not ok:
        raise ChildError(*value)
    return mine, value


def _work(there: Callable[[], Any], writing: int) -> None:
    """The child's whole life. It must not return into the caller's frames, nor run its exit handlers."""
    try:
        try:
            result: tuple[bool, Any] = (True, there())
        except OSError as error:
            result = (
                False,
                (error.errno, error.strerror or str(error), error.filename and os.fsdecode(error.filename)),
            )
        with open(writing, "wb") as pipe:
            pipe.write(marshal.dumps(result))
    finally:
        os._exit(0)
