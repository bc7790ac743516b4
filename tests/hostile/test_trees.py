"""Trees that name what no tree may name. The tree's digest and everything else is right: only its content is hostile."""

from __future__ import annotations

import json

import pytest

from snapshot.documents import canonical
from snapshot.home import PYTHON_MOUNT
from snapshot.model import Environment, Kind
from tests.building import ENVIRONMENT, INTERPRETER, as_given, built, directory, file, link, tar_of, with_layer

DIGEST = "ab" * 32
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def raw(*rows, **document):
    """A layer whose tree is these JSON rows, whatever they are."""
    encoded = json.dumps({"schema": 1, "entries": list(rows), **document}).encode("ascii")
    return as_given((), tar_of([]), encoded=encoded)


def test_the_ground_is_good(ground):
    """Nothing of the machinery that the other tests rely on is itself what is refused."""
    ground.publish(
        built(
            file("bin/tool", b"#!/bin/python\n", 0o755, at=((2, "prefix"),)),
            file("lib/a.py", b"a = 1\n"),
            file("lib/empty"),
            file("lib/\udcff\n", b"odd", 0o444),
            link("lib64", "lib"),
            link("bin/python", "/bin/python3.11", at=((0, "base"),)),
            link("out", "/dev/null", outside=True),
            directory("hollow", 0o555),
        ),
        built(file("bin/python3.11", b"\x7fELF", 0o755), kind=Kind.INTERPRETER, mount=PYTHON_MOUNT),
    )
    done = ground.restore()
    env = ground.destination
    assert (env / "bin/tool").read_bytes() == f"#!{env}/bin/python\n".encode()
    assert (env / "bin/python").read_bytes() == b"\x7fELF"
    assert (env / "lib64/a.py").read_text() == "a = 1\n"
    assert (env / "out").readlink().as_posix() == "/dev/null"
    assert (env / "hollow").stat().st_mode & 0o777 == 0o555
    assert (done.linked_files + done.written_files, done.destination) == (6, env)


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../evil",
        "a/../../evil",
        "a/..",
        "/etc/evil",
        "/",
        "",
        "a//b",
        "a/",
        "./a",
        "a/./b",
        ".",
        "a\0b",
        "..\n/..",
        "\0",
    ],
)
@pytest.mark.parametrize("kind", ["f", "l", "d"])
def test_a_path_that_is_not_below_the_destination(ground, path, kind):
    row = {"f": [path, "f", 0o644, 0, EMPTY], "l": [path, "l", "a"], "d": [path, "d", 0o755]}[kind]
    ground.publish(raw(row))
    if path == "..\n/..":
        ground.refuses(r"tree of unowned\.entries\[0\]: unsafe path '\.\.\\n/\.\.'")
    else:
        message = ground.refuses(r"tree of unowned\.entries\[0\]: unsafe path ")
        assert repr(path) in message


@pytest.mark.parametrize("path", ["\ud800", "a/\udfff", "\udcc3\udca9", "x\udc41"])
def test_a_name_that_is_not_the_one_way_to_write_some_bytes(ground, path):
    ground.publish(raw([path, "f", 0o644, 0, EMPTY]))
    ground.refuses(r"tree of unowned\.entries\[0\]: '.*' is not the one way to write a file's name")
    ground.publish(raw(["a", "l", path]))
    ground.refuses(r"tree of unowned\.entries\[0\]: '.*' is not the one way to write a file's name")


