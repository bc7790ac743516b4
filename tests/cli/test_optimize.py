"""`envparity optimize`: what the library is asked for, and what is printed."""

from __future__ import annotations

import pytest

import snapshot
from snapshot.optimizing import Optimized

DONE = Optimized(1_362_000_000, 305_000_000, 412, True, (), 61.5)


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the library's `optimize`: `answer` is what it returns or raises."""

    class Asked:
        answer = DONE
        options = None

        def __call__(self, store, **options):
            self.options = {"store": str(store), **options}
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    found = Asked()
    monkeypatch.setattr(snapshot, "optimize", found, raising=False)
    return found


def test_by_default_everything_is_done(envparity, asked):
    said = envparity("optimize").stdout
    assert asked.options == {
        "store": str(envparity.store_path),
        "max_time": None,
        "target_size": None,
        "progress": None,  # no terminal
    }
    assert said == f"optimized {envparity.store_path}: 1.36 GB -> 305 MB, 412 layers encoded anew, in 61.5 s\n"


def test_every_option_reaches_the_library(envparity, asked):
    envparity("optimize", "--max-time", "90s", "--target-size", "1GiB")
    assert asked.options["max_time"] == 90.0
    assert asked.options["target_size"] == 1 << 30


def test_a_target_that_was_not_reached(envparity, asked):
    said = envparity("optimize", "--target-size", "300MB", code=1).stdout
    assert said.splitlines()[1] == "300 MB were not reached; envparity size NAME shows what takes the room"
    assert envparity.json("optimize", "--target-size", "300MB", code=1)["reached"] is False
    assert envparity.json("optimize", "--target-size", "305MB")["reached"] is True


def test_problems_are_said_and_are_a_failure(envparity, asked):
    asked.answer = Optimized(10, 10, 0, True, ("blob sha256:1 is damaged\x1b",), 0.1)
    said = envparity("optimize", code=1).stdout
    assert said.splitlines()[1] == "left as it was: blob sha256:1 is damaged\\x1b"
    assert envparity.json("optimize", code=1)["problems"] == ["blob sha256:1 is damaged\x1b"]


def test_what_is_not_done_yet(envparity, asked):
    asked.answer = Optimized(10, 10, 0, False, (), 0.1)
    assert (
        envparity("optimize", "--max-time", "0").stdout.splitlines()[1] == "not all is done yet; run it again to go on"
    )


def test_json_has_every_number(envparity, asked):
    assert envparity.json("optimize") == {
        "before": 1_362_000_000,
        "after": 305_000_000,
        "layers": 412,
        "complete": True,
        "problems": [],
        "seconds": 61.5,
        "saved": 1_057_000_000,
        "reached": True,
    }


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--max-time", "-1"], "-1"),
        (["--max-time", "soon"], "soon"),
        (["--target-size", "small"], "small"),
        (["--target-size", "-1"], "-1"),
        (["what"], "what"),
    ],
)
def test_wrong_use(envparity, asked, words, match):
    assert match in envparity.error("optimize", *words)
    assert asked.options is None


def test_an_error_is_one_line(envparity, asked):
    asked.answer = snapshot.store.StoreError("cannot write to the store: the disk is full; make room")
    assert envparity.error("optimize") == "cannot write to the store: the disk is full; make room"


def test_an_empty_store_is_left_alone(envparity):
    assert envparity("optimize").stdout.startswith(
        f"optimized {envparity.store_path}: 0 B -> 0 B, 0 layers encoded anew"
    )
    assert envparity("list").stdout.startswith("no snapshots")
