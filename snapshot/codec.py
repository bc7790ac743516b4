"""Compression: the only importer of zstandard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import zstandard

from snapshot.errors import SnapshotError
from snapshot.progress import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For the small canonical JSON of trees and records.
SMALL_LEVEL = 9

#: A layer larger than this (bytes) keeps one thread busy when all others are done: zstandard gets threads of its own for it.
_HUGE = 256 << 20

#: Bytes handed to zstandard at once: large enough that a call's cost vanishes, small enough for the cache.
CHUNK = 1 << 20

#: 16 MiB: the files of a distribution resemble each other over longer distances than level 3 looks back.
_WINDOW_LOG = 24

#: A window beyond this is refused: what a decoder must hold in memory, in bytes.
MAX_WINDOW = 1 << 27


class DamagedLayerError(SnapshotError, ValueError):
    """Stored bytes that do not decompress to what was declared."""


class Sink(Protocol):
    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def _parameters(size: int) -> zstandard.ZstdCompressionParameters:
    """Level 3 with a longer window (docs/format.md, "Figures")."""
    threads = {"threads": cores(), "job_size": 8 << 20} if size > _HUGE else {}
    return zstandard.ZstdCompressionParameters.from_level(3, window_log=_WINDOW_LOG, **threads)


class Compressor:
    """Streams bytes into `sink` as one zstd frame. `size` (bytes) is about what will come."""

    def __init__(self, sink: Sink, size: int) -> None:
        self._sink = sink
        self._frame = zstandard.ZstdCompressor(compression_params=_parameters(size)).compressobj()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        packed = self._frame.compress(data)
        if packed:
            self._sink.write(packed)
        return len(data)

    def close(self) -> None:
        self._sink.write(self._frame.flush())


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


def decompress(source: Source, what: str) -> Iterator[bytes]:
    """The content of a layer's frame, in chunks. Whoever reads it stops at the declared size: see `archive`."""
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).read_to_iter(
        source,  # type: ignore[arg-type]
        read_size=CHUNK,
        write_size=CHUNK,
    )
    try:
        yield from reader
    except zstandard.ZstdError as error:
        raise DamagedLayerError(f"{what}: {error}") from error
