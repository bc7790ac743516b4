"""Bytes from front to back, without holding more than a little of them: files, compressed files, and parts of either."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from typing import IO, TYPE_CHECKING, cast

from diffing.errors import DiffError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK = 1 << 18


class TruncatedError(DiffError, EOFError):
    """The bytes end where more were announced."""


class TooManyBytesError(DiffError, ValueError):
    """More bytes than may be read."""


class Stream:
    """Reads `file` once. What is skipped is not kept, and in a file on disk not even read.

    `most`: how many bytes may be gone through (compressed data can hold any number of them); not for files on disk, where `size` is known.
    """

    def __init__(self, file: IO[bytes], *, size: int | None = None, most: int | None = None) -> None:
        self._file = file
        self._size = size
        self._most = most
        self._ahead = b""
        self.position = 0

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes. Only for small counts."""
        if not self._ahead:
            data = self._file.read(count)
        else:
            data, self._ahead = self._ahead[:count], self._ahead[count:]
            if len(data) < count:
                data += self._file.read(count - len(data))
        self.position += count
        if len(data) < count:
            raise TruncatedError(f"it ends at byte {self.position - count + len(data):,}, in the middle")
        if self._most is not None and self.position > self._most:
            raise TooManyBytesError(f"it unpacks to more than {self._most:,} bytes")
        return data

    def peek(self, count: int) -> bytes:
        """Up to `count` of the next bytes, which stay."""
        if len(self._ahead) < count:
            self._ahead += self._file.read(count - len(self._ahead))
        return self._ahead[:count]

    def skip(self, count: int) -> None:
        if self._size is not None and self.position + count > self._size:
            raise TruncatedError(f"it ends at byte {self._size:,}, where {count:,} more were announced")
        if self._most is not None and self.position + count > self._most:
            raise TooManyBytesError(f"it unpacks to more than {self._most:,} bytes")
        near = min(count, max(len(self._ahead), _CHUNK))
        self.read(near)
        count -= near
        if count and self._size is not None:
            self._file.seek(count, os.SEEK_CUR)
            self.position += count
            return
        while count:
            part = min(count, _CHUNK)
            self.read(part)
            count -= part

    def line(self, most: int) -> bytes:
        """Up to the next newline, which is taken but not returned. A longer one than `most` bytes is refused."""
        data = self._file.readline(most) if not self._ahead else self._ahead_line(most)
        self.position += len(data)
        if not data.endswith(b"\n"):
            if len(data) >= most:
                raise TooManyBytesError(f"a line of more than {most:,} bytes")
            raise TruncatedError(f"it ends at byte {self.position:,}, in the middle")
        if self._most is not None and self.position > self._most:
            raise TooManyBytesError(f"it unpacks to more than {self._most:,} bytes")
        return data[:-1]

    def _ahead_line(self, most: int) -> bytes:
        head, newline, rest = self._ahead.partition(b"\n")
        if newline:
            self._ahead = rest
            return head + newline
        self._ahead = b""
        return head + self._file.readline(most)

    def part(self, count: int) -> Part:
        """The next `count` bytes as a stream of their own: read nothing else until its `finish`."""
        return Part(self, count)


class Part(Stream):
    """A stretch of another stream."""

    def __init__(self, outer: Stream, size: int) -> None:
        self._outer = outer
        self._left = size
        self.position = 0

    def _take(self, count: int) -> None:
        if count > self._left:
            raise TruncatedError(f"it ends at byte {self.position + self._left:,}, in the middle")
        self._left -= count
        self.position += count

    def read(self, count: int) -> bytes:
        self._take(count)
        return self._outer.read(count)

    def peek(self, count: int) -> bytes:
        return self._outer.peek(min(count, self._left))

    def skip(self, count: int) -> None:
        self._take(count)
        self._outer.skip(count)

    def line(self, most: int) -> bytes:
        limit = min(most, self._left)
        if not limit:
            raise TruncatedError("it ends in the middle")
        data = self._outer.line(limit)
        self._take(len(data) + 1)
        return data

    def finish(self) -> None:
        """Skip what is left of it."""
        self.skip(self._left)


class _Inflated(io.RawIOBase):
    """zlib's own format, unpacked while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            data = self._inflater.decompress(packed, len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if not packed:
                raise EOFError("compressed data ends in the middle")
        return 0


#: What reading compressed data raises when it is damaged.
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)


def unpacked(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    """What `file` unpacks to, by its first bytes (those that joblib looks for); None when they are no known compression's."""
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(file))
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00")):
        return cast("IO[bytes]", lzma.LZMAFile(file))
    if head[:1] == b"\x78" and int.from_bytes(head[:2], "big") % 31 == 0:
        return cast("IO[bytes]", io.BufferedReader(_Inflated(file)))
    return None
