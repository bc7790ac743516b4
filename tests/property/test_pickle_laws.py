"""What is read of a pickle is what the unpickler looks up: the unpickler itself and `pickletools` are the oracles."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import decimal
import fractions
import io
import pathlib
import pickle
import pickletools
import uuid

from hypothesis import given
from hypothesis import strategies as st

from diffing.bytestream import Stream
from diffing.errors import DiffError
from diffing.pickles import Contents, scan

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.dates(),
    st.datetimes(timezones=st.just(dt.timezone.utc)),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.sampled_from(
        [pathlib.PurePosixPath("a/b"), len, dict.fromkeys, collections.OrderedDict, fractions.Fraction, uuid.UUID]
    ),
    st.binary(max_size=10).map(bytearray),
)
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=3).map(collections.deque),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
        st.dictionaries(st.text(max_size=5), inner, max_size=3).map(collections.OrderedDict),
        st.lists(inner, max_size=2).map(lambda items: [items, items]),
        inner.map(lambda value: pickle.dumps(value) and [value]),
    ),
    max_leaves=12,
)


class Listening(pickle.Unpickler):
    """Loads, and writes down what it looks up. `fix_imports` off: names are as they stand there."""

    def __init__(self, file):
        super().__init__(file, fix_imports=False)
        self.found = set()

    def find_class(self, module, name):
        self.found.add((module, name))
        return super().find_class({"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module), name)


def read(data):
    contents = Contents()
    stream = Stream(io.BytesIO(data), size=len(data))
    scan(stream, contents)
    return contents, stream.position


@given(OBJECTS, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_names_are_those_that_loading_looks_up(value, protocol):
    data = pickle.dumps(value, protocol, fix_imports=False)
    oracle = Listening(io.BytesIO(data))
    oracle.load()
    contents, end = read(data)
    assert {tuple(name) for name in contents.names} == oracle.found
    assert not contents.problems
    assert end == len(data)


@given(OBJECTS, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_an_optimised_pickle_says_the_same(value, protocol):
    data = pickle.dumps(value, protocol)
    assert read(pickletools.optimize(data))[0].names == read(data)[0].names


@given(OBJECTS, st.integers(0, pickle.HIGHEST_PROTOCOL), st.data())
def test_damage_is_an_error_of_ours_and_what_loads_nevertheless_is_known(value, protocol, data):
    pickled = bytearray(pickle.dumps(value, protocol))
    for _ in range(data.draw(st.integers(1, 3))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    contents = Contents()
    try:
        scan(Stream(io.BytesIO(pickled), size=len(pickled)), contents)
    except DiffError:
        return
    if b"\\" in pickled:
        return  # pickletools takes it for an escape in a name, the unpickler does not
    looked_up = set()
    try:
        for opcode, argument, _ in pickletools.genops(bytes(pickled)):
            if opcode.name in {"GLOBAL", "INST"}:
                looked_up.add(tuple(argument.split(" ", 1)))
    except (ValueError, UnicodeDecodeError):
        return
    assert looked_up <= {(name.module, name.name) for name in contents.names}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(DiffError):
        read(data)


def test_decimals_are_found():
    """The laws above would hold of a reader that finds nothing if nothing were ever there."""
    assert ("decimal", "Decimal") in read(pickle.dumps(decimal.Decimal(1)))[0].names
