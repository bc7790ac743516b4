"""Walk a directory into entries, once, with one `lstat` each. Links are never followed."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from snapshot.errors import SnapshotError, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class UnreadableError(SnapshotError, PermissionError):
    """Files that may not be read: a capture without them would not be the environment."""


class Found(NamedTuple):
    """One thing on disk: its path relative to the root (undecodable bytes as surrogates) and its `lstat`."""

    path: str
    stat: os.stat_result

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.stat.st_mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.stat.st_mode)


def encode(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def decode(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def read_regular(path: bytes) -> bytes | None:
    """The bytes of a file, through links; None where there is none, or something else: a pipe or a device would never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (
            errno.ENXIO,
            errno.ELOOP,
            errno.ENODEV,
        ):  # a socket, links in a circle, a device without a driver
            return None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read()


def behind(root: str, link: Found) -> tuple[Found, bytes] | None:
    """The file outside of `root` that a link in it leads to, under the link's name, and where its bytes are; None for any other link."""
    real = os.path.realpath(encode(f"{root}/{link.path}"))
    try:
        status = os.stat(real)
    except OSError:  # it leads nowhere, or where we may not look: it stays a link
        return None
    if real.startswith(encode(root) + b"/") or not stat.S_ISREG(status.st_mode) or not os.access(real, os.R_OK):
        return None
    return Found(link.path, status), real


def walk(
    root: str, start: str = "", *, prune: Callable[[str], bool] | None = None, refused: list[str] | None = None
) -> dict[str, Found]:
    """Everything under `root`/`start`, by path relative to `root`, directories included, in no order.

    A directory for which `prune(path)` is true is left out with all that is in it. Bytes are used for names, so that
    the result does not depend on the locale. Raises UnreadableError naming every directory that cannot be listed, unless there is
    a list for what was `refused`, by the same paths.
    """
    base = encode(root)
    found: dict[str, Found] = {}
    unread: list[str] = [] if refused is None else refused
    pending = [start]
    while pending:
        directory = pending.pop()
        try:
            listing = os.scandir(os.path.join(base, encode(directory)) if directory else base)
        except PermissionError:
            unread.append(directory)
            continue
        except (FileNotFoundError, NotADirectoryError):  # removed since it was seen, or replaced
            continue
        lead = directory + "/" if directory else ""
        with listing:
            for item in listing:
                path = lead + decode(item.name)
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:  # removed since it was listed: as if it had never been there
                    continue
                except PermissionError:  # a directory that can be listed and not entered
                    unread.append(path)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if prune is not None and prune(path):
                        continue
                    pending.append(path)
                found[path] = Found(path, status)
    if refused is None:
        refuse_unreadable(os.path.join(root, path) for path in unread)
    return found


def refuse_unreadable(paths: Iterable[str]) -> None:
    listed = sorted(paths)
    if listed:
        raise UnreadableError(
            f"no permission to read {summarise(listed)}; run as the environment's owner or make them readable"
        )


def look(root: str, paths: Iterable[str]) -> dict[str, Found]:
    """`lstat` single paths relative to `root`; those that are not there are left out."""
    found = {}
    refused = []
    for path in paths:
        try:
            found[path] = Found(path, os.lstat(os.path.join(encode(root), encode(path))))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            refused.append(os.path.join(root, path))
    refuse_unreadable(refused)
    return found
