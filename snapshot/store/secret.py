"""The key for digests of environment variables: a file of the store's directory that no OCI tool copies and only its owner may read.

Whoever has it can try out values, so it is as secret as they are. Digests that were made with different keys cannot be compared.
"""

from __future__ import annotations

import os
from contextlib import suppress

from snapshot.space import room_in
from snapshot.store.errors import StoreError

FILE = "variables.key"
_SIZE = 32
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def read_key(directory: str, *, make: bool) -> bytes | None:
    """The key of the store in `directory`; `make` one when there is none. None: there is none, or it is not ours to read.

    Raises StoreError when the file is no key.
    """
    path = os.path.join(directory, FILE)
    try:
        if make and not os.path.lexists(path):
            _make(path)
        with open(path, "rb") as file:
            key = file.read(_SIZE + 1)
    except (FileNotFoundError, PermissionError):
        return None
    if len(key) != _SIZE:
        raise StoreError(
            f"{path} is damaged: a key has {_SIZE} bytes; delete it, and a new one is made (variables that were captured before "
            "cannot be compared with those captured after)"
        )
    return key


def _make(path: str) -> None:
    """Of several processes that do this at once one wins, and all use its key."""
    fresh = f"{path}.{os.getpid()}"
    with suppress(FileNotFoundError):  # of a process that was killed and had our number
        os.unlink(fresh)
    with room_in(os.path.dirname(path)), open(os.open(fresh, _NEW, 0o600), "wb") as file:
        try:
            file.write(os.urandom(_SIZE))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            os.unlink(fresh)
