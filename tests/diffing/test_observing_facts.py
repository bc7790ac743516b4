"""What is observed of facts: the machine, startup, imports, libraries, variables, numbers; what is normalised, what is unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing.observing import ASPECTS
from diffing.reach import Reach
from diffing.rules.catalogue import load as load_rules
from diffing.testing import description, file, layer
from diffing.verdict import Verdict
from snapshot.facts.model import (
    Module,
    Native,
    Numeric,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)
from snapshot.model import Finding, Kind
from tests.diffing.described import HOST, SITE, base, dist, env, only, said, seen, unowned

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
    assert found.attributes == {"shadow": "yes", "module": "click", "there": "both"}
    only_there = Module("idna", f"{SITE}/idna.py", "idna")
    assert seen(env(modules=(ours,)), env(modules=(ours, only_there))).found == ()
    standard = Module("json", "lib/python3.11/json/__init__.py", "python")
    assert only(env(modules=(standard,)), env(modules=(Module("json", "json.py", ""),))).owner == "python"


@pytest.mark.parametrize(("there", "rule"), [("train", "module-gone"), ("serve", "module-resolution")])
def test_a_module_from_outside_that_one_side_alone_finds(there, rule):
    """No file of the environment has gone or come: nothing else says so."""
    outside = Module("shared", "/srv/libs/shared.py", "")
    sides = [env(modules=()), env(modules=(outside,))]
    found = only(*(sides if there == "serve" else reversed(sides)))
    assert (found.subject, found.attributes["there"]) == ("shared", there)
    assert load_rules().match(found, Reach(frozenset(), frozenset({"shared"}))).id == rule


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


def test_two_libraries_of_one_name():
    """Each extension may bring its own place to look: what one of them gets is not what the other gets."""
    intel = library("libiomp5.so", "/opt/intel/lib/libiomp5.so", "5.0", "cc" * 20)
    system = library("libiomp5.so", "/usr/lib/libiomp5.so", "4.5", "dd" * 20)
    gone = library("libiomp5.so", "", "", "")

    def found(train, serve):
        return [
            (item.kind, item.train, item.serve)
            for item in seen(env(native=Native(train)), env(native=Native(serve))).found
        ]

    assert found((intel, system), (intel, system)) == []
    assert found((intel, system), (system,)) == [("library-removed", "5.0", None)]
    assert found((system,), (intel, system)) == [("library-added", None, "5.0")]
    assert found((intel, system), (gone, system)) == [("library-missing", "5.0", "not found")]
    assert found((system,), (gone, system)) == [("library-missing", None, "not found")]
    # The same library at another place.
    moved = replace(system, path="/usr/lib64/libiomp5.so")
    assert found((intel, system), (intel, moved)) == []


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
        ("numeric-backend", "openblas kernel", "kernel", "Haswell", "SkylakeX"),
        ("numeric-dispatch", "numpy dispatch", "dispatch", "AVX2 AVX512F", "AVX2"),
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


@pytest.mark.parametrize("kind", ["link-outside", "path-outside"])
def test_what_leads_out_of_the_environment_is_unknown(kind):
    """Equal paths to code that nobody captured are no equal code."""
    away = env(dist(), findings=(Finding(kind, "/app", "too wide"), Finding("debris", "~ip", "left")))
    found = seen(env(dist()), away)
    assert found.found == ()
    assert [(item.aspect, item.side, item.why) for item in found.unknown] == [
        ("files", "serve", "it leads out of the environment, and was not captured: /app")
    ]
    assert [item.side for item in seen(away, away).unknown] == ["both"]


def test_shares():
    one = env(dist(), unowned(file("big", b"x" * 100)), base(file("lib/python3.11/os.py", b"12345")))
    other = env(dist(core=b"other"), unowned(file("big", b"x" * 100)), base(file("lib/python3.11/os.py", b"12345")))
    shares = {share.owner: share for share in seen(one, other).shares}
    assert list(shares) == ["unowned", "click", "python"]
    assert (shares["click"].files, shares["click"].differing, shares["unowned"].differing) == (4, 1, 0)
    assert (shares["unowned"].bytes, shares["python"].bytes) == (100, 5)
    assert shares["unowned"].verdict is Verdict.IDENTICAL
