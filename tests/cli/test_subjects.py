"""What a word means to `diff` and `verify`: a snapshot, or a directory."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def asked(envparity, library):
    """What `verify WORD` gives to the library."""

    def ask(word):
        envparity("verify", word)
        ((_, args, _),) = library.calls
        return args[0]

    return ask


def test_a_name_is_a_snapshot(asked, store, make, environment):
    assert asked(make.publish(store, make.training(), "churn/3").name) == store.resolve("churn").snapshot


def test_a_prefix_of_an_id_is_a_snapshot(asked, store, make, environment):
    reference = make.publish(store, make.training())
    assert asked(reference.snapshot[:13]) == reference.snapshot


def test_an_environment_without_a_slash(asked, environment):
    assert asked("live") == Path("live")


def test_the_restored_tree_of_a_base_interpreter(asked, environment):
    (environment / "pyvenv.cfg").unlink()
    (environment / ".envparity").mkdir()
    (environment / ".envparity" / "restored.json").write_text("{}")
    assert asked("live") == Path("live")


def test_of_both_the_snapshot_is_meant(asked, environment, store, make):
    make.publish(store, make.training(), "live")
    assert asked("live") == store.resolve("live").snapshot


@pytest.mark.parametrize("word", ["./live", "live/"])
def test_with_a_slash_the_directory_is_meant(asked, environment, store, make, word):
    make.publish(store, make.training(), "live")
    assert asked(word) == Path("live")


def test_a_dot_is_the_directory(asked, environment, monkeypatch):
    monkeypatch.chdir(environment)
    assert asked(".") == Path()


def test_neither(envparity, store, make, environment):
    make.publish(store, make.training(), "churn/3")
    said = envparity.error("verify", "chrun/3")
    assert "no snapshot 'chrun/3'" in said
    assert "churn/3" in said
    assert said.endswith("nor is there a directory chrun/3")


def test_a_directory_that_is_no_environment(envparity, environment):
    Path("plain").mkdir()
    said = envparity.error("verify", "plain")
    assert said.endswith("the directory plain is no environment (write ./plain if it is meant all the same)")


def test_two_snapshots_that_begin_alike_are_not_taken_for_none(envparity, store, make, environment, monkeypatch):
    ids = [make.publish(store, make.training(core=str(number).encode())).snapshot for number in range(3)]
    monkeypatch.setattr("snapshot.store.store._begins", lambda reference, text: reference.snapshot in ids)
    assert "give more digits" in envparity.error("verify", "abcd")
