"""The stores that the growth of cost is measured on are real ones, and the table says what was measured."""

from __future__ import annotations

import functools
import json
import os

import pytest

import snapshot
from benchmarks import scale

OPERATIONS = [
    "resolve",
    "list",
    "capture, unchanged",
    "restore, warm",
    "restore, cold",
    "capture, one distribution changed",
    "remove",
    "gc",
    "check",
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Nothing is measured here: no waiting, and no interpreter of a hundred megabytes in every snapshot."""
    monkeypatch.setattr(scale, "SETTLED", 0.0)
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(snapshot, "capture", functools.partial(snapshot.capture, interpreter=False))


@pytest.fixture
def environment(tmp_path):
    scale._small_files(tmp_path / "environment", 120)
    return tmp_path / "environment"


def test_a_store_that_was_grown_is_whole(environment, tmp_path):
    store = snapshot.Store(tmp_path / "store")
    snapshot.capture(environment, store, name="given")
    scale.grow(store, "given", 3)
    scale.grow(store, "given", 5)
    names = [each.name for each in store.references()]
    assert names == ["given", *(f"scale/{number}" for number in range(5))]
    assert len({each.snapshot for each in store.references()}) == 6
    assert store.check() == ()
    snapshot.restore("scale/3", tmp_path / "restored", store)
    assert snapshot.verify(tmp_path / "restored", store).ok


def test_the_curve_over_snapshots(environment, tmp_path):
    samples = scale.snapshots_curve(environment, [2, 1], tmp_path / "work", rounds=2)
    assert {(each.axis, each.size) for each in samples} == {("snapshots", 1), ("snapshots", 2)}
    assert [each.operation for each in samples] == OPERATIONS * 4
    assert all(each.seconds > 0 for each in samples)


def test_the_command(environment, tmp_path, capsys):
    words = ["--prefix", str(environment), "--snapshots", "1", "--files", "50", "--rounds", "1"]
    assert scale.main([*words, "--work", str(tmp_path / "work"), "--json", str(tmp_path / "samples.json")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["snapshots,", "seconds", "1"]
    assert "files, seconds                              50" in said
    assert all(len(line) <= 80 for line in said)
    rows = json.loads((tmp_path / "samples.json").read_text())
    assert {row["axis"] for row in rows} == {"snapshots", "files"}
    assert [row["operation"] for row in rows] == [*OPERATIONS, "capture, first", *OPERATIONS]
    assert list((tmp_path / "work").iterdir()) == []


def test_the_table_has_medians():
    samples = [scale.Sample("snapshots", size, "gc", seconds) for size in (1, 1000) for seconds in (3.0, 1.0, 2.0)]
    samples.append(scale.Sample("snapshots", 1, "list", 0.5))
    assert [line.split() for line in scale.table(samples).splitlines()] == [
        ["snapshots,", "seconds", "1", "1,000"],
        ["gc", "2.000", "2.000"],
        ["list", "0.500", "-"],
    ]


def test_no_environment(tmp_path, capsys):
    assert scale.main(["--prefix", str(tmp_path), "--files", "", "--work", str(tmp_path / "work")]) == 2
    assert capsys.readouterr().err.startswith("benchmarks.scale: error: ")


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--snapshots", "0"], ["--files", "x"]])
def test_wrong_use(words):
    with pytest.raises(SystemExit) as caught:
        scale.main(words)
    assert caught.value.code == 2
