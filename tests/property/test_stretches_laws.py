"""Laws of the log that rows of deltas are laid in: held against the bytes themselves, in memory and in its file."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.codec import DamagedLayerError
from snapshot.stretches import Laid, Log

law = settings(deadline=None)
#: Pieces: so many new bytes, or a copy of a part of the tar before (as fractions of its size).
NEW = st.integers(0, 20_000)
COPY = st.tuples(st.floats(0, 1), st.floats(0, 1))
TARS = st.lists(st.lists(st.one_of(NEW, COPY), max_size=12), max_size=5)


def laid(log, pieces, base, before, noise):
    """The tar that `pieces` make out of `base`, in the log and as bytes."""
    made, parts, data = Laid(log), [], b""
    for piece in pieces:
        if isinstance(piece, int):
            new = noise.randbytes(piece)
            parts.append((log.add(new), piece))
            data += new
        else:
            offset = int(piece[0] * len(before))
            length = int(piece[1] * (len(before) - offset))
            parts += base.stretches(offset, length)
            data += before[offset : offset + length]
    made.extend(parts)
    return made, data


@law
@given(TARS, st.sampled_from([0, 1, 10_000, 1 << 20]), st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1))
def test_what_was_laid_is_read(tars, memory, seed, start, share):
    noise = random.Random(seed)
    with Log(None, max(memory, 1)) as log:
        for _ in range(2):  # the second time over what the first left
            made, data = Laid(log), b""
            for pieces in tars:
                made, data = laid(log, pieces, made, data, noise)
                assert made.size == len(data)
                offset = int(start * len(data))
                length = int(share * (len(data) - offset))
                assert b"".join(map(bytes, made.pieces(offset, length))) == data[offset : offset + length]
                view = memoryview(bytearray(length + len(data)))
                made.read_into(view, (offset, length), (0, len(data)))
                assert bytes(view) == data[offset : offset + length] + data
            log.clear()


@law
@given(st.integers(1, 50), st.integers(1, 300), st.sampled_from([1, 1 << 20]))
def test_many_small_copies_become_one_stretch(length, count, memory):
    """A list of them would take more memory than the bytes: a delta can ask for a hundred thousand in a segment."""
    with Log(None, memory) as log:
        base, made = Laid(log), Laid(log)
        base.extend([(log.add(bytes(range(200))), 200)])
        made.extend([part for number in range(count) for part in base.stretches(number % 100, length)])
        assert len(list(made.stretches(0, made.size))) <= made.size // 4096 + 1
        expected = b"".join(bytes(range(200))[number % 100 :][:length] for number in range(count))
        assert b"".join(map(bytes, made.pieces(0, made.size))) == expected


def test_what_is_larger_than_memory_is_filled_too():
    def fill(view):
        view[:] = b"x" * len(view)

    with Log(None, 100) as log:
        places = [log.fill(size, fill) for size in (60, 60, 40)]
        assert len({*places}) == 3
        assert all(b"".join(map(bytes, log.pieces(place, 40))) == b"x" * 40 for place in places)


def test_a_file_that_was_cut_meanwhile_is_an_error(tmp_path):
    with Log(str(tmp_path), 1) as log:
        place = log.add(b"some bytes")
        log._file.truncate(5)
        with pytest.raises(DamagedLayerError, match=r"5 bytes of a tar in .* are gone; repeat the command"):
            b"".join(log.pieces(place, 10))
