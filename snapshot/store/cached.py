"""Small files of the node's cache: whatever they hold could be computed again, so they need be neither durable nor waited for."""

from __future__ import annotations

import os
from contextlib import suppress

from snapshot.store.locking import try_lock

#: Bytes of a sha256 in hexadecimal, which is how a file about a prefix is named.
_NAME = 64


def replace_cached(path: str, data: bytes) -> None:
    """Replace the file at `path` in one step, unless somebody else is just doing the same. Its directory is made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fresh = f"{path}.new"
    # One name for the new file, so that killed processes leave at most one, which the next one uses.
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with os.fdopen(fd, "wb") as file:
        try:
            if try_lock(fd) is False or not os.path.samestat(os.fstat(fd), os.stat(fresh)):
                return
        except FileNotFoundError:  # somebody has just moved it to its place
            return
        file.truncate(0)
        file.write(data)
        file.flush()
        os.replace(fresh, path)


def keep_newest(directory: str, most: int) -> None:
    """Forget what was written longest ago of the files about prefixes in `directory`, so that `most` of them stay: machines that
    build have each environment in a place of its own.
    """
    with os.scandir(directory) as listing:
        named = [item for item in listing if len(item.name.removesuffix(".json")) == _NAME]
    if len(named) <= most:
        return
    files = []
    for item in named:
        with suppress(FileNotFoundError):  # somebody else is doing the same
            files.append((item.stat(follow_symlinks=False).st_mtime_ns, item.path))
    for _, path in sorted(files)[:-most]:
        with suppress(FileNotFoundError):
            os.unlink(path)
