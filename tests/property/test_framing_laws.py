"""Laws of a tar on its way out: whatever the size of the buffer, what comes out is what went in, and files have their own digests."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from snapshot.framing import Framing

STEPS = st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=12)


class Pieces(list):
    def write(self, data):
        self.append(bytes(data))
        return len(data)


def frame(steps, room, *, wanted=True, more=0):
    """Put some of the bytes, and read the others from files, each `more` bytes longer than it really is."""
    pieces, digests = Pieces(), []
    framing = Framing(pieces, wanted=wanted, buffer=memoryview(bytearray(room)))
    for is_file, data in steps:
        if is_file:
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.flush()
                os.lseek(file.fileno(), 0, os.SEEK_SET)
                digests.append((framing.read(file.fileno(), len(data) + more), data))
        else:
            framing.put(data)
    return pieces, digests, framing.close(), framing.size


@given(STEPS, st.integers(1, 50))
def test_what_went_in_comes_out_in_pieces_of_one_size(steps, room):
    pieces, digests, digest, size = frame(steps, room)
    whole = b"".join(data for _, data in steps)
    assert b"".join(pieces) == whole
    assert digest == sha256(whole).hexdigest()
    assert size == len(whole)
    assert all(len(piece) == room for piece in pieces[:-1])
    assert all(0 < len(piece) <= room for piece in pieces)
    for found, data in digests:
        assert found == (sha256(data).hexdigest(), len(data))


@given(STEPS, st.integers(1, 50), st.integers(1, 60))
def test_a_file_that_is_shorter_than_it_was_said_ends_where_it_ends(steps, room, more):
    pieces, digests, _, size = frame(steps, room, more=more)
    assert b"".join(pieces) == b"".join(data for _, data in steps)
    assert size == sum(len(data) for _, data in steps)
    for found, data in digests:
        assert found == (sha256(data).hexdigest(), len(data))


@given(STEPS, st.integers(1, 50))
def test_without_a_tar_files_still_have_their_digests(steps, room):
    pieces, digests, digest, size = frame(steps, room, wanted=False)
    assert (pieces, digest, size) == ([], sha256().hexdigest(), 0)
    for found, data in digests:
        assert found == (sha256(data).hexdigest(), len(data))
