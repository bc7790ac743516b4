"""Laws of deltas: whatever two layers hold, the newer comes out of the older to the byte, within the bounds that a reader has."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from unittest import mock

from hypothesis import event, given, settings
from hypothesis import strategies as st

from snapshot import delta
from snapshot.delta import Range, decode_head, decode_segment, encode_head, encode_segment, read_by
from snapshot.encoding import DEPTH
from snapshot.scan import encode
from snapshot.serialize import decode_tree
from tests.building import built, file
from tests.deltas import Shelf, plan_of

from .strategies import PATHS, stored_files

law = settings(deadline=None, max_examples=60)

#: Most new bytes of a segment, and of its dictionary: so small that files are cut, and dictionaries chosen.
BOUNDS = st.tuples(st.sampled_from([600, 1024, 2048, 5000]), st.sampled_from([1, 300, 1000, 4096, 20_000]))
DATA = st.tuples(st.integers(0, 3), st.integers(0, 9000)).map(lambda drawn: random.Random(drawn[0]).randbytes(drawn[1]))


@st.composite
def edited(draw, data):
    """The bytes of a file in the next version: some of them others, and not always as many."""
    start = draw(st.integers(0, len(data)))
    return data[:start] + draw(st.binary(max_size=30)) + data[start + draw(st.integers(0, 50)) :]


@st.composite
def following(draw, rows):
    """The next version of a layer."""
    found = {}
    for entry, data in rows:
        change = draw(st.sampled_from(["kept", "kept", "edited", "renamed", "removed", "mode"]))
        if change == "kept" or (entry.type != "f" and change != "removed"):
            found[entry.path] = entry, data
        elif change == "edited":
            found[entry.path] = file(entry.path, draw(edited(data)), entry.mode)
        elif change == "renamed":
            path = draw(st.sampled_from([entry.path + "2", draw(PATHS)]))
            found[path] = replace(entry, path=path), data
        elif change == "mode":
            found[entry.path] = replace(entry, mode=entry.mode ^ 0o111), data
    for path, data in draw(st.dictionaries(PATHS, DATA, max_size=2)).items():
        found[path] = file(path, data)
    return in_order(found.values())


def in_order(rows):
    return sorted({entry.path: (entry, data) for entry, data in rows}.values(), key=lambda row: encode(row[0].path))


@st.composite
def versions(draw, least=2, most=2):
    """A layer in several versions, the oldest first, as built layers."""
    large = draw(st.dictionaries(st.sampled_from(["big-1.so", "big-2.so", "x/big-7f3a9c11.so", "big"]), DATA))
    rows = in_order([*draw(stored_files()), *(file(path, data) for path, data in large.items())])
    found = [rows]
    for _ in range(draw(st.integers(least, most)) - 1):
        found.append(draw(following(found[-1])))
    return [built(*rows) for rows in found]


def bounded(bounds):
    return mock.patch.multiple(delta, SEGMENT=bounds[0], DICTIONARY=bounds[1])


@law
@given(versions(), BOUNDS)
def test_the_tar_comes_out_again(pair, bounds):
    base, part = pair
    with bounded(bounds):
        plan = plan_of(base, part)
    shelf = Shelf()
    shelf.whole(base)
    if part.layer.diff_id != base.layer.diff_id:
        shelf.delta(base, part, plan)
    event(f"segments: {min(len(plan.segments), 4)}")
    assert shelf.read(part) == part.tar


@law
@given(versions(), BOUNDS)
def test_segments_keep_within_the_bounds_and_within_the_base(pair, bounds):
    base, part = pair
    largest, most = bounds
    with bounded(bounds):
        plan = plan_of(base, part)
    assert (plan.base, plan.base_size, plan.size) == (base.layer.diff_id, len(base.tar), len(part.tar))
    assert sum(segment.length for segment in plan.segments) == len(part.tar)
    for segment in plan.segments:
        assert segment.length > 0
        assert segment.new <= largest
        assert sum(each.length for each in segment.dictionary) <= most
        assert all(step.length > 0 for step in segment.operations)
        copied = [Range(step.offset, step.length) for step in segment.operations if step.offset is not None]
        for each in (*segment.dictionary, *copied):
            assert each.offset >= 0
            assert each.length > 0
            assert each.offset + each.length <= len(base.tar)
        assert segment.new or not segment.dictionary


@law
@given(versions(), BOUNDS, st.sampled_from([100, 512, 700, 1 << 20]))
def test_what_a_delta_is_made_against_is_read_from_the_store(pair, bounds, chunk):
    """However the chunks fall: every byte of a dictionary, where it lies in the tar, and no other."""
    base, part = pair
    with bounded(bounds):
        plan = plan_of(base, part)
    ranges = read_by(plan)
    assert all(one.offset + one.length < other.offset for one, other in pairwise(ranges))
    parts = {each for segment in plan.segments for each in segment.dictionary}
    wanted = {at for begin, length in parts for at in range(begin, begin + length)}
    assert wanted == {at for begin, length in ranges for at in range(begin, begin + length)}
    shelf = Shelf()
    shelf.whole(base)
    with mock.patch("snapshot.codec.CHUNK", chunk), shelf.file(base, ranges) as tar:
        for begin, length in parts:
            assert tar.read((begin, length)) == base.tar[begin : begin + length]
        held = bytes(tar.read((0, tar.size)))
    assert all(held[at] == 0 for at in range(len(held)) if at not in wanted)


def entries_of(part):
    return decode_tree(part.tree)


@law
@given(versions())
def test_what_both_have_is_copied(pair):
    """New bytes are headers, and files whose content the base does not have."""
    base, part = pair
    plan = plan_of(base, part)
    known = {entry.sha256 for entry in entries_of(base)}
    new = [entry for entry in entries_of(part) if entry.sha256 not in known]
    headers = sum(len(delta.archive.header(entry)) for entry in entries_of(part))
    contents = sum(entry.size + -entry.size % 512 for entry in new)
    assert contents <= sum(segment.new for segment in plan.segments) <= contents + headers
    if base.tree == part.tree:
        assert not any(segment.new for segment in plan.segments)
        assert [len(segment.operations) for segment in plan.segments] == [1]


@law
@given(
    st.lists(st.sampled_from([b"one" * 99, b"two" * 999, b"three", b"four" * 500]), min_size=1, max_size=9), versions()
)
def test_all_that_is_gone_is_in_the_dictionary_where_it_fits(contents, pair):
    """However often, and in whatever order, the base has each content."""
    base = built(*(file(f"x/{number}", data) for number, data in enumerate(contents)))
    part = pair[0]
    held = {entry.sha256 for entry in entries_of(part)}
    for segment in plan_of(base, part).segments:
        dictionary = b"\0".join(base.tar[start : start + length] for start, length in segment.dictionary)
        gone = {data for data in contents if file("", data)[0].sha256 not in held}
        assert all(data in dictionary for data in gone) or not segment.new


@law
@given(versions(), BOUNDS, st.integers(1, 1 << 20))
def test_notes_are_read_as_they_were_written(pair, bounds, packed):
    base, part = pair
    with bounded(bounds):
        plan = plan_of(base, part)
    assert decode_head(encode_head(plan), "a delta") == replace(plan, segments=())
    for segment in plan.segments:
        size = packed if segment.new else 0
        assert decode_segment(encode_segment(segment, size), plan.base_size, "a delta") == (segment, size)


@settings(law, max_examples=25)
@given(versions(2, DEPTH + 1), BOUNDS)
def test_a_row_of_deltas_gives_the_tar_at_its_end(parts, bounds):
    shelf = Shelf()
    shelf.whole(parts[0])
    with bounded(bounds):
        for base, part in pairwise(parts):
            if part.layer.diff_id not in shelf.content:
                shelf.delta(base, part)
    for part in parts:
        assert shelf.read(part) == part.tar
