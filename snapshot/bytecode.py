"""Which `.pyc` files are valid, and how they stay valid when files get a fixed time (PEP 3147, PEP 552). Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from snapshot.home import FIXED_MTIME

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE = "__pycache__"
#: Bytes before the code (PEP 552).
HEADER = 16
_FIXED = FIXED_MTIME.to_bytes(4, "little")


def is_bytecode(path: str) -> bool:
    """A `.pyc` in a cache directory. One beside the sources is a module of its own (sourceless) and an ordinary file."""
    return path.endswith(".pyc") and posixpath.basename(posixpath.dirname(path)) == CACHE


def source_of(path: str, cache_tag: str) -> str | None:
    """The source that belongs to a `.pyc`; None when it is another interpreter's."""
    directory, name = posixpath.split(path)
    match = re.match(rf"(?P<stem>.+)\.{re.escape(cache_tag)}(?:[.-][^/]*)?\.pyc\Z", name, re.DOTALL)
    return None if match is None else posixpath.join(posixpath.dirname(directory), match["stem"] + ".py")


def cache_path(source: str, cache_tag: str) -> str:
    """Where the bytecode of `source` lies."""
    directory, name = posixpath.split(source)
    return posixpath.join(directory, CACHE, f"{name.removesuffix('.py')}.{cache_tag}.pyc")


def stale_because(data: bytes, magic: bytes, mtime: int, size: int, source_hash: Callable[[], str]) -> str | None:
    """Why a `.pyc` is not valid for its source; None when it is.

    `mtime` (seconds) and `size` (bytes) are the source's; `source_hash` computes the PEP 552 hash when it is needed. An
    unchecked hash is checked too: Python would not, and would run whatever is in the file.
    """
    if len(data) <= HEADER or data[:4] != magic:
        return "written by another interpreter, or cut short"
    flags = int.from_bytes(data[4:8], "little")
    if flags == 0:
        if data[8:12] != (mtime & 0xFFFFFFFF).to_bytes(4, "little"):
            return "older or newer than its source"
        return None if data[12:16] == (size & 0xFFFFFFFF).to_bytes(4, "little") else "its source has another size"
    if flags in (1, 3):
        return None if data[8:16].hex() == source_hash() else "its source has another hash"
    return f"unknown flags {flags:#x}"


def with_fixed_time(data: bytes) -> bytes:
    """A valid `.pyc` for a source whose time is the fixed one."""
    return data if data[4:8] != b"\0\0\0\0" else data[:8] + _FIXED + data[12:]
