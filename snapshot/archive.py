"""The deterministic tar framing of a layer: what stands around each file's bytes follows from its entry. Pure.

A reader makes the same headers from the tree and compares, so nothing is parsed: no name, type or size that the tree does
not have can be extracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshot.home import FIXED_MTIME
from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.model import Entry

BLOCK = 512
END = bytes(2 * BLOCK)

_TYPES = {"f": b"0", "l": b"2", "d": b"5"}
_MTIME = b"%011o\0" % FIXED_MTIME
_LARGEST = 8**11


def header(entry: Entry) -> bytes:
    """What comes before the entry's bytes: a ustar header, after a PAX header where ustar cannot say it (POSIX.1-2001)."""
    path = encode(entry.path)
    target = encode(entry.target)
    records = []
    if len(path) > 100 or not path.isascii():
        records.append((b"path", path))
        path = path[:100]
    if len(target) > 100 or not target.isascii():
        records.append((b"linkpath", target))
        target = target[:100]
    size = entry.size
    if size >= _LARGEST:
        records.append((b"size", b"%d" % size))
        size = 0
    mode = 0o777 if entry.type == "l" else entry.mode
    block = _block(path, mode, size, _TYPES[entry.type], target)
    if not records:
        return block
    if any(not _is_utf8(value) for _, value in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    extended = b"".join(_record(key, value) for key, value in records)
    return _block(b"PaxHeaders/0", 0o644, len(extended), b"x", b"") + extended + padding(len(extended)) + block


def _is_plain(entry: Entry) -> bool:
    """Whether `header` is one block."""
    return (
        entry.size < _LARGEST
        and len(entry.path) <= 100
        and entry.path.isascii()
        and len(entry.target) <= 100
        and entry.target.isascii()
    )


def header_size(entry: Entry) -> int:
    """Bytes of `header(entry)`."""
    return BLOCK if _is_plain(entry) else len(header(entry))


def padding(size: int) -> bytes:
    """Zeros from the end of `size` bytes to the next block."""
    return bytes(-size % BLOCK)


def tar_size(tree: Iterable[Entry]) -> int:
    """Bytes of the whole tar."""
    total = len(END)
    for entry in tree:
        total += header_size(entry) + entry.size + -entry.size % BLOCK
    return total


def _block(name: bytes, mode: int, size: int, kind: bytes, target: bytes) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % mode,
            b"0000000\0",  # uid
            b"0000000\0",  # gid
            b"%011o\0" % size,
            _MTIME,
            b"        ",  # the checksum counts as spaces in itself
            kind,
            target.ljust(100, b"\0"),
            b"ustar\00000",
        )
    )
    checksum = b"%06o\0 " % sum(head)
    return (head[:148] + checksum + head[156:]).ljust(BLOCK, b"\0")


def _record(key: bytes, value: bytes) -> bytes:
    """A PAX record: its own length counts its own digits."""
    length = len(key) + len(value) + 3
    digits = len(str(length))
    digits = len(str(length + digits))
    return b"%d %s=%s\n" % (length + digits, key, value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
