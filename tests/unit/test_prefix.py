"""Frames that are written against bytes which the reader has too: `codec` gives back what `prefix` was given."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from snapshot.codec import DamagedLayerError, dictionary_of, unpack_against
from snapshot.prefix import QUICK, THOROUGH, Effort, Prefix


def read(known, packed, size, what="this"):
    data = memoryview(bytearray(size))
    unpack_against(dictionary_of(known), packed, data, what)
    return bytes(data)


def changed(generator, data, changes):
    """`data` with so many bytes of it replaced, as a library that was built again."""
    made = bytearray(data)
    for _ in range(changes):
        made[generator.randrange(len(made))] = generator.randrange(256)
    return bytes(made)


@pytest.mark.parametrize("effort", [QUICK, THOROUGH, Effort(0, 0), Effort(1, 8)])
@given(known=st.binary(max_size=400), data=st.binary(max_size=400), shared=st.booleans())
def test_what_goes_in_comes_out(effort, known, data, shared):
    data = known[3:] + data if shared else data
    packed = Prefix(known).pack(memoryview(data), effort)
    assert read(known, packed, len(data)) == data
    assert zstandard.frame_content_size(packed) == len(data)


def test_a_prefix_larger_than_the_window_is_known_to_its_beginning():
    """zstd's fast strategies know only the last 16 MiB of a dictionary."""
    generator = random.Random(4)
    known = generator.randbytes(20 << 20)
    data = changed(generator, known[: 1 << 20], 50)
    packed = Prefix(known).pack(data, QUICK)
    assert len(packed) < 2000
    assert read(known, packed, len(data)) == data
    assert zstandard.get_frame_parameters(packed).window_size <= 2 << 20


def test_the_prefix_is_a_copy():
    known = bytearray(random.Random(5).randbytes(10_000))
    prefix = Prefix(memoryview(known))
    data, known[:] = bytes(known), bytes(10_000)
    assert len(prefix.pack(data, QUICK)) < 100


@pytest.mark.parametrize(("sparse", "again"), [(3, False), (12, True)])
def test_what_takes_much_is_tried_once_more(sparse, again):
    """With a table of 2^6 entries next to nothing is found."""
    generator = random.Random(6)
    known = generator.randbytes(100_000)
    data = changed(generator, known, 40)
    part, more = QUICK.then
    once = Prefix(known).pack(data, Effort(0, sparse))
    assert (len(once) > part * (len(known) + len(data))) == again
    packed = Prefix(known).pack(data, Effort(0, sparse, (part, more)))
    assert packed == (Prefix(known).pack(data, more) if again else once)
    assert len(packed) < 2000


def test_another_dictionary_does_not_give_something_else():
    generator = random.Random(7)
    known = generator.randbytes(50_000)
    packed = Prefix(known).pack(changed(generator, known, 9), QUICK)
    assert read(known[::-1], packed, 50_000) != read(known, packed, 50_000)
    with pytest.raises(DamagedLayerError, match=r"^this: its frame declares another size than 49999 bytes"):
        read(known, packed, 49_999)
