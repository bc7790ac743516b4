"""Compression: the only importer of zstandard. What is written against other bytes is made in `prefix`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol, TypeAlias

import zstandard

from snapshot.errors import SnapshotError
from snapshot.progress import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For the small canonical JSON of trees and records.
SMALL_LEVEL = 9

#: Levels of full blobs: while an environment is captured; when there is some time; when there is much.
CAPTURE, BETTER, BEST = 3, 9, 19

#: A layer larger than this (bytes) keeps one thread busy when all others are done: zstandard gets threads of its own for it.
_HUGE = 256 << 20

#: Bytes handed to zstandard at once: large enough that a call's cost vanishes, small enough for the cache.
CHUNK = 1 << 20

#: Content of one frame of a full blob while an environment is captured, in bytes. Each is compressed at once: in a stream that is
#: longer than its window zstd looks for matches in two places, which takes a quarter longer (docs/format.md, "Figures").
FRAME = 16 << 20

#: The files of a distribution resemble each other over longer distances than level 3 looks back.
_WINDOW_LOG = 24

#: Level 3's own table of 2^17 knows only the last of 16 MiB: a larger one makes blobs 3% smaller (docs/format.md, "Figures").
_HASH_LOG = 20

#: A note takes less, in bytes: read as JSON it needs twenty times as much memory.
LARGEST_NOTE = 1 << 23

#: A window beyond this is refused: what a decoder must hold in memory, in bytes.
MAX_WINDOW = 1 << 27


class DamagedLayerError(SnapshotError, ValueError):
    """Stored bytes that do not decompress to what was declared."""


Piece: TypeAlias = "bytes | bytearray | memoryview"


class Sink(Protocol):
    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Frames:
    """Writes each piece that it is given, of up to FRAME bytes, into `sink` as a zstd frame: one after the other they are a blob.

    `size` (bytes) is about what will come. Not for several threads at once.
    """

    def __init__(self, sink: Sink, size: int) -> None:
        threads = {"threads": cores(), "job_size": FRAME // 2} if size > _HUGE else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(
            CAPTURE, window_log=_WINDOW_LOG, hash_log=_HASH_LOG, **threads
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._sink = sink
        #: Bytes of the blob so far.
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        packed = self._compressor.compress(data)
        self._sink.write(packed)
        self.written += len(packed)
        return len(data)


class Compressor:
    """Streams bytes into `sink` as one zstd frame, with a long window. `level` is what there is time for."""

    def __init__(self, sink: Sink, level: int) -> None:
        self._sink = sink
        self._written = 0
        parameters = zstandard.ZstdCompressionParameters.from_level(level, window_log=_WINDOW_LOG + 1)
        self._frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        packed = self._frame.compress(data)
        if packed:
            self._out(packed)
        return len(data)

    def close(self) -> int:
        """End the frame; return how many bytes it has."""
        self._out(self._frame.flush())
        return self._written

    def _out(self, packed: bytes) -> None:
        self._sink.write(packed)
        self._written += len(packed)


Dictionary = zstandard.ZstdCompressionDict


def dictionary_of(data: Piece) -> Dictionary | None:
    """A dictionary that holds its own copy of `data`. None when zstd has no use for so little."""
    return Dictionary(data, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if len(data) >= 8 else None


def unpack_against(dictionary: Dictionary | None, packed: Piece, view: memoryview, what: str) -> None:
    """Fill `view` with what `Prefix.pack` was given."""
    try:
        if zstandard.frame_content_size(packed) != len(view):
            raise DamagedLayerError(f"{what}: its frame declares another size than {len(view)} bytes")
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW)
        # Into memory that is there, and in one step, since both sides are whole.
        made = decompressor.stream_reader(packed).readinto(view)
    except zstandard.ZstdError as error:
        raise DamagedLayerError(f"{what}: {error}") from error
    if made != len(view):
        raise DamagedLayerError(f"{what}: its frame ends too early; delete that blob and capture again")


def pack_small(data: bytes) -> bytes:
    """One frame with its size declared."""
    return zstandard.ZstdCompressor(level=SMALL_LEVEL).compress(data)


def unpack_small(packed: bytes, what: str, *, limit: int = 1 << 29) -> bytes:
    """The content of a frame made by `pack_small`. `limit` in bytes: more is refused before it is unpacked."""
    try:
        size = zstandard.frame_content_size(packed)
        if size < 0 or size > limit:
            raise DamagedLayerError(f"{what}: declares {size} bytes, at most {limit} are accepted")
        return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompress(packed, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise DamagedLayerError(f"{what}: {error}") from error


#: A skippable frame: other zstd tools pass over it (RFC 8878, section 3.1.2).
_SKIPPABLE = 0x184D2A5E


def note(data: bytes) -> bytes:
    """`data`, compressed, in a skippable frame between the others."""
    packed = pack_small(data)
    return struct.pack("<II", _SKIPPABLE, len(packed)) + packed


def read_note(source: Source, what: str) -> bytes:
    """The data of the skippable frame that comes next."""
    magic, size = struct.unpack("<II", read_exactly(source, 8, what))
    if magic != _SKIPPABLE or size > LARGEST_NOTE:
        raise DamagedLayerError(f"{what}: it is not made as a delta is; delete that blob and capture again")
    return unpack_small(read_exactly(source, size, what), what, limit=LARGEST_NOTE)


def read_exactly(source: Source, size: int, what: str) -> bytes:
    parts = []
    while size:
        parts.append(source.read(size))
        if not parts[-1]:
            raise DamagedLayerError(f"{what}: it ends too early; delete that blob and capture again")
        size -= len(parts[-1])
    return b"".join(parts)


def decompress(source: Source, what: str) -> Iterator[bytes]:
    """The content of a layer's frames, in chunks. Whoever reads it stops at the declared size: see `archive`."""
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
        source,  # type: ignore[arg-type]
        read_size=CHUNK,
        read_across_frames=True,
    )
    try:
        while chunk := reader.read(CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        raise DamagedLayerError(f"{what}: {error}") from error
