"""`envparity capture`: what the library is asked for, and what is printed."""

from __future__ import annotations

import os
import sys

import pytest

from snapshot.documents import digest_of


def options_of(library):
    ((what, args, options),) = library.calls
    assert what == "capture"
    return args[0], options


def test_by_default_it_captures_the_environment_that_runs_it(envparity, library):
    envparity("capture")
    prefix, options = options_of(library)
    assert prefix == sys.prefix
    assert options == {
        "python": None,
        "name": None,
        "size_limit": 1_000_000_000,
        "budget": 1_000_000_000,
        "exclude": (),
        "interpreter": True,
        "bytecode": "keep",
        "deltas": True,
        "variables": os.environ,
        "fingerprint": True,
        "progress": None,  # no terminal
    }


def test_every_option_reaches_the_library(envparity, library):
    words = "capture /env --python /py --name churn/3 --size-limit 1.5GiB --budget 2GB"
    words += " --exclude */tests/* --exclude dist:pip --no-interpreter --compile-bytecode --no-deltas --no-fingerprint"
    envparity(*words.split())
    prefix, options = options_of(library)
    assert prefix == "/env"
    assert options == {
        "python": "/py",
        "name": "churn/3",
        "size_limit": 1_610_612_736,
        "budget": 2_000_000_000,
        "exclude": ("*/tests/*", "dist:pip"),
        "interpreter": False,
        "bytecode": "compile",
        "deltas": False,
        "variables": os.environ,
        "fingerprint": False,
        "progress": None,
    }


def test_no_bytecode(envparity, library):
    envparity("capture", "--no-bytecode")
    assert options_of(library)[1]["bytecode"] == "drop"


def test_the_store_is_the_one_that_was_named(envparity, library):
    envparity("capture", "/env")
    assert str(envparity.store_path) in str(library.calls[0][1][1])


@pytest.mark.parametrize("variable", [True, False])
def test_the_store_comes_from_the_variable_or_the_users_data(envparity, library, monkeypatch, tmp_path, variable):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("ENVPARITY_STORE", raising=False)
    if variable:
        monkeypatch.setenv("ENVPARITY_STORE", str(tmp_path / "named"))
    envparity("capture", "/env", store=False)
    expected = tmp_path / "named" if variable else tmp_path / "data" / "envparity" / "store"
    assert str(expected) in str(library.calls[0][1][1])


def test_json_has_every_number(envparity, library, make):
    library.findings = (make.Finding("unowned", "lib/zz.pth", "no distribution owns it"),)
    assert envparity.json("capture", "/env", "--name", "churn/3") == {
        "snapshot": make.snapshot,
        "name": "churn/3",
        "parity_root": digest_of(b"parity"),
        "files": 11_904,
        "distributions": 43,
        "layers": 1,
        "raw_bytes": 592_000_000,
        "packed_bytes": 205_000_000,
        "added_bytes": 1_234,
        "findings": [{"kind": "unowned", "path": "lib/zz.pth", "detail": "no distribution owns it"}],
        "seconds": 3.142,
    }


def test_for_people_it_is_short(envparity, library, make):
    unowned = [make.Finding("unowned", f"lib/{number}.pth", "x" * 100) for number in range(5)]
    library.findings = (*unowned, make.Finding("debris", "~ip", "left by an interrupted pip"))
    said = envparity("capture", "/env", "--name", "churn/3").stdout
    assert said == (
        f"captured churn/3  {make.snapshot[:19]} in 3.14 s\n"
        "11,904 files of 43 distributions in 1 layer: 592 MB, 205 MB packed\n"
        "the store grew by 1.23 kB\n"
        "6 findings:\n"
        "  debris (1)\n"
        "    ~ip: left by an interrupted pip\n"
        "  unowned (5)\n"
        f"    lib/0.pth: {'x' * 64}…\n"
        f"    lib/1.pth: {'x' * 64}…\n"
        f"    lib/2.pth: {'x' * 64}…\n"
        "    … and 2 more\n"
        "all of them: envparity inspect churn/3 --findings\n"
    )
    assert all(len(line) <= 80 for line in said.splitlines())
