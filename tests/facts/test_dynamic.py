"""The reader of ELF headers against readelf and pyelftools, and against damage."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.segments import NoteSegment
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snapshot.facts.dynamic import Dynamic, read

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make libraries")


def installed():
    own = [Path(sysconfig.get_path("platlib")), Path(sysconfig.get_path("stdlib")) / "lib-dynload"]
    found = [path for directory in own for path in sorted(directory.rglob("*.so*"))[:60]]
    system = [Path(directory) for directory in ("/lib/x86_64-linux-gnu", "/usr/lib64") if os.path.isdir(directory)]
    found += [path for directory in system for path in sorted(directory.glob("*.so*"))[:100]]
    return [path for path in found if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


def by_pyelftools(path):
    with path.open("rb") as file:
        elf = ELFFile(file)
        needed, one, build_id = [], {}, ""
        for segment in elf.iter_segments():
            if isinstance(segment, DynamicSegment):
                for tag in segment.iter_tags():
                    if tag.entry.d_tag == "DT_NEEDED":
                        needed.append(tag.needed)
                    elif tag.entry.d_tag in ("DT_SONAME", "DT_RPATH", "DT_RUNPATH"):
                        name = tag.entry.d_tag[3:].lower()
                        one[name] = getattr(tag, name)
            elif isinstance(segment, NoteSegment):
                for note in segment.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        build_id = note["n_desc"]
        versions = [
            (library.name, version.name)
            for section in elf.iter_sections()
            if isinstance(section, GNUVerNeedSection)
            for library, found in section.iter_versions()
            for version in found
            if not version["vna_flags"] & 2
        ]
        kind = (elf.elfclass, "little" if elf.little_endian else "big", elf.header["e_machine"])
    return kind, tuple(needed), one, tuple(versions), build_id


def test_we_agree_with_pyelftools_on_what_is_installed():
    paths = installed()
    assert len(paths) > 20
    for path in paths:
        found = read(str(path), build_id=True)
        kind, needed, one, versions, build_id = by_pyelftools(path)
        assert found is not None, path
        assert found.kind[:2] == kind[:2]
        assert (found.needed, found.versions, found.build_id) == (needed, versions, build_id), path
        names = {"soname": found.soname, "rpath": found.rpath, "runpath": found.runpath}
        assert {name: value for name, value in names.items() if value} == {k: v for k, v in one.items() if v}, path


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
def test_we_agree_with_readelf_on_what_is_needed():
    for path in installed()[:30]:
        out = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout
        found = read(str(path))
        assert found is not None
        assert list(found.needed) == re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", out)
        assert found.build_id == ""  # not asked for


@pytest.mark.parametrize(
    "content",
    [b"", b"#!/bin/sh\n", b"\x7fEL", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(100), b"\x7fELF\x09" + bytes(99)],
)
def test_what_is_no_elf_file(tmp_path, content):
    path = tmp_path / "x.so"
    path.write_bytes(content)
    found = read(str(path))
    assert found is None or found == Dynamic(found.kind)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "x.so"))


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "x.so")
    with pytest.raises(OSError):
        read(str(tmp_path / "x.so"))


@needs_gcc
def test_a_name_longer_than_one_read(tmp_path):
    path = tmp_path / "libx.so"
    long = ":".join(f"/opt/{number:060d}" for number in range(40))
    command = ["gcc", "-x", "c", "-", "-o", str(path), "-shared", "-fPIC", "-nostdlib", f"-Wl,-rpath,{long}"]
    subprocess.run(command, input="int x(void) { return 1; }\n", text=True, check=True)
    found = read(str(path))
    assert found is not None
    assert long in (found.rpath, found.runpath)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("elf") / "libx.so"
    command = ["gcc", "-x", "c", "-", "-o", str(path), "-shared", "-fPIC", "-Wl,-rpath,/opt/env/lib,--build-id", "-lm"]
    source = '#include <math.h>\n#include <stdio.h>\ndouble x(double y) { puts(""); return exp(y); }\n'
    subprocess.run(command, input=source, text=True, check=True)
    return path.read_bytes()


_POSITIONS = st.one_of(st.integers(0, 2000), st.integers(-6000, -9))
_EIGHT = st.one_of(st.binary(min_size=8, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 7 + b"\x7f", b"\0" * 8]))


def looked_at(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return read(file.name, build_id=True)


@needs_gcc
@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(_POSITIONS, _EIGHT), min_size=1, max_size=4), st.sampled_from([None, None, 100, 3000]))
def test_no_damage_stops_a_capture(library, changes, end):
    damaged = bytearray(library)
    for position, data in changes:
        start = position % len(damaged)
        damaged[start : start + 8] = data
    found = looked_at(bytes(damaged[:end]))
    assert found is None or all(isinstance(name, str) for name in found.needed)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\x02\x01\x01" + bytes(9) + b"\3\0\x3e\0\1\0\0\0" + bytes(8) + b"\xff" * 40)
def test_no_bytes_that_start_like_elf_stop_a_capture(data):
    found = looked_at(b"\x7fELF" + data)
    assert found is None or found.needed == ()
