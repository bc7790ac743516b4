"""The tars that a row of deltas leads through, as stretches of one log: what a tar has in common with its base is there once.

A log only grows: first in memory that is used again for the next row, then in a file without a name.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, BinaryIO

from snapshot.codec import CHUNK, DamagedLayerError
from snapshot.memory import Spare, area
from snapshot.space import room_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from snapshot.codec import Piece

#: Bytes of a log that stay in memory, where there may be one a thread.
_MEMORY = 16 << 20

#: Parts of a tar have at least this many bytes on the average: a hostile delta must not make long lists of them.
_FINE = 1 << 12


class Log:
    """Bytes that are only ever added, each at a place by which it is found again. `clear` it between two rows."""

    def __init__(self, directory: str | None, memory: int = _MEMORY) -> None:
        """What `memory` (bytes) does not hold goes into a file in `directory`."""
        self.spare = Spare()
        self._directory = directory
        self._memory = memoryview(area(memory))
        self._used = 0
        self._file: BinaryIO | None = None
        # Never next to the last place in memory: nothing that lies together is in both.
        self._begin = memory + 1
        self._end = self._begin

    def add(self, data: Piece) -> int:
        """The place of `data`, which is copied."""
        view = self._room(len(data))
        if view is None:
            return self._append(data)
        view[:] = data
        return self._used - len(data)

    def fill(self, size: int, fill: Callable[[memoryview], None]) -> int:
        """The place of `size` bytes, which `fill` writes where it is told."""
        view = self._room(size)
        if view is None:
            view = self.spare.get(size)
            fill(view)
            return self._append(view)
        fill(view)
        return self._used - size

    def gather(self, parts: Iterable[tuple[int, int]], size: int) -> int:
        """The place of a copy of what lies in `parts` (place and length; `size` bytes in all), one after the other."""
        view = self._room(size)
        if view is None:
            begin = self._end
            for place, length in parts:
                for piece in self.pieces(place, length):
                    self._append(piece)
            return begin
        self.read_into(view, parts)
        return self._used - size

    def pieces(self, place: int, length: int) -> Iterator[Piece]:
        """The bytes at `place`; those in memory as they lie there, so until `clear` only."""
        if place < self._begin:
            yield self._memory[place : place + length]
            return
        for done in range(0, length, CHUNK):
            piece = bytearray(min(CHUNK, length - done))
            self._read(memoryview(piece), place + done)
            yield piece

    def read_into(self, view: memoryview, parts: Iterable[tuple[int, int]]) -> None:
        """Fill `view` with what lies in `parts`, one after the other."""
        at = 0
        for place, length in parts:
            if place < self._begin:
                view[at : at + length] = self._memory[place : place + length]
            else:
                self._read(view[at : at + length], place)
            at += length

    def clear(self) -> None:
        """Forget everything. The file stays: to write over what is there takes half the time."""
        self._used = 0
        self._end = self._begin

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _room(self, size: int) -> memoryview | None:
        if self._used + size > len(self._memory):
            return None
        self._used += size
        return self._memory[self._used - size : self._used]

    def _append(self, data: Piece) -> int:
        place, view = self._end, memoryview(data)
        with room_in(self._directory or tempfile.gettempdir()):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - closed by `close`
            while view:
                written = os.pwrite(self._file.fileno(), view, self._end - self._begin)
                self._end += written
                view = view[written:]
        return place

    def _read(self, view: memoryview, place: int) -> None:
        while view:
            got = 0 if self._file is None else os.preadv(self._file.fileno(), [view], place - self._begin)
            if not got:
                raise DamagedLayerError(f"{len(view)} bytes of a tar in {self._directory} are gone; repeat the command")
            view, place = view[got:], place + got


class Laid:
    """A tar as stretches of a log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.size = 0
        self._starts = array("Q")
        self._places = array("Q")

    def extend(self, parts: list[tuple[int, int]]) -> None:
        """Put what lies in `parts` of the log (place and length) at the end."""
        size = sum(length for _, length in parts)
        if len(parts) > size // _FINE + 1:
            parts = [(self.log.gather(parts, size), size)]
        for place, length in parts:
            if length and not (self._starts and self._places[-1] + self.size - self._starts[-1] == place):
                self._starts.append(self.size)
                self._places.append(place)
            self.size += length

    def stretches(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Places and lengths in the log of a range of the tar, which must be there."""
        number = bisect_right(self._starts, offset) - 1
        while length:
            start = self._starts[number]
            number += 1
            end = self._starts[number] if number < len(self._starts) else self.size
            part = min(length, end - offset)
            yield self._places[number - 1] + offset - start, part
            offset, length = offset + part, length - part

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """The bytes of a range, which must be there."""
        for place, part in self.stretches(offset, length):
            yield from self.log.pieces(place, part)

    def read_into(self, view: memoryview, *ranges: tuple[int, int]) -> None:
        """Fill `view` with the bytes of all ranges (offset and length), which must be there, one after the other."""
        self.log.read_into(view, (part for offset, length in ranges for part in self.stretches(offset, length)))
