"""Laws of looking only at what two trees do not have in common: it finds what comparing all entries finds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffing.testing import file
from snapshot.apart import decode_apart, only
from snapshot.documents import FormatError, canonical
from snapshot.serialize import encode_tree

from .strategies import PATHS, TREES, entries, in_order


@st.composite
def two_versions(draw):
    """Two trees with much in common."""
    tree = draw(TREES)
    kept = [entry for entry in tree if draw(st.booleans())]
    return tree, in_order([*kept, *draw(st.lists(PATHS.flatmap(entries), max_size=3))])


@given(two_versions())
def test_it_finds_what_comparing_every_entry_finds(pair):
    one, other = pair
    assert decode_apart(encode_tree(one), encode_tree(other)) == (only(one, other), only(other, one))


@given(two_versions())
def test_nobody_has_to_write_it_as_we_do(pair):
    one, other = pair
    spaced = json.dumps(json.loads(encode_tree(other)), indent=1).encode()
    assert decode_apart(encode_tree(one), spaced) == (only(one, other), only(other, one))


@given(TREES.filter(bool))
def test_of_a_tree_and_itself_nothing_is_decoded(tree):
    data = encode_tree(tree)
    assert decode_apart(data, data) == ((), ())


def test_no_name_can_look_like_the_end_of_a_row():
    one = in_order([file('],["', b"1"), file('x],["b', b"1"), file("z", b"1")])
    other = in_order([file('],["', b"1"), file('x],["b', b"2"), file("z", b"1")])
    assert decode_apart(encode_tree(one), encode_tree(other)) == ((one[1],), (other[1],))


def test_what_is_wrong_with_a_row_that_differs_is_said():
    good = canonical({"schema": 1, "entries": [["a", "f", 0o644, 1, "0" * 64]]})
    for row, message in (
        (["../a", "f", 0o644, 1, "0" * 64], r"^tree.entries\[0\]: unsafe path '../a'"),
        (["a", "f", 0o777, 1, "0" * 64], r"^tree.entries\[0\]: mode 511 for an entry of type 'f'"),
        (["a", "f", 0o644, 1, "0" * 63], r"^tree.entries\[0\]: want a sha256"),
    ):
        with pytest.raises(FormatError, match=message):
            decode_apart(good, canonical({"schema": 1, "entries": [row]}))
    twice = canonical({"schema": 1, "entries": [["a", "f", 0o644, 1, "0" * 64]] * 2})
    with pytest.raises(FormatError, match=r"^tree.entries\[1\]: 'a' is out of order or there twice"):
        decode_apart(good, twice)
