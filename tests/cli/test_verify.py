"""`envparity verify` and `envparity check`: what is wrong is named, and the exit code says so."""

from __future__ import annotations

import pytest


@pytest.fixture
def reference(store, make):
    return make.publish(store, make.training(), "churn/3")


def test_all_is_well(envparity, library, reference, make):
    assert envparity("verify", "churn/3").stdout == (
        f"verified churn/3 ({make.snapshot[:19]}): 2 files as captured, in 0.50 s\n"
    )
    assert envparity.json("verify", "churn/3") == {
        "subject": "churn/3",
        "snapshot": make.snapshot,
        "ok": True,
        "files": 2,
        "problems": [],
        "seconds": 0.5,
    }


def test_problems_are_named_and_the_exit_code_is_1(envparity, library, reference, make):
    library.problems = (make.Problem("modified", "lib/a.py", "sha256:1"), make.Problem("added", "lib/\x1b\n.py", ""))
    assert envparity("verify", "churn/3", code=1).stdout == (
        f"failed churn/3 ({make.snapshot[:19]}): 2 problems in 0.50 s\n"
        "  modified   lib/a.py  (sha256:1)\n"
        "  added      lib/\\x1b\\n.py\n"
    )
    document = envparity.json("verify", "churn/3", code=1)
    assert document["ok"] is False
    assert document["problems"] == [
        {"kind": "modified", "path": "lib/a.py", "detail": "sha256:1"},
        {"kind": "added", "path": "lib/\x1b\n.py", "detail": ""},
    ]


def test_check_of_a_store_that_is_well(envparity, tmp_path):
    # Without a snapshot there is nothing that could be wrong.
    assert envparity("check").stdout == (f"checked {tmp_path / 'store'}: every blob is there and as it was written\n")
    assert envparity.json("check") == {"ok": True, "problems": []}


def test_check_names_a_damaged_blob(envparity, store, reference):
    blob = envparity.store_path / "blobs" / "sha256" / reference.manifest.digest.hex
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b" ")
    said = envparity("check", code=1).stdout
    assert said.startswith(f"failed {envparity.store_path}: ")
    assert reference.manifest.digest in said
    document = envparity.json("check", code=1)
    assert document["ok"] is False
    assert any(reference.manifest.digest.hex in str(problem) for problem in document["problems"])
