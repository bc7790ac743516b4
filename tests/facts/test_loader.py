"""Where the loader looks: its cache against ldconfig, and caches written by hand."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.facts import loader
from snapshot.facts.loader import Loader, directories

CACHED = os.path.exists(loader.CACHE) and next(filter(None, map(shutil.which, ("ldconfig", "/sbin/ldconfig"))), None)
ADDED = 1 << 62


def cache(rows, levels=(), order="<", before=b""):
    """An ld.so.cache: rows of soname, path and the number of a level (or None)."""
    count = len(rows)
    strings, places = b"", {}
    start = 48 + 24 * count
    for text in dict.fromkeys([*(text for row in rows for text in row[:2]), *levels]):
        places[text] = start + len(strings)
        strings += text.encode() + b"\0"
    extension = start + len(strings) + (-(start + len(strings)) % 8) if levels else 0
    flags = 2 if order == "<" else 3
    data = b"glibc-ld.so.cache1.1" + struct.pack(order + "IIB3xI12x", count, len(strings), flags, extension)
    for soname, path, level in rows:
        hwcap = 0 if level is None else level if level >= 1 << 32 else ADDED | level
        data += struct.pack(order + "iIIIQ", 0x0303, places[soname], places[path], 0, hwcap)
    data += strings
    if levels:
        data = data.ljust(extension, b"\0")
        data += struct.pack(order + "IIIIII", 0xEAA42174, 1, 1, 0, extension + 24, 4 * len(levels))
        data += b"".join(struct.pack(order + "I", places[level]) for level in levels)
    return before + data


@pytest.mark.skipif(not CACHED, reason="needs ldconfig and its cache")
def test_the_cache_reads_as_ldconfig_prints_it():
    out = subprocess.run([CACHED, "-p"], capture_output=True, text=True, check=True).stdout
    printed = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", out, re.MULTILINE)
    assert len(printed) > 5
    with open(loader.CACHE, "rb") as file:
        assert [(soname, path) for soname, path, _ in loader._entries(file.read())] == printed


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0\0" + bytes(28)])
def test_both_byte_orders_and_what_older_loaders_read_first(order, before):
    rows = [("libb.so.1", "/lib/libb.so.1", None), ("liba.so", "/opt/v3/liba.so", 0), ("liba.so", "/lib/liba.so", None)]
    found = list(loader._entries(cache(rows, ["x86-64-v3"], order, before)))
    assert found == [
        ("libb.so.1", "/lib/libb.so.1", ""),
        ("liba.so", "/opt/v3/liba.so", "x86-64-v3"),
        ("liba.so", "/lib/liba.so", ""),
    ]


def test_levels_of_old_are_passed_over():
    rows = [("liba.so", "/lib/tls/liba.so", 1 << 63), ("liba.so", "/lib/liba.so", None)]
    assert list(loader._entries(cache(rows))) == [("liba.so", "/lib/liba.so", "")]


@pytest.mark.parametrize(
    ("flags", "order"),
    [
        ("", ["plain"]),
        ("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3", ["v2", "plain"]),
        (
            "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave",
            ["v3", "v2", "plain"],
        ),
        # Not the level below: no processor is like that, and the loader would not take it.
        ("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave", ["plain"]),
    ],
)
def test_the_best_level_that_the_processor_has_comes_first(tmp_path, flags, order):
    rows = [("liba.so", "v2", 0), ("liba.so", "v3", 1), ("liba.so", "plain", None)]
    (tmp_path / "cache").write_bytes(cache(rows, ["x86-64-v2", "x86-64-v3"]))
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    found = Loader((), cache=str(tmp_path / "cache"), cpuinfo=str(tmp_path / "cpuinfo"))
    assert list(found._candidates("liba.so")) == order


def test_default_directories_after_the_cache(tmp_path):
    (tmp_path / "cache").write_bytes(cache([("liba.so", "/x/liba.so", None)]))
    found = Loader(("/lib64", "/usr/lib"), cache=str(tmp_path / "cache"), cpuinfo="")
    assert list(found._candidates("liba.so")) == ["/x/liba.so", "/lib64/liba.so", "/usr/lib/liba.so"]
    assert list(found._candidates("libb.so")) == ["/lib64/libb.so", "/usr/lib/libb.so"]
    assert "/usr/lib/x86_64-linux-gnu" in directories("x86_64")


def test_a_library_of_another_class_is_passed_over(tmp_path):
    script = tmp_path / "libc.so"
    script.write_text("/* GNU ld script */\n")
    found = Loader((str(tmp_path),), cache="", cpuinfo="")
    assert found.find("libc.so", (64, "little", 62)) is None
    assert found.find("libnone.so", (64, "little", 62)) is None


ROWS = [("liba.so", "/opt/v3/liba.so", 0), ("liba.so", "/lib/liba.so", None)]


@settings(max_examples=200)
@given(st.integers(0, 300), st.integers(0, 300), st.binary(min_size=1, max_size=8))
def test_no_damaged_cache_stops_a_capture(end, position, data):
    content = bytearray(cache(ROWS, ["x86-64-v3"]))
    content[position : position + len(data)] = data
    assert len(list(loader._entries(bytes(content[: end + 20])))) <= len(content)
