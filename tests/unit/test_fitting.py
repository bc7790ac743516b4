"""What a snapshot needs against what a machine has: every rule, without a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapshot.facts.model import Facts, Host, Native, SystemLibrary
from snapshot.fitting import Disk, judge, room
from tests.building import INTERPRETER

HOST = Host("x86_64", "glibc", "2.36", "debian 12", "6.1", "cpu", "")
GOMP = SystemLibrary("libgomp.so.1", "/usr/lib/libgomp.so.1", "1", "", ("lightgbm", "scikit-learn"))
FACTS = Facts(host=HOST, native=Native((GOMP,), "2.34", "lib/x.so"))
INSTALL = "install the package of the system that has libgomp.so.1"
ALL = frozenset({"libgomp.so.1"})


def said(notices):
    return [str(notice) for notice in notices]


def test_a_machine_that_fits():
    assert judge(INTERPRETER, FACTS, HOST, ALL) == ([], [], [])


def test_everything_that_is_wrong_comes_together():
    problems, warnings, unknown = judge(INTERPRETER, FACTS, replace(HOST, libc_version="2.31"), frozenset())
    assert said(problems) == [
        "lib/x.so needs glibc 2.34, this machine has 2.31; use an operating system or image with glibc 2.34 or newer",
        f"libgomp.so.1 is not on this machine; needed by lightgbm, scikit-learn; {INSTALL}",
    ]
    assert (warnings, unknown) == ([], [])


def test_another_machine():
    problems, _, _ = judge(INTERPRETER, FACTS, replace(HOST, machine="aarch64"), frozenset())
    assert [problem.kind for problem in problems] == ["machine"]
    assert "is for linux-x86_64, this machine is linux-aarch64" in problems[0].detail


def test_another_c_library():
    problems, _, unknown = judge(INTERPRETER, FACTS, replace(HOST, libc="musl", libc_version="1.2"), ALL)
    assert said(problems) == [
        "the snapshot needs glibc, this machine has musl; use an operating system or image with glibc"
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("floor", "fits"), [("2.9", True), ("2.36", True), ("2.36.1", False), ("2.100", False), ("", True)]
)
def test_versions_are_numbers(floor, fits):
    facts = replace(FACTS, native=Native((), floor, "lib/x.so" if floor else ""))
    assert (judge(INTERPRETER, facts, HOST, ALL)[0] == []) is fits


def test_without_facts_it_is_said_what_is_not_known():
    problems, warnings, unknown = judge(INTERPRETER, Facts(), HOST, frozenset())
    assert (problems, warnings) == ([], [])
    assert [notice.kind for notice in unknown] == ["libc", "libc", "library"]
    assert all("not known" in notice.detail for notice in unknown)


def test_a_machine_that_does_not_tell():
    _, _, unknown = judge(INTERPRETER, FACTS, replace(HOST, libc="", libc_version=""), ALL)
    assert ["which C library this machine has is not known" in notice.detail for notice in unknown] == [True]
    _, _, unknown = judge(INTERPRETER, FACTS, replace(HOST, libc_version=""), ALL)
    assert "needs glibc 2.34, and this machine's is not known" in unknown[0].detail


@pytest.mark.parametrize(
    ("soname", "path", "owners", "captured", "where"),
    [
        ("libssl.so.3", "/usr/lib/libssl.so.3", ("python",), True, "problems"),
        ("libstdc++.so.6", "/usr/lib/libstdc++.so.6", ("python",), True, "problems"),
        ("libX11.so.6", "/usr/lib/libX11.so.6", ("python",), True, "warnings"),
        ("libX11.so.6", "/usr/lib/libX11.so.6", ("matplotlib", "python"), True, "problems"),
        ("libX11.so.6", "/usr/lib/libX11.so.6", ("",), True, "problems"),
        ("libcuda.so.1", "", ("torch",), True, "warnings"),
        ("libssl.so.3", "/usr/lib/libssl.so.3", ("python",), False, ""),
    ],
)
def test_a_missing_library(soname, path, owners, captured, where):
    facts = replace(FACTS, native=Native((SystemLibrary(soname, path, "", "", owners),)))
    found = judge(replace(INTERPRETER, captured=captured), facts, HOST, ALL)
    judged = dict(zip(("problems", "warnings", "unknown"), found, strict=True))
    assert [name for name, notices in judged.items() if notices] == ([where] if where else [])


def test_room():
    small = Disk("/a", free=10_000_000, free_inodes=5, needed=20_000_000, needed_inodes=6)
    assert said(room([small, Disk("/b", 10, None, 10, 99)])) == [
        "/a has 10 MB free and 20 MB are needed; make room there, or use another disk (--cache for unpacked layers)",
        "/a has 5 inodes free and 6 are needed; remove files there, or use another disk (--cache for unpacked layers)",
    ]
