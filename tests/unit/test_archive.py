"""The tar framing: which header says what, byte by byte where it matters."""

from __future__ import annotations

import io
import tarfile

import pytest

from snapshot import archive
from snapshot.model import Entry


def members(header):
    with tarfile.open(fileobj=io.BytesIO(header + archive.END), errors="surrogateescape", encoding="utf-8") as tar:
        return tar.getmembers()


def test_a_header_has_nothing_of_the_machine():
    header = archive.header(Entry("a", "f", 0o644, 3))
    assert len(header) == 512
    assert header[:2] == b"a\0"
    assert header[100:108] == b"0000644\0"
    assert header[108:124] == b"0000000\0" * 2
    assert header[124:136] == b"00000000003\0"
    assert header[136:148] == b"07346545000\0"
    assert header[156:157] == b"0"
    assert header[257:265] == b"ustar\00000"
    assert not any(header[265:])


@pytest.mark.parametrize(("size", "blocks"), [(99, 1), (100, 1), (101, 3)])
def test_a_long_path_gets_a_pax_header(size, blocks):
    header = archive.header(Entry("p" * size, "f", 0o644))
    assert len(header) == blocks * 512
    assert members(header)[0].name == "p" * size


@pytest.mark.parametrize(("size", "blocks"), [(100, 1), (101, 3), (2000, 6)])
def test_a_long_target_gets_a_pax_header(size, blocks):
    header = archive.header(Entry("a", "l", target="t" * size))
    assert len(header) == blocks * 512
    assert (members(header)[0].name, members(header)[0].linkname) == ("a", "t" * size)


@pytest.mark.parametrize("path", ["é", "\udcff", "a\n", "a=b", "x/" * 60 + "é", "\udcc3é"])
def test_an_odd_path_is_read_back(path):
    (member,) = members(archive.header(Entry(path, "f", 0o644)))
    assert member.name == path


def test_bytes_that_are_not_utf8_say_so():
    assert b"21 hdrcharset=BINARY\n" in archive.header(Entry("\udcff", "f", 0o644))
    assert b"hdrcharset" not in archive.header(Entry("é", "f", 0o644))


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 10**15])
def test_sizes_beyond_eight_gibibytes(size):
    header = archive.header(Entry("a", "f", 0o644, size))
    assert len(header) == (512 if size < 8**11 else 1536)
    with tarfile.open(fileobj=io.BytesIO(header)) as tar:
        assert tar.next().size == size


def test_a_pax_record_counts_its_own_digits():
    """The length of the length changes it: at 99 and 999 most of all."""
    for length in range(1020):
        value = b"v" * length
        record = archive._record(b"path", value)
        digits, _, rest = record.partition(b" ")
        assert int(digits) == len(record)
        assert rest == b"path=" + value + b"\n"


@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding_fills_the_block(size, zeros):
    assert archive.padding(size) == bytes(zeros)


def test_the_size_of_an_empty_tar_is_its_end():
    assert archive.tar_size(()) == 1024 == len(archive.END)


def test_the_size_counts_what_is_too_large_to_be_made():
    assert archive.tar_size([Entry("a", "f", 0o644, 10**15 + 1)]) == 1536 + 10**15 + 512 + 1024
