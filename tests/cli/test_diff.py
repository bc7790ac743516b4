"""`envparity diff`: exit codes, lines for people, JSON."""

from __future__ import annotations

import pytest

from diffing import compare
from diffing.testing import description, file, layer
from registration.differences import SHOWN, lines
from snapshot.model import Kind
from snapshot.serialize import digest_of


@pytest.fixture
def trained(store, make, library):
    """A snapshot `churn/3`."""
    described = make.training()
    library.environments[make.publish(store, described, "churn/3").snapshot] = described
    return described


def test_equal(envparity, library, trained, environment, make):
    library.environments["live"] = make.training()
    said = envparity("diff", "churn/3", "live").stdout
    assert said == f"equal: both have the parity root {trained.snapshot.parity_root}\n"
    document = envparity.json("diff", "live", "churn")
    assert (document["before"], document["after"], document["equal"]) == ("live", "churn", True)
    assert (document["facts"], document["distributions"], document["files"]) == ([], [], [])


def test_a_difference_is_exit_code_1_and_named(envparity, library, trained, environment, make):
    live = library.environments["live"] = make.training(core=b"edited")
    assert envparity("diff", "churn/3", "live", code=1).stdout == (
        f"different: parity root {trained.snapshot.parity_root[:19]} -> {live.snapshot.parity_root[:19]}\n"
        "1 distribution (1 changed):\n"
        "  ~ click 8.1.7, same version, other files  (files: 1 changed)\n"
        "click 8.1.7: 1 file (1 changed)\n"
        "  ~ lib/click/core.py  (content)\n"
    )
    document = envparity.json("diff", "churn/3", "live", code=1)
    assert document["equal"] is False
    assert [item["path"] for item in document["files"]] == ["lib/click/core.py"]
    assert document["parity_roots"]["after"] == live.snapshot.parity_root


def test_files_that_a_version_announces_are_only_counted(envparity, library, trained, environment, make):
    library.environments["live"] = make.training(core=b"2", click="8.1.8")
    said = envparity("diff", "churn/3", "live", code=1).stdout.splitlines()
    assert said[1:] == [
        "1 distribution (1 changed):",
        "  ~ click 8.1.7 -> 8.1.8  (files: 2 changed)",
    ]
    assert len(envparity.json("diff", "churn/3", "live", code=1)["files"]) == 2


def test_paths_cannot_play_with_the_terminal(envparity, library, trained, environment):
    library.environments["live"] = description([layer(Kind.UNOWNED, "unowned", None, [file("\x1b[2J\n")])])
    assert "  + \\x1b[2J\\n\n" in envparity("diff", "churn/3", "live", code=1).stdout


def said(one, other):
    return list(lines(compare(one, other)))[1:]


def test_facts():
    one = description([], version="3.11.7", interpreter_digest=digest_of(b"1"), system_site_packages=True)
    other = description([], version="3.12.1", interpreter_digest=digest_of(b"2"))
    assert said(one, other) == [
        "  python: 3.11.7 -> 3.12.1",
        "  ABI: cpython-311-x86_64-linux-gnu -> cpython-312-x86_64-linux-gnu",
        "  interpreter's files: differ (not captured on both sides, so it cannot be said which)",
        "  system's packages: visible -> hidden",
    ]


def interpreter(content):
    return layer(Kind.INTERPRETER, "interpreter", None, [file("os.py", content)], mount=".envparity/python")


def test_files_of_the_interpreter_are_named_within_a_version():
    assert said(description([interpreter(b"1")]), description([interpreter(b"2")])) == [
        "  interpreter's files: differ",
        "interpreter: 1 file (1 changed)",
        "  ~ .envparity/python/os.py  (content)",
    ]


def test_files_of_another_version_of_the_interpreter_are_not():
    one, other = description([interpreter(b"1")]), description([interpreter(b"2")], version="3.11.9")
    assert said(one, other) == ["  python: 3.11.7 -> 3.11.9", "  interpreter's files: differ"]


def test_a_file_that_changed_hands():
    shared = file("bin/tool", b"1", executable=True)
    plain = file("bin/tool", b"1")
    one = description([layer(Kind.DISTRIBUTION, "a", "1", [shared])])
    other = description([layer(Kind.UNOWNED, "unowned", None, [plain])])
    assert said(one, other) == [
        "1 distribution (1 removed):",
        "  - a 1  (files: 1 removed)",
        "unowned: 1 file (1 changed)",
        "  ~ bin/tool  (owner a 1 -> unowned, no longer executable)",
    ]
    assert said(other, one)[-1] == "  ~ bin/tool  (owner unowned -> a 1, now executable)"


def test_very_many_files_of_one_owner_are_cut_and_counted():
    other = description([layer(Kind.UNOWNED, "unowned", None, [file(f"{number:03}") for number in range(SHOWN + 7)])])
    listed = said(description([]), other)
    assert listed[0] == f"unowned: {SHOWN + 7} files ({SHOWN + 7} added)"
    assert listed[-1] == "  … and 7 more (--json has all)"
    assert len(listed) == SHOWN + 2
