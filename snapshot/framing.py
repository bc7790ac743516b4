"""A layer's tar on its way out: gathered in one large buffer, so that a file is read to where it belongs, and whoever hashes and
compresses gets large pieces.
"""

from __future__ import annotations

import os
import threading
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.codec import FRAME

if TYPE_CHECKING:
    from snapshot.codec import Sink


class _Buffers(threading.local):
    """One buffer a thread: a new one for each layer would have all its pages mapped anew."""

    @cached_property
    def own(self) -> memoryview:
        return memoryview(bytearray(FRAME))


_BUFFERS = _Buffers()


class Framing:
    """Hashes a tar and hands it to `sink` in pieces as large as `buffer`, the last one smaller.

    `sink` may be None. When `wanted` is false there is no tar: nothing is hashed, and files are read for their digests alone.
    `buffer` is by default one of FRAME bytes that the calling thread has for the one framing that it is at.
    """

    def __init__(self, sink: Sink | None, *, wanted: bool, buffer: memoryview | None = None) -> None:
        self._sink = sink
        self._wanted = wanted
        self._buffer = _BUFFERS.own if buffer is None else buffer
        self._room = len(self._buffer)
        self._held = 0
        self._hash = sha256()
        #: Bytes of the tar so far.
        self.size = 0

    def put(self, data: bytes) -> None:
        """The next bytes of the tar."""
        size = len(data)
        if not self._wanted:
            return
        if size < self._room - self._held:
            self._buffer[self._held : self._held + size] = data
            self._held += size
            self.size += size
            return
        view = memoryview(data)
        while view:
            part = view[: self._room - self._held]
            self._buffer[self._held : self._held + len(part)] = part
            self._took(len(part))
            view = view[len(part) :]

    def read(self, descriptor: int, size: int) -> tuple[str, int]:
        """Up to `size` bytes of a file, from where it is read next; return their sha256 (hexadecimal) and how many there were."""
        if size < self._room - self._held:
            got = os.readv(descriptor, [self._buffer[self._held : self._held + size]]) if size else 0
            if got == size:  # nearly always
                digest = sha256(self._buffer[self._held : self._held + size]).hexdigest()
                if self._wanted:
                    self._held += size
                    self.size += size
                return digest, size
            os.lseek(descriptor, -got, os.SEEK_CUR)
        hashed, left = sha256(), size
        while left:
            room = self._buffer[self._held : min(self._room, self._held + left)]
            got = os.readv(descriptor, [room])
            if not got:
                break
            hashed.update(room[:got])
            left -= got
            if self._wanted:
                self._took(got)
        return hashed.hexdigest(), size - left

    def close(self) -> str:
        """Hand out what is left; return the sha256 of the tar, in hexadecimal."""
        self._flush()
        return self._hash.hexdigest()

    def _took(self, size: int) -> None:
        self._held += size
        self.size += size
        if self._held == self._room:
            self._flush()

    def _flush(self) -> None:
        piece, self._held = self._buffer[: self._held], 0
        if piece:
            self._hash.update(piece)
            if self._sink is not None:
                self._sink.write(piece)
