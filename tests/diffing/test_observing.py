"""What is observed of two environments: one observation a cause, its attributes, what is normalised and what is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing import compare
from diffing.observing import ASPECTS, observe
from diffing.observing.sides import change_of_version
from diffing.testing import description, file, full_facts, layer, link
from diffing.verdict import Verdict
from snapshot.facts.model import (
    Build,
    DistributionFacts,
    Host,
    Module,
    Native,
    Numeric,
    Source,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)
from snapshot.model import Finding, Kind
from snapshot.serialize import digest_of

SITE = "lib/python3.11/site-packages"
CLICK = {f"click/{name}.py": name.encode() for name in ("__init__", "core", "types", "utils")}
HOST = Host("x86_64", "glibc", "2.36", "debian 12", "6.1.0", "Xeon Gold 6130", "")


def dist(name="click", version="8.1.7", site=SITE, **changes):
    """A distribution of four modules; `changes` replaces contents by module name, None takes one out."""
    files = {**CLICK, **{f"click/{module}.py": content for module, content in changes.items()}}
    entries = [file(f"{site}/{path}", content) for path, content in files.items() if content is not None]
    return layer(Kind.DISTRIBUTION, name, version, entries)


def unowned(*entries):
    return layer(Kind.UNOWNED, "unowned", None, entries)


def base(*entries):
    return layer(Kind.INTERPRETER, "interpreter", None, entries, mount=".envparity/python")


def said(name="click", version="8.1.7", **changes):
    return DistributionFacts(name, version, f"{SITE}/{name}.dist-info", record=True, **changes)


def seen(one, other):
    return observe(one, other, compare(one, other))


def env(*parts, **known):
    """An environment about which everything is known; `known` replaces aspects and what `description` takes."""
    own = {name: known.pop(name) for name in ("version", "system_site_packages", "findings") if name in known}
    return description(parts, facts=full_facts(**known), **own)


def only(one, other):
    (found,) = seen(one, other).found
    return found


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
    found = only(env(dist(), distributions=(said(),)), env(other, distributions=(damaged,)))
    assert found.attributes["recorded"] == "no"
    assert only(description([dist()]), description([other])).attributes == {"tags": "unknown", "recorded": "unknown"}


def test_other_tags_are_another_wheel_whatever_differs():
    one = env(dist(), distributions=(said(tags=("py3-none-any",)),))
    other = env(dist(core=b"x"), distributions=(said(tags=("cp311-cp311-linux_x86_64",)),))
    found = only(one, other)
    assert (found.kind, found.attributes["tags"]) == ("distribution-wheel", "other")


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


# -- the platform


def host(**changes):
    return replace(HOST, **changes)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"machine": "aarch64"}, "platform-machine"),
        ({"libc": "musl", "libc_version": "1.2.5"}, "platform-libc"),
        ({"system": "ubuntu 24.04"}, "platform-system"),
        ({"kernel": "6.8"}, "platform-kernel"),
        ({"cpu": "EPYC"}, "platform-cpu"),
        ({"gpu_driver": "550.54"}, "gpu-driver"),
    ],
)
def test_the_machine(changes, kind):
    assert only(env(host=HOST), env(host=host(**changes))).kind == kind


@pytest.mark.parametrize(
    ("floor", "tags", "served_on", "below"),
    [
        ("2.28", (), "2.17", "yes"),
        ("2.28", (), "2.28", "no"),
        ("", ("cp311-cp311-manylinux_2_28_x86_64",), "2.17", "yes"),
        ("", ("cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux2014_x86_64"), "2.17", "no"),
        ("", ("cp311-cp311-manylinux2010_x86_64",), "2.5", "yes"),
        ("", (), "2.17", "no"),
        (None, (), "2.17", "unknown"),
        (None, (), "2.99", "no"),
        ("2.28", (), "unstable", "unknown"),
    ],
)
def test_the_floor_of_the_c_library(floor, tags, served_on, below):
    one = env(
        host=HOST,
        native=None if floor is None else Native((), floor, "x.so"),
        distributions=(said(tags=tags),),
    )
    other = env(host=host(libc_version=served_on), distributions=(said(tags=tags),))
    found = only(one, other)
    assert (found.kind, found.subject, found.attributes) == ("platform-libc-version", "glibc", {"below_floor": below})


def test_a_processor_counts_less_where_numbers_were_measured():
    assert only(env(host=HOST), env(host=host(cpu="EPYC"))).attributes == {"measured": "yes"}
    assert only(env(host=HOST), env(host=host(cpu="EPYC"), numeric=None)).attributes == {"measured": "no"}


# -- startup, imports


def test_startup_hooks_are_seen_by_name_and_by_facts():
    path = f"{SITE}/zz.pth"
    found = only(env(), env(unowned(file(path, b"import os"))))
    assert (found.kind, found.subject, found.owner) == ("startup-added", path, None)
    assert {name: found.attributes[name] for name in ("kind", "code", "owned")} == {
        "kind": "pth",
        "code": "yes",
        "owned": "no",
    }
    hook = StartupHook(path, "pth", code=False, owner="")
    assert only(env(), env(unowned(file(path, b"more")), startup=(hook,))).attributes["code"] == "no"
    assert only(env(unowned(file(path))), env()).kind == "startup-removed"
    assert only(env(unowned(file(path))), env(unowned(file(path, b"1")))).kind == "startup-changed"
    for name in ("sitecustomize.py", "usercustomize/__init__.py", "sitecustomize.cpython-311-x86_64-linux-gnu.so"):
        assert only(env(), env(unowned(file(f"{SITE}/{name}")))).kind == "startup-added"
    assert only(env(), env(unowned(file(f"{SITE}/pkg/sitecustomize.py")))).kind == "file-added"
    assert only(env(), env(unowned(file(f"{SITE}/pkg/zz.pth")))).kind == "file-added"


def test_a_hook_of_a_distribution_that_differs_is_seen_too():
    other = layer(Kind.DISTRIBUTION, "click", "8.2", [file(f"{SITE}/click.pth", b"import click")])
    kinds = {item.kind: item for item in seen(env(dist()), env(other)).found}
    assert kinds.keys() == {"distribution-version", "startup-added"}
    assert (kinds["startup-added"].owner, kinds["startup-added"].attributes["owned"]) == ("click", "yes")


def test_a_hook_outside_of_the_environment():
    hook = StartupHook("/etc/python3/sitecustomize.py", "sitecustomize", code=True, owner="")
    found = only(env(), env(startup=(hook,)))
    assert (found.kind, found.subject, found.attributes["layer"]) == ("startup-added", hook.path, "outside")


def test_the_search_path():
    found = only(env(search_path=("a", "b")), env(search_path=("b", "a")))
    assert (found.kind, found.train, found.serve) == ("search-path", "a, b", "b, a")
    assert found.attributes == {"resolves": "no", "order": "yes"}
    found = only(env(search_path=("a", "b")), env(search_path=("a", "b", "c")))
    assert (found.train, found.serve, found.attributes["order"]) == ("nothing more", "c", "no")
    assert only(env(search_path=("a",), modules=None), env(search_path=("b",))).attributes["resolves"] == "unknown"
    one = env(search_path=("lib/python311.zip", "lib/python3.11"), version="3.11.7")
    other = env(search_path=("lib/python312.zip", "lib/python3.12"), version="3.12.1")
    assert [item.kind for item in seen(one, other).found] == ["python-version"]


def test_a_module_that_is_found_elsewhere():
    ours = Module("click", f"{SITE}/click.py", "click")
    other = Module("click", f"{SITE}/click/__init__.py", "", hidden=(f"{SITE}/click.py",))
    found = only(env(modules=(ours,)), env(modules=(other,)))
    assert (found.kind, found.subject, found.owner) == ("module-resolution", "click", "click")
    assert found.attributes == {"shadow": "yes", "module": "click"}
    only_there = Module("idna", f"{SITE}/idna.py", "idna")
    assert seen(env(modules=(ours,)), env(modules=(ours, only_there))).found == ()
    standard = Module("json", "lib/python3.11/json/__init__.py", "python")
    assert only(env(modules=(standard,)), env(modules=(Module("json", "json.py", ""),))).owner == "python"


# -- native libraries, variables, numbers


def library(soname="libz.so.1", path="/usr/lib/libz.so.1", version="1.2.13", build_id="aa" * 20, needed_by=("numpy",)):
    return SystemLibrary(soname, path, version, build_id, needed_by)


@pytest.mark.parametrize(
    ("train", "serve", "kind", "attributes"),
    [
        (library(), library(version="1.3"), "library-version", {"change": "version"}),
        (library(), library(build_id="bb" * 20), "library-version", {"change": "build"}),
        (library(), library(path=""), "library-missing", {"side": "serve"}),
        (library(path=""), library(), "library-missing", {"side": "train"}),
        (None, library(), "library-added", {}),
        (library(), None, "library-removed", {}),
        (None, library(path=""), "library-missing", {"side": "serve"}),
    ],
)
def test_native_libraries(train, serve, kind, attributes):
    one, other = (env(native=Native((item,) if item else ())) for item in (train, serve))
    found = only(one, other)
    assert (found.kind, found.subject, found.attributes) == (kind, "libz.so.1", attributes)
    assert found.details == ("needed by numpy",)


def test_a_c_library_stands_for_its_parts():
    one = env(host=HOST, native=Native((library("libm.so.6", version="2.36"), library())))
    newer = Native((library("libm.so.6", version="2.41"), library()))
    assert [item.kind for item in seen(one, env(host=HOST, native=newer)).found] == ["library-version"]
    other = env(host=host(libc_version="2.41"), native=newer)
    assert [item.kind for item in seen(one, other).found] == ["platform-libc-version"]


def variables(*items, key="k1"):
    return env(variables=Variables(items, key))


def test_variables():
    zone = Variable("TZ", "timezone", value="UTC")
    found = only(variables(zone), variables(replace(zone, value="Asia/Tokyo")))
    assert (found.kind, found.subject, found.train, found.serve) == ("variable", "TZ", "UTC", "Asia/Tokyo")
    assert found.attributes == {"type": "timezone", "state": "both"}
    found = only(variables(), variables(zone))
    assert (found.train, found.serve, found.attributes["state"]) == (None, "UTC", "serve")


def test_a_secret_is_compared_and_never_shown():
    secret = Variable("TOKEN", "other", digest="d" * 64)
    found = only(variables(secret), variables(replace(secret, digest="e" * 64)))
    assert (found.train, found.serve) == ("keyed digest dddddddddddd", "keyed digest eeeeeeeeeeee")
    assert seen(variables(secret), variables(secret)).found == ()


def test_digests_of_two_keys_are_unknown():
    secret = Variable("TOKEN", "other", digest="d" * 64)
    found = seen(variables(secret), variables(replace(secret, digest="e" * 64), key="k2"))
    assert found.found == ()
    assert [(item.aspect, item.side, item.why) for item in found.unknown] == [
        ("variables", "both", "1 variable with digests of different keys")
    ]
    bare = Variable("TOKEN", "other")
    (unknown,) = seen(variables(bare), variables(bare)).unknown
    assert unknown.why == "1 variable without a digest"


def test_what_computes():
    one = Numeric((("numpy", "dispatch", "AVX2 AVX512F"), ("openblas", "kernel", "Haswell")), ())
    other = Numeric((("numpy", "dispatch", "AVX2"), ("openblas", "kernel", "SkylakeX")), ())
    found = seen(env(numeric=one), env(numeric=other)).found
    assert [(item.kind, item.subject, item.attributes["name"], item.train, item.serve) for item in found] == [
        ("numeric-backend", "openblas", "kernel", "Haswell", "SkylakeX"),
        ("numeric-dispatch", "numpy", "dispatch", "AVX2 AVX512F", "AVX2"),
    ]


# -- what does not count, what is not known, how it is spread


def test_normalised_entries_are_counted_by_rule():
    def side(**contents):
        return env(
            layer(
                Kind.DISTRIBUTION,
                "click",
                "8.1.7",
                [
                    file("core.py", b"1"),
                    file("RECORD", contents["record"], rule="record"),
                    file("bin/click", contents["script"], rule="console-script", counts_as="e" * 64),
                    replace(file("frozen.py", b"1"), mode=contents["mode"]),
                ],
            ),
            layer(Kind.BYTECODE, "click", None, [file("core.pyc", contents["record"], rule="bytecode")]),
        )

    one = side(record=b"1", script=b"1", mode=0o644)
    other = side(record=b"2", script=b"2", mode=0o444)
    found = seen(one, other)
    assert found.found == ()
    assert [(item.rule, item.count) for item in found.normalised] == [
        ("bytecode", 1),
        ("console-script", 1),
        ("record", 1),
        ("write-bit", 1),
    ]
    shares = {share.owner: share for share in found.shares}
    assert shares["click"].verdict is Verdict.EQUIVALENT


def test_what_follows_from_another_version_is_not_counted():
    def side(version, content):
        return env(
            layer(Kind.DISTRIBUTION, "click", version, [file("a.py", content), file("RECORD", content, rule="record")]),
            layer(Kind.BYTECODE, "click", None, [file("a.pyc", content, rule="bytecode")]),
        )

    assert seen(side("1", b"1"), side("2", b"2")).normalised == ()


def test_bytecode_of_one_side_is_counted_without_looking():
    one = env(
        dist(), layer(Kind.BYTECODE, "click", None, [file("a.pyc", rule="bytecode"), file("b.pyc", rule="bytecode")])
    )
    assert [(item.rule, item.count) for item in seen(one, env(dist())).normalised] == [("bytecode", 2)]


def test_without_facts_nearly_everything_is_unknown():
    found = seen(description([dist()]), description([dist()]))
    assert found.aspects == len(ASPECTS) == 14
    assert {item.aspect for item in found.unknown} == set(ASPECTS) - {"interpreter", "files"}
    assert {(item.side, item.why) for item in found.unknown} == {("both", "not captured")}
    assert seen(env(dist()), env(dist())).unknown == ()


def test_a_distribution_without_record_is_unknown():
    loose = replace(said(), record=False)
    found = seen(env(dist(), distributions=(said(),)), env(dist(), distributions=(loose,)))
    assert [(item.aspect, item.side, item.why) for item in found.unknown] == [
        ("record", "serve", "no RECORD with digests: click")
    ]


def test_shares():
    one = env(dist(), unowned(file("big", b"x" * 100)), base(file("lib/python3.11/os.py", b"12345")))
    other = env(dist(core=b"other"), unowned(file("big", b"x" * 100)), base(file("lib/python3.11/os.py", b"12345")))
    shares = {share.owner: share for share in seen(one, other).shares}
    assert list(shares) == ["unowned", "click", "python"]
    assert (shares["click"].files, shares["click"].differing, shares["unowned"].differing) == (4, 1, 0)
    assert (shares["unowned"].bytes, shares["python"].bytes) == (100, 5)
    assert shares["unowned"].verdict is Verdict.IDENTICAL
