"""What is observed of two environments: one observation a cause, with its attributes. Distributions, files, the interpreter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing.observing.sides import change_of_version
from diffing.testing import description, file, full_facts, layer, link
from snapshot.documents import digest_of
from snapshot.facts.model import (
    Build,
    Module,
    Source,
)
from snapshot.model import Finding, Kind
from tests.diffing.described import SITE, base, dist, env, only, said, seen, unowned

# -- versions


@pytest.mark.parametrize(
    ("train", "serve", "change"),
    [
        ("1.2.3", "2.0.0", "major"),
        ("1.2.3", "1.3", "minor"),
        ("1.2.3", "1.2.4", "patch"),
        ("1.2", "1.2.0.1", "patch"),
        ("1.2", "1.2.0", "other"),
        ("1.0", "1.0+cu1", "local"),
        ("1.0+cpu", "1.0+cu118", "local"),
        ("1.0", "1.0rc1", "other"),
        ("1.0.post1", "1.0", "other"),
        ("1!1.0", "1.0", "major"),
        ("own", "1.0", "other"),
    ],
)
def test_which_part_of_a_version_differs(train, serve, change):
    assert change_of_version(train, serve) == change
    assert change_of_version(serve, train) == change


# -- distributions


def test_a_version_stands_for_its_files():
    found = only(env(dist()), env(dist(version="8.2.0", core=b"other", types=None)))
    assert (found.kind, found.subject, found.owner) == ("distribution-version", "click", "click")
    assert (found.train, found.serve, found.attributes) == ("8.1.7", "8.2.0", {"change": "minor"})
    assert found.details == (f"~ {SITE}/click/core.py", f"- {SITE}/click/types.py")
    assert found.bytes == len(b"other") + len(b"types")


def test_added_and_removed():
    found = only(env(dist()), env(dist(), layer(Kind.DISTRIBUTION, "Idna", "3.10", [file("idna.py", b"1")])))
    assert (found.kind, found.subject, found.train, found.serve) == ("distribution-added", "idna", None, "3.10")
    assert found.details == ("+ idna.py",)
    assert only(env(dist()), env()).kind == "distribution-removed"


def test_few_other_files_are_named_one_by_one():
    found = only(env(dist()), env(dist(core=b"other")))
    assert (found.kind, found.subject, found.owner) == ("file-content", "click 8.1.7", "click")
    assert found.path == f"{SITE}/click/core.py"
    assert found.attributes == {"layer": "distribution", "what": "py", "integrity": "no"}
    assert found.train.startswith("sha256:")
    assert found.train != found.serve


def test_other_files_throughout_are_another_wheel():
    other = dist(core=b"x", types=b"y", utils=b"z")
    found = only(env(dist(), distributions=(said(),)), env(other, distributions=(said(),)))
    assert (found.kind, found.train, found.serve) == ("distribution-wheel", "8.1.7", "8.1.7")
    assert found.attributes == {"tags": "same", "recorded": "yes"}
    assert len(found.details) == 3
    damaged = said(modified=(f"{SITE}/click/core.py",))
    edited = seen(env(dist(), distributions=(said(),)), env(other, distributions=(damaged,))).found
    assert [found.kind for found in edited] == ["file-content"] * 3  # somebody was at it: each file counts
    assert only(description([dist()]), description([other])).attributes == {"tags": "unknown", "recorded": "unknown"}


def test_each_version_of_python_has_its_own_wheel():
    """cryptography and charset-normalizer have one for the stable ABI, and others beside it: pip takes what fits."""
    one = env(dist(), distributions=(said(tags=("cp37-abi3-manylinux_2_17_x86_64",)),))
    own = ("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux2014_x86_64")
    for tags, expected in [
        (own, "python"),
        (("cp312-abi3-manylinux_2_28_x86_64",), "python"),
        (("cp311-cp311-manylinux_2_28_x86_64",), "other"),
        (("cp312-cp312-manylinux_2_28_aarch64",), "other"),
    ]:
        other = env(dist(core=b"x"), distributions=(said(tags=tags),), version="3.12.1")
        (found,) = [each for each in seen(one, other).found if each.kind == "distribution-wheel"]
        assert found.attributes["tags"] == expected, tags


def test_other_tags_are_another_wheel_whatever_differs():
    one = env(dist(), distributions=(said(tags=("py3-none-any",)),))
    other = env(dist(core=b"x"), distributions=(said(tags=("cp311-cp311-linux_x86_64",)),))
    found = only(one, other)
    assert (found.kind, found.attributes["tags"]) == ("distribution-wheel", "other")


def test_a_wheel_for_the_other_minor_version_of_python_is_what_there_must_be():
    one = env(dist(), distributions=(said(tags=("cp311-cp311-linux_x86_64",)),))
    other = env(dist(core=b"x"), distributions=(said(tags=("cp312-cp312-linux_x86_64",)),), version="3.12.1")
    (found,) = [each for each in seen(one, other).found if each.kind == "distribution-wheel"]
    assert found.attributes["tags"] == "python"
    same = env(dist(core=b"x"), distributions=(said(tags=("cp312-cp312-linux_x86_64",)),))
    assert only(one, same).attributes["tags"] == "other"


def test_where_it_came_from():
    source = Source("https://example.org/click.git", "git", "a1b2")
    one, other = env(dist(), distributions=(said(),)), env(dist(), distributions=(said(source=source),))
    found = only(one, other)
    assert (found.kind, found.train, found.serve) == (
        "distribution-source",
        None,
        "git+https://example.org/click.git@a1b2",
    )
    assert found.attributes == {"files": "same", "commit": "other"}
    edited = env(dist(core=b"x"), distributions=(said(source=source),))
    kinds = {item.kind: item for item in seen(one, edited).found}
    assert kinds["distribution-source"].attributes["files"] == "other"


def test_entry_points():
    one = env(dist(), distributions=(said(entry_points=(("mlflow.plugin", "a", "a:b"), ("x", "same", "c:d"))),))
    other = env(dist(), distributions=(said(entry_points=(("x", "same", "c:d"),)),))
    found = only(one, other)
    assert (found.kind, found.subject, found.train, found.serve) == (
        "entry-points",
        "click",
        "mlflow.plugin: a = a:b",
        None,
    )


# -- files


@pytest.mark.parametrize("side", ["train", "serve"])
@pytest.mark.parametrize("how", ["facts", "findings"])
def test_integrity_is_what_record_says_on_either_side(side, how):
    path = f"{SITE}/click/core.py"
    sides = {}
    for name, part in (("train", dist()), ("serve", dist(core=b"edited"))):
        damaged = side == name
        sides[name] = env(
            part,
            distributions=(said(modified=(path,) if damaged and how == "facts" else ()),),
            findings=[Finding("modified", path, "")] if damaged and how == "findings" else [],
        )
    assert only(sides["train"], sides["serve"]).attributes["integrity"] == "yes"


def test_a_missing_file_disagrees_with_record():
    path = f"{SITE}/click/core.py"
    found = only(env(dist(), distributions=(said(),)), env(dist(core=None), distributions=(said(missing=(path,)),)))
    assert (found.kind, found.path, found.attributes["integrity"]) == ("file-removed", path, "yes")


def test_without_facts_integrity_is_not_known():
    assert only(description([dist()]), description([dist(core=b"x")])).attributes["integrity"] == "unknown"


def test_a_file_that_two_distributions_own():
    twin = layer(Kind.DISTRIBUTION, "twin", "1.0", [file(f"{SITE}/click/core.py", b"twin"), file(f"{SITE}/twin.py")])
    one = env(dist(), distributions=(said(),))
    other = env(dist(core=None), twin, distributions=(said(disputed=(f"{SITE}/click/core.py",)), said("twin", "1.0")))
    kinds = {item.kind: item for item in seen(one, other).found}
    assert kinds.keys() == {"distribution-added", "file-disputed"}
    assert kinds["file-disputed"].owner == "click"


def test_modes_types_targets_and_owners():
    def one(entry):
        return env(unowned(file("same"), entry))

    plain = one(file("bin/tool", b"1"))
    assert only(plain, one(file("bin/tool", b"1", executable=True))).attributes["what"] == "script"
    found = only(plain, one(file("bin/tool", b"1", executable=True)))
    assert (found.kind, found.train, found.serve) == ("file-mode", "not executable", "executable")
    found = only(plain, one(link("bin/tool", "same")))
    assert (found.kind, found.train, found.serve) == ("file-type", "file", "link")
    found = only(one(link("x", "a")), one(link("x", "b")))
    assert (found.kind, found.train, found.serve) == ("file-target", "link to a", "link to b")
    found = only(
        env(dist(), unowned(file("a"), file("b", b"1"))),
        env(layer(Kind.DISTRIBUTION, "click", "8.1.7", [*dist()[1], file("b", b"1")]), unowned(file("a"))),
    )
    assert (found.kind, found.subject, found.train, found.serve) == (
        "file-owner",
        "click 8.1.7",
        "unowned",
        "click 8.1.7",
    )


def test_files_that_lost_their_distribution_are_its_details():
    lost = unowned(*dist()[1])
    found = only(env(dist()), env(lost))
    assert (found.kind, len(found.details)) == ("distribution-removed", 4)
    kinds = sorted(item.kind for item in seen(env(dist(core=b"other")), env(lost)).found)
    assert kinds == ["distribution-removed", "file-content"]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (f"{SITE}/a.py", "py"),
        (f"{SITE}/a.cpython-311-x86_64-linux-gnu.so", "native"),
        (f"{SITE}/numpy.libs/libgfortran-8f1e9814.so.5.0.0", "native"),
        (f"{SITE}/a/b.json", "data"),
        (f"{SITE}/a-1.0.dist-info/METADATA", "metadata"),
        ("bin/a", "script"),
    ],
)
def test_what_a_file_is(path, what):
    assert only(env(), env(unowned(file(path)))).attributes["what"] == what


def test_the_module_that_an_unowned_file_is():
    own = Module("click", f"{SITE}/click/__init__.py", "click")
    json = Module("json", "lib/python3.11/json/__init__.py", "python")

    def attributes(path, **known):
        found = only(env(**known), env(unowned(file(path)), **known))
        return {name: found.attributes.get(name) for name in ("module", "package", "within")}

    modules = (own, json)
    assert attributes(f"{SITE}/json.py", modules=modules)["module"] is None  # the standard library's comes first
    assert attributes(f"{SITE}/mine.py", modules=modules) == {"module": "mine", "package": "no", "within": None}
    assert attributes(f"{SITE}/click/more.py", modules=modules) == {
        "module": "click",
        "package": "yes",
        "within": "click",
    }
    assert attributes(f"{SITE}/click/more.py", modules=None) == {
        "module": "click",
        "package": "unknown",
        "within": None,
    }
    assert attributes("etc/jupyter/x.json", modules=modules)["module"] is None
    # Nobody owns a namespace package: what lies below it belongs to the next directory that somebody does.
    shared = (
        Module("google", f"{SITE}/google", ""),
        Module("google.protobuf", f"{SITE}/google/protobuf/__init__.py", "protobuf"),
    )
    for path in ("message.cpython-311-x86_64-linux-gnu.so", "internal/more.py"):
        assert attributes(f"{SITE}/google/protobuf/{path}", modules=shared) == {
            "module": "google",
            "package": "yes",
            "within": "protobuf",
        }
    assert attributes(f"{SITE}/google/new/more.py", modules=shared)["package"] == "no"


# -- the interpreter


def test_a_patch_release_stands_for_the_standard_library():
    one = env(
        base(file("lib/python3.11/json/decoder.py", b"1"), file("lib/python3.11/test/x.py", b"1")), version="3.11.7"
    )
    other = env(
        base(file("lib/python3.11/json/decoder.py", b"2"), file("lib/python3.11/test/x.py", b"2")), version="3.11.9"
    )
    found = only(one, other)
    assert (found.kind, found.train, found.serve) == ("python-version", "3.11.7", "3.11.9")
    assert found.attributes == {"change": "patch", "modules": "json.decoder", "executable": "no"}
    assert len(found.details) == 2


def test_a_minor_version_stands_for_its_abi_and_build():
    one = env(dist(), version="3.11.7")
    other = env(
        dist(site="lib/python3.12/site-packages"),
        version="3.12.1",
        build=Build("other", "GCC 12.2.0", (("Py_DEBUG", "0"),)),
    )
    assert only(one, other).attributes["change"] == "minor"


def test_flags_of_the_abi_are_their_own_difference():
    one = env(version="3.11.7")
    interpreter = replace(one.snapshot.interpreter, soabi="cpython-311d-x86_64-linux-gnu")
    other = replace(one, snapshot=replace(one.snapshot, interpreter=interpreter))
    assert [item.kind for item in seen(one, other).found] == ["python-abi"]


def test_the_interpreters_files_under_the_same_version():
    found = only(
        env(base(file("lib/python3.11/os.py", b"1"), file("bin/python3.11", b"1"))),
        env(base(file("lib/python3.11/os.py", b"2"), file("bin/python3.11", b"2"))),
    )
    assert found.kind == "python-files"
    assert found.attributes == {"modules": "os", "executable": "yes"}


def test_files_of_the_interpreter_that_nobody_captured_are_unknown():
    one = description([], facts=full_facts(), interpreter_digest=digest_of(b"1"))
    other = env(base(file("lib/python3.11/os.py", b"2")))
    found = seen(one, other)
    assert [item.kind for item in found.found] == ["python-files"]
    assert [(item.aspect, item.side, item.why) for item in found.unknown] == [
        ("interpreter", "train", "its files differ, and were not captured one by one")
    ]


def test_build_and_settings():
    other = Build("other", "Clang 18", (("Py_DEBUG", "1"), ("WITH_PYMALLOC", "1")))
    found = seen(env(), env(build=other)).found
    assert [(item.kind, item.subject, item.attributes["name"]) for item in found] == [
        ("python-build", "python", "build"),
        ("python-build", "python", "compiler"),
        ("python-setting", "Py_DEBUG", "Py_DEBUG"),
        ("python-setting", "WITH_PYMALLOC", "WITH_PYMALLOC"),
    ]
    found = only(env(), env(system_site_packages=True))
    assert (found.kind, found.train, found.serve) == ("system-site-packages", "no", "yes")
