"""Laws of the room that unpacking takes: held against writing and removing the files one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.room import unpacking

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
