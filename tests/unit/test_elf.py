"""RPATHs of libraries that a compiler has just made, checked with readelf, with pyelftools, and by running them elsewhere."""

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
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snapshot.elf import _Elf, rpath_patches
from snapshot.relocate import Place, Places

pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make libraries"),
    pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf to look into them"),
]


def compiled(path, *options, source="int answer(void) { return 42; }\n"):
    """A shared library at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-x", "c", "-", "-x", "none", "-o", str(path), "-O0", "-shared", "-fPIC", "-nostdlib", *options]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def rpaths(path):
    """What readelf says: [(RPATH or RUNPATH, value)]."""
    out = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\((RPATH|RUNPATH)\)\s+Library (?:rpath|runpath): \[(.*)\]", out)


def places_at(prefix, base="/nowhere/base"):
    return Places((Place("prefix", (str(prefix),), ""), Place("base", (base,), ".envparity/python")))


def patched(path, inner, prefix, places):
    """Apply what `rpath_patches` says; return what it reported and check that only that was changed."""
    with path.open("rb") as file:
        patches, problems = rpath_patches(file, inner, str(prefix), places)
    before = path.read_bytes()
    data = bytearray(before)
    for patch in patches:
        data[patch.offset : patch.offset + len(patch.data)] = patch.data
    assert len(data) == len(before)
    assert sum(one != other for one, other in zip(before, data, strict=True)) <= sum(len(p.data) for p in patches)
    path.write_bytes(data)
    return problems


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "captured" / "env"


@pytest.mark.parametrize(("option", "tag"), [("--enable-new-dtags", "RUNPATH"), ("--disable-new-dtags", "RPATH")])
@pytest.mark.parametrize(
    ("inner", "wanted"),
    [("lib/libx.so", "$ORIGIN"), ("lib/a/b/libx.so", "$ORIGIN/../.."), ("bin/x", "$ORIGIN/../lib")],
)
def test_a_path_into_the_prefix_becomes_relative(prefix, inner, wanted, option, tag):
    library = compiled(prefix / inner, f"-Wl,-rpath,{prefix}/lib,{option}")
    assert rpaths(library) == [(tag, f"{prefix}/lib")]
    assert patched(library, inner, prefix, places_at(prefix)) == []
    assert rpaths(library) == [(tag, wanted)]


def test_components_are_changed_one_by_one(prefix):
    value = f"/usr/lib/other:{prefix}/lib:$ORIGIN/x::/nowhere/base/lib:{prefix}2/lib"
    library = compiled(prefix / "lib/libx.so", f"-Wl,-rpath,{value}")
    assert patched(library, "lib/libx.so", prefix, places_at(prefix)) == []
    wanted = f"/usr/lib/other:$ORIGIN:$ORIGIN/x::$ORIGIN/../.envparity/python/lib:{prefix}2/lib"
    assert [value for _, value in rpaths(library)] == [wanted]


def test_both_tags_are_changed(prefix):
    """No linker writes both, but tools that edit libraries do: the tag beside RUNPATH is made into a RPATH of the same string."""
    library = compiled(prefix / "lib/libx.so", f"-Wl,-rpath,{prefix}/lib", "-Wl,-soname,soname.so")
    data = bytearray(library.read_bytes())
    with library.open("rb") as file:
        segment = next(each for each in ELFFile(file).iter_segments() if isinstance(each, DynamicSegment))
        tags = list(segment.iter_tags())
        number = next(number for number, tag in enumerate(tags) if tag.entry.d_tag == "DT_SONAME")
        value = next(tag.entry.d_val for tag in tags if tag.entry.d_tag == "DT_RUNPATH")
        where = segment["p_offset"] + 16 * number
    data[where : where + 16] = (15).to_bytes(8, "little") + value.to_bytes(8, "little")
    library.write_bytes(data)
    assert len(rpaths(library)) == 2
    assert patched(library, "lib/libx.so", prefix, places_at(prefix)) == []
    assert {value for _, value in rpaths(library)} == {"$ORIGIN"}


def test_a_path_that_has_no_room_is_reported(prefix):
    library = compiled(prefix / "lib/deep/libx.so", "-Wl,-rpath,/e/v")
    before = library.read_bytes()
    places = Places((Place("prefix", (str(prefix), "/e/v"), ""),))
    assert patched(library, "lib/deep/libx.so", prefix, places) == ["RPATH /e/v has no room for $ORIGIN/../.."]
    assert library.read_bytes() == before


def names_in_dynstr(path, needle):
    out = subprocess.run(["readelf", "-p", ".dynstr", path], capture_output=True, text=True, check=True).stdout
    return [line.split("]", 1)[1].strip() for line in out.splitlines() if "]" in line and needle in line]


@pytest.mark.parametrize("how", ["symbol", "soname", "defined version", "needed library"])
def test_a_name_that_shares_the_paths_tail_stays(prefix, how, tmp_path):
    """Linkers keep one copy of a string and of what it ends in. Cutting the path may not cut that name."""
    options, source = [f"-Wl,-rpath,{prefix}/lib"], "int answer(void) { return 42; }\n"
    if how == "symbol":
        source = "int lib(void) { return 1; }\n"
    elif how == "soname":
        options.append("-Wl,-soname,lib")
    elif how == "defined version":
        script = tmp_path / "versions"
        script.write_text("lib { global: *; };\n")
        options.append(f"-Wl,--version-script={script}")
    else:
        other = compiled(tmp_path / "other.so", "-Wl,-soname,lib")
        options += ["-Wl,--no-as-needed", str(other)]
    library = compiled(prefix / "lib/libx.so", *options, source=source)
    if "lib" in names_in_dynstr(library, "lib"):
        pytest.skip("this linker does not share tails")
    everything = ["readelf", "-W", "-d", "--dyn-syms", "-V", library]
    before = subprocess.run(everything, capture_output=True, text=True, check=True).stdout
    assert patched(library, "lib/libx.so", prefix, places_at(prefix)) == []
    after = subprocess.run(everything, capture_output=True, text=True, check=True).stdout
    assert after == before.replace(f"[{prefix}/lib]", "[$ORIGIN]")
    assert after != before
    # Nothing of the place is left but that name.
    assert str(prefix).encode() not in library.read_bytes()


def test_a_name_that_shares_more_than_the_tail_is_in_the_way(prefix):
    library = compiled(prefix / "lib/libx.so", f"-Wl,-rpath,{prefix}/lib", f"-Wl,-soname,{str(prefix)[3:]}/lib")
    if len(names_in_dynstr(library, "env/lib")) != 1:
        pytest.skip("this linker does not share tails")
    before = library.read_bytes()
    assert patched(library, "lib/libx.so", prefix, places_at(prefix)) == [
        f"RPATH {prefix}/lib shares its bytes with another name"
    ]
    assert library.read_bytes() == before


def test_a_library_without_section_headers_is_left_alone(prefix):
    """They would say which names there are."""
    library = compiled(prefix / "lib/libx.so", f"-Wl,-rpath,{prefix}/lib")
    data = bytearray(library.read_bytes())
    data[0x28:0x30] = bytes(8)
    data[0x3A:0x40] = bytes(6)
    library.write_bytes(data)
    (problem,) = patched(library, "lib/libx.so", prefix, places_at(prefix))
    assert problem.startswith("not a well-formed ELF file: it has no section headers")
    assert library.read_bytes() == data


@pytest.mark.parametrize("value", [None, "/usr/lib", "$ORIGIN/../lib", "lib", "relative/env"])
def test_other_paths_are_left_alone(prefix, value):
    library = compiled(prefix / "lib/libx.so", *([f"-Wl,-rpath,{value}"] if value else []))
    before = library.read_bytes()
    assert patched(library, "lib/libx.so", prefix, places_at(prefix)) == []
    assert library.read_bytes() == before


def test_names_that_are_not_ascii(prefix):
    odd = os.fsdecode(b"/x/\xc3\xa9/\xff")
    library = compiled(prefix / "é/libx.so", f"-Wl,-rpath,{prefix}/é:{odd}")
    assert patched(library, "é/libx.so", prefix, places_at(prefix)) == []
    with library.open("rb") as file:
        assert _Elf(file).rpaths()[0][0] == b"$ORIGIN:/x/\xc3\xa9/\xff"


def test_a_program_finds_its_library_after_it_was_moved(prefix, tmp_path):
    compiled(prefix / "lib/dep/libdep.so")
    source = "int answer(void); int main(void) { return answer() == 42 ? 0 : 1; }\n"
    program = prefix / "bin/program"
    program.parent.mkdir()
    # The library is named after the source that needs it, or the linker drops it.
    command = ["gcc", "-x", "c", "-", "-o", program, f"-L{prefix}/lib/dep", "-ldep", f"-Wl,-rpath,{prefix}/lib/dep"]
    subprocess.run(command, input=source, text=True, check=True)
    assert patched(program, "bin/program", prefix, places_at(prefix)) == []
    moved = tmp_path / "m"
    (prefix).rename(moved)
    subprocess.run([moved / "bin/program"], check=True)
    assert [value for _, value in rpaths(moved / "bin/program")] == ["$ORIGIN/../lib/dep"]


def test_a_library_loads_another_after_both_were_moved(prefix, tmp_path):
    import ctypes

    compiled(prefix / "lib/x.libs/libdep-1234.so", "-Wl,-soname,libdep-1234.so")
    extension = compiled(
        prefix / "lib/x/_ext.so",
        f"-L{prefix}/lib/x.libs",
        "-l:libdep-1234.so",
        f"-Wl,-rpath,{prefix}/lib/x.libs",
        source="int answer(void); int twice(void) { return 2 * answer(); }\n",
    )
    assert patched(extension, "lib/x/_ext.so", prefix, places_at(prefix)) == []
    prefix.rename(tmp_path / "elsewhere")
    assert ctypes.CDLL(str(tmp_path / "elsewhere/lib/x/_ext.so")).twice() == 84


def by_pyelftools(path):
    """Value of each RPATH and RUNPATH."""
    with path.open("rb") as file:
        return [
            str(getattr(tag, "runpath", None) or getattr(tag, "rpath", "")).encode()
            for segment in ELFFile(file).iter_segments()
            if isinstance(segment, DynamicSegment)
            for tag in segment.iter_tags()
            if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH")
        ]


def test_our_reader_agrees_with_pyelftools_on_what_is_installed():
    directories = [Path(sysconfig.get_path("platlib")), Path(sysconfig.get_path("stdlib")) / "lib-dynload"]
    found = [path for directory in directories for path in sorted(directory.rglob("*.so*"))[:40]]
    assert len(found) > 10
    for path in found:
        with path.open("rb") as file:
            assert [value for value, _ in _Elf(file).rpaths()] == list(dict.fromkeys(by_pyelftools(path))), path


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(100), b"\x7fELF\x09" + bytes(100)])
def test_what_only_looks_like_elf(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with path.open("rb") as file:
        patches, problems = rpath_patches(file, "x", "/opt/env", places_at("/opt/env"))
    assert patches == []
    assert all(problem.startswith("not a well-formed ELF file: ") for problem in problems)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = compiled(tmp_path_factory.mktemp("elf") / "libx.so", "-Wl,-rpath,/opt/env/lib")
    return path.read_bytes()


# Headers at the start, section headers at the end: nearly all that is read.
_POSITIONS = st.one_of(st.integers(0, 700), st.integers(-1400, -9))
_EIGHT = st.one_of(st.binary(min_size=8, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 7 + b"\x7f", b"\0" * 8]))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(_POSITIONS, _EIGHT), min_size=1, max_size=4), st.sampled_from([None, None, 100, 3000]))
def test_no_damage_to_the_headers_stops_a_capture(library, changes, end):
    """Whatever the bytes are: patches that stay within the file, or a finding."""
    damaged = bytearray(library)
    for position, data in changes:
        start = position % len(damaged)
        damaged[start : start + 8] = data
    examined(bytes(damaged[:end]))


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\x02\x01\x01" + bytes(9) + b"\3\0\x3e\0\1\0\0\0" + bytes(8) + b"\xff" * 40)
def test_no_bytes_that_start_like_elf_stop_a_capture(data):
    assert examined(b"\x7fELF" + data) == []


def examined(content):
    """From a real file: its offsets have limits that those of bytes in memory do not have."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(content)
        patches, problems = rpath_patches(file, "lib/libx.so", "/opt/env", places_at("/opt/env"))
    assert all(isinstance(problem, str) for problem in problems)
    for patch in patches:
        assert 0 <= patch.offset <= len(content) - len(patch.data)
    return patches
