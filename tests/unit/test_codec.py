"""Compression: what goes in comes out, and what a frame declares is not believed."""

from __future__ import annotations

import io
import random

import pytest
import zstandard

from snapshot.codec import (
    BETTER,
    FRAME,
    MAX_WINDOW,
    Compressor,
    DamagedLayerError,
    Frames,
    decompress,
    pack_small,
    unpack_small,
)


@pytest.mark.parametrize("data", [b"", b"x", bytes(100_000), random.Random(1).randbytes(300_000)])
def test_small_content_comes_back(data):
    packed = pack_small(data)
    assert unpack_small(packed, "this") == data
    assert pack_small(data) == packed
    assert zstandard.frame_content_size(packed) == len(data)


@pytest.mark.parametrize("sizes", [[], [0], [1], [10, 0, 5], [1 << 20] * 5, [3 << 20]])
def test_a_layer_comes_back(sizes):
    generator = random.Random(2)
    pieces = [generator.randbytes(size // 2) * 2 for size in sizes]
    sink = io.BytesIO()
    compressor = Compressor(sink, BETTER)
    for piece in pieces:
        assert compressor.write(memoryview(piece)) == len(piece)
    assert compressor.close() == len(sink.getvalue())
    assert b"".join(decompress(io.BytesIO(sink.getvalue()), "this")) == b"".join(pieces)
    window = zstandard.get_frame_parameters(sink.getvalue()).window_size
    assert window <= MAX_WINDOW


@pytest.mark.parametrize("size", [1000, 300 << 20])  # a very large layer gets threads of its own
@pytest.mark.parametrize("sizes", [[1], [10, 5], [1 << 20] * 3, [FRAME, 7]])
def test_a_layer_of_several_frames_comes_back(sizes, size):
    generator = random.Random(2)
    pieces = [generator.randbytes(-(-size // 2)) * 2 for size in sizes]
    sink = io.BytesIO()
    frames = Frames(sink, size)
    for piece in pieces:
        assert frames.write(memoryview(piece)) == len(piece)
    packed = sink.getvalue()
    assert frames.written == len(packed)
    assert b"".join(decompress(io.BytesIO(packed), "this")) == b"".join(pieces)
    assert zstandard.frame_content_size(packed) == len(pieces[0])
    assert zstandard.get_frame_parameters(packed).window_size <= FRAME + 1


@pytest.mark.parametrize("packed", [b"", b"plain", pack_small(b"x" * 100)[:-1], pack_small(b"x" * 100)[:5]])
def test_damage_names_what_it_is_in(packed):
    with pytest.raises(DamagedLayerError, match=r"^this: "):
        unpack_small(packed, "this")


def test_a_limit_is_asked_before_anything_is_unpacked():
    packed = pack_small(bytes(1000))
    assert unpack_small(packed, "this", limit=1000) == bytes(1000)
    with pytest.raises(DamagedLayerError) as caught:
        unpack_small(packed, "this", limit=999)
    assert str(caught.value) == "this: declares 1000 bytes, at most 999 are accepted"


def test_a_frame_that_does_not_say_its_size_is_refused():
    packed = zstandard.ZstdCompressor(write_content_size=False).compress(b"x")
    with pytest.raises(DamagedLayerError, match=r"^this: declares -1 bytes"):
        unpack_small(packed, "this")


def test_a_stream_that_is_damaged_in_the_middle():
    data = random.Random(3).randbytes(1 << 20)
    packed = bytearray(zstandard.compress(data))
    packed[3] ^= 0xFF
    with pytest.raises(DamagedLayerError, match=r"^this: zstd decompress error"):
        list(decompress(io.BytesIO(bytes(packed)), "this"))