@pytest.mark.parametrize("paths", [["b", "a"], ["a", "a"], ["\udcff", "é"], ["a/b", "a", "a/c"]])
def test_paths_that_are_there_twice_or_in_no_order(ground, paths):
    ground.publish(raw(*([path, "f", 0o644, 0, EMPTY] for path in paths)))
    ground.refuses(r"tree of unowned\.entries\[1\]: .* is out of order or there twice")


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ([], "want a list"),
        ("pl", "want a list"),
        ({"0": "a", "1": "f"}, "want a list"),
        (None, "want a list"),
        (["a"], "want a list"),
        (["a", "c", 0o644], "want a list"),
        (["a", "h", "b"], "want a list"),
        (["a", ["f"], 0o644, 0, EMPTY], "want a list"),
        (["a", "f", 0o644, 0], "4 fields for an entry of type 'f'"),
        (["a", "f", 0o644, 0, EMPTY, {}, {}], "7 fields for an entry of type 'f'"),
        (["a", "f", 0o4755, 0, EMPTY], "mode 2541 "),
        (["a", "f", 0o777, 0, EMPTY], "mode 511 "),
        (["a", "f", 420.0, 0, EMPTY], r"mode 420\.0 "),
        (["a", "f", "420", 0, EMPTY], "mode '420' "),
        (["a", "f", None, 0, EMPTY], "mode None "),
        (["a", "d", 0o1777], "mode 1023 "),
        (["a", "d", 0], "mode 0 "),
        (["a", "f", 0o644, -1, EMPTY], "want a size, found -1"),
        (["a", "f", 0o644, True, EMPTY], "want a size, found True"),
        (["a", "f", 0o644, 1.0, EMPTY], r"want a size, found 1\.0"),
        (["a", "f", 0o644, 10**400, EMPTY], "want a size, found 1000"),
        (["a", "f", 0o644, 0, "zz" * 32], "want a sha256 in hexadecimal, found 'zz"),
        (["a", "f", 0o644, 0, EMPTY.upper()], "want a sha256 in hexadecimal"),
        (["a", "f", 0o644, 0, list(EMPTY)], "want a sha256 in hexadecimal"),
        (["a", "f", 0o644, 0, EMPTY + "\n"], "want a sha256 in hexadecimal"),
        ([7, "f", 0o644, 0, EMPTY], "path and target are text"),
        (["a", "l", None], "path and target are text"),
        (["a", "l", "b\0c"], "path and target are text without NUL"),
        (["a", "f", 0o644, 0, EMPTY, 5], "want an object, found int"),
        (["a", "f", 0o644, 0, EMPTY, {"at": 5}], r"\.at: want list"),
        (["a", "f", 0o644, 0, EMPTY, {"at": [0, "prefix"]}], r"\.at\[0\]: want \[offset, token\]"),
        (["a", "f", 0o644, 0, EMPTY, {"at": [["0", "prefix"]]}], r"\.at\[0\]: want \[offset, token\]"),
        (["a", "f", 0o644, 0, EMPTY, {"at": [[0, 1]]}], r"\.at\[0\]: want \[offset, token\]"),
        (["a", "f", 0o644, 0, EMPTY, {"at": [[-1, "prefix"]]}], r"\.at\[0\]: offset -1 "),
        (["a", "f", 0o644, 3, DIGEST, {"at": [[4, "prefix"]]}], r"\.at\[0\]: offset 4 is .* past the end at 3"),
        (["a", "f", 0o644, 3, DIGEST, {"at": [[2, "prefix"], [1, "prefix"]]}], r"\.at\[1\]: offset 1 is out of order"),
        (["a", "d", 0o755, {"at": [[0, "prefix"]]}], r"\.at\[0\]: offset 0 "),
        (["a", "f", 0o644, 0, EMPTY, {"rule": ["record"]}], r"\.rule: want str"),
        (["a", "f", 0o644, 0, EMPTY, {"rule": "x", "as": 1}], r"\.as: want str"),
        (["a", "l", "/etc", {"outside": "yes"}], r"\.outside: want bool"),
    ],
)
def test_a_row_that_is_no_entry(ground, row, match):
    ground.publish(raw(row))
    ground.refuses(r"tree of unowned\.entries\[0\].*" + match)


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        (b"[" * 200_000, "tree of unowned is not JSON"),
        (b"", "tree of unowned is not JSON"),
        (b"\xff\xfe", "tree of unowned is not JSON"),
        (b"[]", "tree of unowned: want an object, found list"),
        (b'{"schema":1}', r"tree of unowned\.entries: missing"),
        (b'{"schema":1,"entries":{}}', r"tree of unowned\.entries: want list, found dict"),
        (b'{"entries":[]}', r"tree of unowned\.schema: missing"),
        (b'{"schema":"1","entries":[]}', r"tree of unowned\.schema: want int, found str"),
        (b'{"schema":true,"entries":[]}', r"tree of unowned\.schema: want int, found bool"),
        (
            b'{"schema":2,"entries":[]}',
            r"tree of unowned\.schema: 2 is newer than this envparity reads \(1\); install a newer",
        ),
    ],
)
def test_a_tree_that_is_no_tree(ground, tree, match):
    ground.publish(as_given((), tar_of([]), encoded=tree))
    ground.refuses(match)


