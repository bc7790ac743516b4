"""A snapshot made flat: what the hostile tests do not look at, which is what good snapshots become."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from snapshot.blueprint import Blueprint, file_time
from snapshot.documents import digest_of
from snapshot.flattening import UnsafeSnapshotError, blueprint_of, leads_out
from snapshot.home import FIXED_MTIME, PYTHON_MOUNT
from snapshot.model import Environment, Kind
from snapshot.serialize import decode_tree
from tests.building import ENVIRONMENT, INTERPRETER, built, directory, file, link, snapshot_of

ID = digest_of(b"a snapshot")


def flat(*parts, interpreter=INTERPRETER, environment=ENVIRONMENT, origin=None):
    snapshot = snapshot_of([part.layer for part in parts], interpreter, environment)
    return blueprint_of(ID, snapshot, {part.layer.tree: decode_tree(part.tree) for part in parts}, origin)


def test_every_entry_has_its_place():
    interpreter = built(file("bin/python3.11", b"x", 0o755), kind=Kind.INTERPRETER, mount=PYTHON_MOUNT)
    other = built(
        file("lib/a.py", b"1"),
        file("bin/tool", b"#!\n", 0o755, at=((2, "prefix"),)),
        link("lib64", "lib"),
        directory("hollow"),
        directory("shut/inner", 0o555),
    )
    made = flat(interpreter, other, origin="/base")
    assert made.directories == [
        ".envparity", PYTHON_MOUNT, f"{PYTHON_MOUNT}/bin", "bin", "hollow", "lib", "shut", "shut/inner",
    ]  # fmt: skip
    assert made.read_only == ["shut/inner"]
    assert made.links == [("lib64", "lib", ())]
    assert [(files.mount, files.paths, files.modes, files.sizes) for files in made.files] == [
        (PYTHON_MOUNT, ["bin/python3.11"], [0o755], [1]),
        ("", ["lib/a.py"], [0o644], [1]),
    ]
    assert [(item.path, item.inner, item.mode, item.at) for item in made.templates] == [
        ("bin/tool", "bin/tool", 0o755, ((2, "prefix"),))
    ]
    assert made.layers() == {interpreter.layer.tree, other.layer.tree}
    assert (made.origin, made.python) == ("/base", "bin/python")


def test_it_is_read_back_as_it_was_kept():
    made = flat(built(file("\udcff\n", b"1"), file("t", b"x", at=((1, "prefix"),)), link("l", "/x", at=((0, "base"),))))
    again = Blueprint.decode(made.encode(), ID)
    assert again.encode() == made.encode()
    assert again.files == made.files
    assert again.templates == made.templates


def test_another_snapshots_is_not_used():
    assert Blueprint.decode(flat(built(file("a"))).encode(), digest_of(b"another")) is None


def test_one_of_another_version_of_this_code_is_not_used():
    row = json.loads(flat(built(file("a"))).encode())
    row["format"] += 1
    assert Blueprint.decode(json.dumps(row).encode(), ID) is None


def test_the_interpreter_of_a_prefix_of_its_own():
    made = flat(built(file("bin/python3.11")), environment=Environment("base", "", "none", False))
    assert made.python == "bin/python3.11"


@pytest.mark.parametrize(
    ("bytecode", "has", "expected"),
    [
        ("none", True, []),
        ("kept", True, ["lib/_sysconfigdata.py"]),
        ("kept", False, ["lib/_sysconfigdata.py"]),
        ("compiled", False, ["bin/tool.py", "lib/_sysconfigdata.py"]),
    ],
)
def test_which_sources_are_compiled_where_they_are_restored(bytecode, has, expected):
    rows = [file("lib/_sysconfigdata.py", b"1", at=((0, "prefix"),)), file("bin/tool.py", b"2", at=((0, "prefix"),))]
    rows += [file("lib/a.py"), file("lib/x.txt", b"3", at=((0, "prefix"),))]
    parts = [built(*rows)]
    if has:
        parts.append(built(file("lib/__pycache__/a.cpython-311.pyc", b"pyc"), kind=Kind.BYTECODE, name="unowned"))
    assert flat(*parts, environment=replace(ENVIRONMENT, bytecode=bytecode)).needs_compiling() == expected


def test_layers_may_share_directories():
    one = built(file("lib/p/a"), directory("lib/p/hollow"))
    other = built(file("lib/p/b"), directory("lib/p/hollow"), kind=Kind.DISTRIBUTION, name="p")
    assert flat(one, other).directories == ["lib", "lib/p", "lib/p/hollow"]


def test_a_directory_that_one_layer_needs_is_made_with_it():
    one = built(
        file("lib/p/a", b"1"), file("lib/p/own/deep/b", b"2"), file("lib/q/shared/c", b"3"), directory("lib/hollow")
    )
    other = built(file("lib/p/d", b"4"), file("lib/q/shared/e/f", b"5"), kind=Kind.DISTRIBUTION, name="p")
    links = built(link("lib/r/l", "x"), kind=Kind.ENVIRONMENT, name="environment")
    made = flat(one, other, links)
    own = {files.paths[0]: files.directories for files in made.files}
    assert own == {"lib/p/a": ["lib/hollow", "lib/p/own", "lib/p/own/deep"], "lib/p/d": ["lib/q/shared/e"]}
    others = set(made.directories) - {path for paths in own.values() for path in paths}
    assert others == {"lib", "lib/p", "lib/q", "lib/q/shared", "lib/r"}


def test_the_same_path_in_two_mounts_is_two_places():
    sources = (("x", ".envparity/src/x"), ("y", ".envparity/src/y"))
    parts = [built(file("a", b"1"), kind=Kind.SOURCE, name=name, mount=mount) for name, mount in sources]
    made = flat(*parts, environment=replace(ENVIRONMENT, sources=sources))
    assert [files.mount for files in made.files] == [".envparity/src/x", ".envparity/src/y"]


def test_a_link_that_says_that_it_leads_out_may():
    made = flat(built(link("a", "/etc/ssl", outside=True), link("b", "../x", outside=True)))
    assert [path for path, _, _ in made.links] == ["a", "b"]


def test_the_error_says_what_is_wrong_and_where():
    with pytest.raises(UnsafeSnapshotError) as caught:
        flat(built(file("a"), kind=Kind.DISTRIBUTION, name="p"), built(file("a/b"), kind=Kind.DISTRIBUTION, name="q"))
    assert str(caught.value) == "layer p 1.0: 'a' is a file or link, and a directory elsewhere"


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a/b", "../c", False),
        ("a/b/c", "../..", False),
        ("a", ".", False),
        ("a/b", "./../a/./c", False),
        ("a", "..a", False),
        ("a", "...", False),
        ("a", "..", True),
        ("a", "../a", True),
        ("a/b", "../..", True),
        ("a", "/", True),
        ("a", "//x", True),
        ("a", "b/../..", True),
    ],
)
def test_where_a_link_leads(path, target, out):
    assert leads_out(path, target) is out


@pytest.mark.parametrize("one", ["00" * 32, "ff" * 32, "3b9ac9ff" * 8])
def test_the_time_of_a_file_is_within_the_fixed_second(one):
    time = file_time(one)
    assert time // 10**9 == FIXED_MTIME
    assert int(time / 1e9) == FIXED_MTIME
    assert time % 1000 == 0


def test_files_of_one_size_have_different_times():
    assert len({file_time(digest_of(str(number).encode()).hex) for number in range(100)}) == 100
