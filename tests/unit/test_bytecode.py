"""Which `.pyc` are valid, held against what the import system itself says."""

from __future__ import annotations

import importlib._bootstrap_external as external
import importlib.util
import os
import py_compile
import sys

import pytest

from snapshot import bytecode
from snapshot.blueprint import file_time
from snapshot.home import FIXED_MTIME

MAGIC = importlib.util.MAGIC_NUMBER
TAG = sys.implementation.cache_tag


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("answer = 42\n")
    return path


def compiled(source, mode="TIMESTAMP"):
    return py_compile.compile(
        str(source), doraise=True, invalidation_mode=getattr(py_compile.PycInvalidationMode, mode)
    )


def judged(source, data, magic=MAGIC):
    status = source.stat()
    return bytecode.stale_because(
        data, magic, int(status.st_mtime), status.st_size, lambda: importlib.util.source_hash(source.read_bytes()).hex()
    )


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("mode", ["TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"])
def test_what_the_compiler_wrote_is_valid(source, mode):
    assert judged(source, read(compiled(source, mode))) is None


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("TIMESTAMP", "its source has another size"),
        ("CHECKED_HASH", "its source has another hash"),
        # Python itself would run it.
        ("UNCHECKED_HASH", "its source has another hash"),
    ],
)
def test_a_changed_source(source, mode, why):
    data = read(compiled(source, mode))
    times = source.stat()
    source.write_text("answer = 43 # longer\n")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert judged(source, data) == why


def test_a_touched_source(source):
    data = read(compiled(source))
    os.utime(source, (1, 1))
    assert judged(source, data) == "older or newer than its source"


@pytest.mark.parametrize("size", [0, 1, 4, 15, 16])
def test_a_file_that_is_cut_short(source, size):
    assert judged(source, read(compiled(source))[:size]) == "written by another interpreter, or cut short"


def test_another_interpreters(source):
    assert judged(source, read(compiled(source)), b"\0\0\r\n") == "written by another interpreter, or cut short"


@pytest.mark.parametrize("flags", [2, 4, 0x100, 0xFFFFFFFF])
def test_unknown_flags(source, flags):
    data = read(compiled(source))
    assert judged(source, data[:4] + flags.to_bytes(4, "little") + data[8:]) == f"unknown flags {flags:#x}"


@pytest.mark.parametrize("digest", ["00" * 32, "ff" * 32, "0000000f423f" + "0" * 52, "00003b9ac9ff" + "0" * 52])
def test_bytecode_with_the_fixed_time_is_valid_for_every_restored_source(source, digest):
    """The fraction of a restored file's time must never round up to the next second."""
    data = bytecode.with_fixed_time(read(compiled(source)))
    time = file_time(digest)
    os.utime(source, ns=(time, time))
    assert judged(source, data) is None
    # As importlib does: the time as a float, cut.
    external._validate_timestamp_pyc(data, int(source.stat().st_mtime), source.stat().st_size, "module", {})


def test_the_fixed_time_changes_nothing_else(source):
    data = read(compiled(source))
    fixed = bytecode.with_fixed_time(data)
    assert (fixed[:8], fixed[12:]) == (data[:8], data[12:])
    assert int.from_bytes(fixed[8:12], "little") == FIXED_MTIME
    hashed = read(compiled(source, "CHECKED_HASH"))
    assert bytecode.with_fixed_time(hashed) == hashed


@pytest.mark.parametrize("mtime", [-1, 2**32 + 5, 2**31])
def test_times_beyond_four_bytes_wrap_as_python_wraps_them(mtime):
    code = compile("", "x", "exec")
    data = bytes(external._code_to_timestamp_pyc(code, mtime, 0))
    assert bytecode.stale_because(data, MAGIC, mtime, 0, lambda: "") is None


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("__pycache__/a.cpython-311.pyc", "a.py"),
        ("p/__pycache__/a.cpython-311.pyc", "p/a.py"),
        ("p/__pycache__/a.cpython-311.opt-1.pyc", "p/a.py"),
        ("p/__pycache__/a.cpython-311.opt-2.pyc", "p/a.py"),
        ("p/__pycache__/test_a.cpython-311-pytest-8.2.0.pyc", "p/test_a.py"),
        ("p/__pycache__/a.b.cpython-311.pyc", "p/a.b.py"),
        ("p/__pycache__/é\udcff\n.cpython-311.pyc", "p/é\udcff\n.py"),
        ("p/__pycache__/a.cpython-312.pyc", None),
        ("p/__pycache__/a.cpython-3111.pyc", None),
        ("p/__pycache__/a.pypy311.pyc", None),
        ("p/__pycache__/.cpython-311.pyc", None),
        ("p/__pycache__/a.pyc", None),
    ],
)
def test_the_source_of_a_pyc(path, source):
    assert bytecode.source_of(path, "cpython-311") == source
    assert bytecode.is_bytecode(path)


def test_a_pyc_beside_its_sources_is_a_module():
    assert not bytecode.is_bytecode("p/a.pyc")
    assert not bytecode.is_bytecode("p/__pycache__/a.py")
    assert not bytecode.is_bytecode("__pycache__.pyc")


@pytest.mark.parametrize("source", ["a.py", "p/a.py", "p/a.b.py", "p/.py", "p/a.cpython-311.py"])
def test_the_place_of_bytecode_is_importlibs(source):
    place = bytecode.cache_path(f"/x/{source}", TAG)
    if source != "p/.py":
        assert place == importlib.util.cache_from_source(f"/x/{source}", optimization="")
        assert bytecode.source_of(place, TAG) == f"/x/{source}"