def test_a_file_below_a_link(ground):
    """The classic: a link that leads out, and a file through it."""
    ground.publish(raw(["a", "l", "../beside", {"outside": True}], ["a/victim", "f", 0o644, 0, EMPTY]))
    ground.refuses("layer unowned: 'a' is a file or link, and a directory elsewhere")


def test_a_file_below_a_link_of_another_layer(ground):
    ground.publish(
        built(link("a", "../beside", outside=True)),
        built(file("a/victim", b"changed"), kind=Kind.DISTRIBUTION, name="evil"),
    )
    ground.refuses("layer unowned: 'a' is a file or link, and a directory elsewhere")


def test_a_directory_where_a_link_is(ground):
    """Its mode would be set through the link."""
    ground.publish(
        built(link("a", "../beside", outside=True)), built(directory("a", 0o555), kind=Kind.DISTRIBUTION, name="evil")
    )
    ground.refuses("layer unowned: 'a' is a file or link, and a directory elsewhere")


def test_a_file_below_a_file(ground):
    ground.publish(built(file("a")), built(file("a/b"), kind=Kind.DISTRIBUTION, name="evil"))
    ground.refuses("layer unowned: 'a' is a file or link, and a directory elsewhere")


@pytest.mark.parametrize("other", [file("lib/a", b"2"), link("lib/a", "b"), file("lib/a", b"1")])
def test_one_path_in_two_layers(ground, other):
    ground.publish(built(file("lib/a", b"1")), built(other, kind=Kind.DISTRIBUTION, name="evil"))
    ground.refuses("two layers have 'lib/a': evil 1.0 and unowned")


def test_one_path_in_two_layers_of_one_name(ground):
    ground.publish(built(file("a", b"1")), built(file("a", b"2")))
    ground.refuses("two layers have 'a': unowned and unowned")


def test_one_layer_twice(ground):
    part = built(file("a", b"1"))
    ground.publish(part, part)
    ground.refuses("two layers have 'a': unowned and unowned")


def test_one_place_reached_through_two_mounts(ground):
    environment = Environment(
        "venv", PYTHON_MOUNT, "none", False, (("x", ".envparity/src/a"), ("y", ".envparity/src/a"))
    )
    ground.publish(
        built(file("f", b"1"), kind=Kind.SOURCE, name="x", mount=".envparity/src/a"),
        built(file("f", b"2"), kind=Kind.SOURCE, name="y", mount=".envparity/src/a"),
        environment=environment,
    )
    ground.refuses(r"two layers have '\.envparity/src/a/f': x \(source\) and y \(source\)")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", ".."),
        ("a", "../beside"),
        ("a/b", "../.."),
        ("a/b", "../../beside"),
        ("a", "/etc/passwd"),
        ("a", "/"),
        ("a", "b/../../beside"),
        ("a", "./.."),
    ],
)
def test_a_link_that_leads_out_and_does_not_say_so(ground, path, target):
    ground.publish(built(link(path, target)))
    ground.refuses(f"layer unowned: the link {path!r} leads out of the environment")


@pytest.mark.parametrize("target", ["/../beside", "/a/../../beside", "-sibling", "../beside", "//etc", "/.."])
@pytest.mark.parametrize("token", ["prefix", "base"])
def test_a_link_with_a_substitution_that_leads_out(ground, target, token):
    ground.publish(built(link("a", target, at=((0, token),))))
    ground.refuses("layer unowned: the link 'a' leads out of the environment")


@pytest.mark.parametrize(
    "at",
    [
        ((0, "nowhere"),),
        ((0, "prefix+url"),),
        ((0, "record:a"),),
        ((0, "source:x"),),
        ((1, "prefix"),),
        ((0, "prefix"), (0, "base")),
    ],
)
def test_a_link_with_substitutions_that_no_link_has(ground, at):
    ground.publish(built(link("a", "/b", at=at)))
    ground.refuses("layer unowned: the link 'a' has substitutions that no link has")


