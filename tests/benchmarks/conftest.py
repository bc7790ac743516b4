"""Rows, contenders and results made by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.environments import Built
from benchmarks.figures import Growth, Line, Memory, Row, Summary
from benchmarks.measuring import Contender, Runner, Sample, Series
from benchmarks.recipes import Recipe
from benchmarks.results import Results


def row(key="warm", *, ratio=0.5, bound=0.6, **changes):
    given = {
        "environment": "plain",
        "key": key,
        "what": "warm restore",
        "contender": "uv pip install",
        "unit": "s",
        "ours": Summary(0.5, 0.4, 0.6),
        "theirs": Summary(1.0, 0.9, 1.1),
        "ratio": Summary(ratio, ratio - 0.1, ratio + 0.1) if ratio else None,
        "call": Summary(0.3, 0.3, 0.3),
        "bound": bound,
    }
    return Row(**{**given, **changes})


def memory(largest=100_000_000, together=120_000_000, bound=400e6):
    return Memory("plain", "memory.capture", "capture", largest, together, bound)


def contender(name="a", script="pass", **extra):
    return Contender(name, [sys.executable, "-c", script], f"python -c {script!r}", **extra)


def built(recipe, prefix=Path("/env")):
    return Built(recipe, prefix, prefix / "bin/python", Path("/base"), "3.11.7", Path("/lock"), (), 12_184, 585_000_000)


def growth():
    versions = ("2025-01-01", "2025-02-01", "2025-03-01")
    ours = Line("envparity", dict(zip(versions, (100e6, 120e6, 150e6), strict=True)), {"2025-01-01": 2.5})
    theirs = Line("tar.gz & <co>", dict(zip(versions, (170e6, 340e6, 510e6), strict=True)))
    return Growth("series", versions, (ours, Line("envparity, after optimize", {"2025-03-01": 130e6}), theirs))


def results(rows, peaks=(), **extra):
    plain = built(Recipe("plain", ("mlflow", "pandas"), "installed by uv"))
    samples = (Sample(0.5, 0.3, 0.1, 1000, {"seconds": 0.3}), Sample(0.6, 0.3, 0.1, 1000, {"seconds": 0.3}))
    series = {"plain": {"warm": {"warm restore": Series(contender("warm restore"), samples, 2000)}}}
    return Results(
        when="2025-12-01",
        rounds=2,
        quick=False,
        machine={"cores": "2"},
        versions={"uv": "0.9"},
        environments=[plain, *extra.pop("environments", ())],
        rows=rows,
        memory=peaks,
        series=series,
        notes=["A note."],
        **extra,
    )


@pytest.fixture
def said():
    return []


@pytest.fixture
def runner(tmp_path, said):
    return Runner({"LC_ALL": "C.UTF-8"}, tmp_path, said.append, sync=lambda: said.append("sync"))
