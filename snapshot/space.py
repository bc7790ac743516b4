"""A disk that is full: one error for it, which names the place."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the system says when a disk, or what a user may have of it, is full.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class NoSpaceError(SnapshotError, OSError):
    """What is to be written does not fit."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


@contextmanager
def room_in(place: str) -> Iterator[None]:
    """Raise NoSpaceError for what does not fit in the directory `place`: files without a name have no other to tell."""
    try:
        yield
    except NoSpaceError:
        raise
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoSpaceError(f"no space left on the disk of {place}; make room and repeat the command") from error
