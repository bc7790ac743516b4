"""Laws of the room that unpacking takes: held against writing and removing the files one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.model import Kind
from snapshot.room import bases_of, unpacking, work
from tests.building import built, file
from tests.deltas import Shelf

law = settings(deadline=None)
SIZES = st.integers(0, 1000)
ROWS = st.lists(SIZES, max_size=6)
LAYERS = st.lists(st.tuples(SIZES, ROWS), max_size=8)


def simulated(layers):
    """Bytes there at one time: a layer's bases are written one after the other, over those of the layer before it."""
    done = file = worst = 0
    for size, row in layers:
        at = 0
        for base in reversed(row):
            at += base
            file = max(file, at)
            worst = max(worst, done + file)
        done += size
        worst = max(worst, done + file)
    return worst


@law
@given(LAYERS)
def test_one_process_takes_what_its_layers_take_one_after_the_other(layers):
    sizes, rows = [size for size, _ in layers], [row for _, row in layers]
    assert unpacking(sizes, rows, [list(range(len(layers)))]) == simulated(layers)


@law
@given(LAYERS, st.integers(1, 4))
def test_several_processes_take_at_least_as_much(layers, count):
    sizes, rows = [size for size, _ in layers], [row for _, row in layers]
    parts = [list(range(start, len(layers), count)) for start in range(count)]
    needed = unpacking(sizes, rows, parts)
    assert needed == sum(unpacking(sizes, rows, [part]) for part in parts)
    assert needed >= simulated(layers)


def test_what_a_row_needs_is_read_from_the_heads_of_its_deltas():
    shelf = Shelf()
    data = [bytes(range(256)) * (100 + number) for number in range(3)]
    parts = [built(file("a", each), kind=Kind.DISTRIBUTION, name="part", version="1") for each in data]
    shelf.whole(parts[0])
    shelf.delta(parts[0], parts[1])
    shelf.delta(parts[1], parts[2])
    found = [bases_of(shelf.store, shelf.content, part.layer.diff_id, "part") for part in parts]
    blobs = [shelf.content[part.layer.diff_id].size for part in parts]
    assert [each.sizes for each in found] == [
        [],
        [parts[0].layer.size],
        [parts[1].layer.size, parts[0].layer.size],
    ]
    assert [each.packed for each in found] == [blobs[0], sum(blobs[:2]), sum(blobs)]
    takes = [work(part.layer, each) for part, each in zip(parts, found, strict=True)]
    assert takes == sorted(takes)
    assert takes[2] - takes[1] > parts[2].layer.size // 2
