"""Pickles that are made to cost much: each is given up with a reason, in little memory."""

from __future__ import annotations

import gzip
import pickle
import tracemalloc

import pytest

from diffing import artifacts, pickles
from diffing.usage import read_model


def problem(tmp_path, data, name="model.pkl"):
    (tmp_path / name).write_bytes(data)
    tracemalloc.start()
    try:
        (found,) = read_model(tmp_path / name).problems
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()
    return found.removeprefix(f"{name}: ")


def test_more_opcodes_than_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_OPCODES", 10_000)
    said = "a pickle that is not read to its end: more than 10,000 opcodes"
    assert problem(tmp_path, b"\x80\x04" + b"N0" * 20_000 + b"N.") == said
    # The pickles inside share what may be read.
    inner = b"\x80\x04" + b"N0" * 4_000 + b"N."
    assert problem(tmp_path, pickle.dumps([inner, bytes(bytearray(inner)), inner + b"0"])) == said


def test_more_objects_than_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_KEPT", 1_000)
    assert problem(tmp_path, b"\x80\x04" + b"N" * 2_000) == (
        "a pickle that is not read to its end: more than 1,000 objects wait on the stack"
    )
    remembered = b"".join(b"X\x04\x00\x00\x00n%03dq%c0" % (n % 1000, n % 256) for n in range(300))
    assert not read_of(tmp_path, b"\x80\x04" + remembered + b"N.").problems


def read_of(tmp_path, data):
    (tmp_path / "model.pkl").write_bytes(data)
    return read_model(tmp_path / "model.pkl")


def test_a_name_that_no_longer_fits_into_memory_is_not_taken_for_none(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_KEPT", 10)
    filler = b"".join(b"\x8c\x02n%d\x940" % n for n in range(10))
    data = b"\x80\x04" + filler + b"\x8c\x02os\x940h\x0a\x8c\x06system\x93."
    assert read_of(tmp_path, data).problems == (
        "model.pkl: a name in it is not known: more objects than are kept in mind",
    )


def test_more_names_than_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_NAMES", 100)
    data = b"\x80\x02" + b"".join(b"cos\nn%d\n0" % n for n in range(200)) + b"N."
    assert problem(tmp_path, data) == "a pickle that is not read to its end: more than 100 names"


@pytest.mark.parametrize("opcode", [b"\x8e", b"\x8d", b"\x96"])
def test_a_length_that_is_a_lie(tmp_path, opcode):
    said = problem(tmp_path, b"\x80\x05" + opcode + (1 << 62).to_bytes(8, "little") + b"abc")
    assert said.startswith("a damaged pickle: it ends at byte")


def test_a_line_without_an_end(tmp_path):
    assert problem(tmp_path, b"c" + b"o" * 20_000_000).startswith(
        "a pickle that is not read to its end: a line of more than"
    )


def test_pickles_in_pickles_in_pickles(tmp_path):
    data = pickle.dumps(1)
    for _ in range(50):
        data = pickle.dumps(data)
    assert problem(tmp_path, data) == "a pickle that is not read to its end: pickles within pickles, more than 8 deep"


def test_a_bomb_of_zeros(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts, "MOST_UNPACKED", 1 << 20)
    bomb = b"\x80\x04\x8e" + (8 << 20).to_bytes(8, "little") + bytes(8 << 20) + b"."
    assert problem(tmp_path, gzip.compress(bomb)) == (
        "a pickle that is not read to its end: it unpacks to more than 1,048,576 bytes"
    )


def test_a_memo_without_order(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MOST_NAMES", 100)
    data = b"\x80\x02N" + b"".join(b"r" + (2 * n + 5).to_bytes(4, "little") for n in range(500)) + b"."
    assert problem(tmp_path, data) == "a pickle that is not read to its end: its memo has no order"


def test_two_gigabytes_that_are_skipped_take_no_memory(tmp_path):
    path = tmp_path / "model.pkl"
    size = 2 << 30
    with path.open("wb") as file:
        file.write(b"\x80\x04\x8e" + size.to_bytes(8, "little"))
        file.seek(size, 1)
        file.write(b"0cos\nsystem\n.")
    tracemalloc.start()
    try:
        usage = read_model(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (usage.modules, usage.problems) == ({"os"}, ())