@pytest.mark.parametrize("token", ["nowhere", "source:x", "record:gone", ""])
def test_a_file_with_a_substitution_that_the_snapshot_does_not_have(ground, token):
    ground.publish(built(file("a", b"text", at=((0, token),))))
    ground.refuses(f"'a' depends on '{token}', which the snapshot does not have; capture it again")


def test_a_record_of_itself(ground):
    """Its digest would be part of what it is the digest of."""
    ground.publish(built(file("a", b"text", at=((0, "record:a"),))))
    ground.refuses("'a' depends on 'record:a', which the snapshot does not have")


@pytest.mark.parametrize(
    "row", [file(".envparity/restored.json", b"{}"), link(".envparity", "lib"), file(".envparity")]
)
def test_the_place_where_envparity_keeps_its_own_files(ground, row):
    ground.publish(built(row))
    ground.refuses(f"layer unowned: {row[0].path!r} lies where envparity keeps its own files")


@pytest.mark.parametrize("mount", ["lib", ".envparity", ".envparity/other", ".envparity/src", PYTHON_MOUNT + "/lib"])
def test_a_mount_that_the_snapshot_does_not_declare(ground, mount):
    ground.publish(built(file("a"), mount=mount))
    ground.refuses(f"layer unowned: unknown mount {mount!r}")


@pytest.mark.parametrize("mount", ["lib", ".envparity", ".envparity/src/a/b", ".envparity/restored.json"])
def test_a_source_tree_where_the_format_has_none(ground, mount):
    ground.publish(
        built(file("a"), kind=Kind.SOURCE, name="x", mount=mount),
        environment=Environment("venv", PYTHON_MOUNT, "none", False, (("x", mount),)),
    )
    ground.refuses(f"the snapshot puts files into {mount!r}, which the format does not have")


@pytest.mark.parametrize("mount", ["..", "../beside", "/etc", "a/../..", "a//b", "\0"])
def test_a_mount_that_leads_out(ground, mount):
    ground.publish(built(file("victim"), mount=mount))
    message = ground.refuses(r"config sha256:[0-9a-f]+\.layers\[0\]\.mount: unsafe path ")
    assert repr(mount) in message


def test_a_tree_that_declares_more_than_the_disk_has(ground):
    ground.publish(raw(["a", "f", 0o644, 10 * 10**12, DIGEST]))
    # The config says that the layer is small: then the two disagree.
    ground.refuses(r"layer unowned \(blob sha256:[0-9a-f]+\): its tree and its declared size of 1024 bytes disagree")


def test_a_config_that_declares_more_than_the_disk_has(ground):
    part = raw(["a", "f", 0o644, 10 * 10**15, DIGEST])
    ground.publish(with_layer(part, size=10 * 10**15 + 2048))
    ground.refuses(
        r"store/cache has too few MB free and unpacking needs 10,000,000,000 MB; make room or move the store"
    )


def test_more_levels_than_anything_could_remove_again(ground):
    path = "/".join(["d"] * 500)
    ground.publish(built(file(path, b"deep")))
    ground.restore()
    assert (ground.destination / path).read_bytes() == b"deep"
    ground.publish(raw([f"d/{path}", "f", 0o644, 0, EMPTY]), name="y")
    ground.destination = ground.place / "two"
    ground.refuses(r"tree of unowned\.entries\[0\]: 'd/d/d/.*'\.\.\. has over 500 levels", name="y")


def test_a_tree_that_is_not_canonical_is_another_tree(ground):
    part = built(file("a", b"1"))
    part.stored_tree = None
    spaced = json.dumps(json.loads(part.tree), indent=1).encode()
    assert spaced != canonical(json.loads(spaced))
    from snapshot.codec import pack_small

    part.stored_tree = pack_small(spaced)
    ground.publish(part)
    ground.refuses(r"tree of unowned: its content is not sha256:[0-9a-f]+; capture the snapshot again")


def test_an_executable_outside_of_the_base(ground):
    from dataclasses import replace

    for executable in ("../../../bin/sh", "/bin/sh", ""):
        ground.publish(
            built(file("a")), interpreter=replace(INTERPRETER, executable=executable), environment=ENVIRONMENT
        )
        ground.refuses(r"config sha256:[0-9a-f]+\.interpreter\.executable: unsafe path")
