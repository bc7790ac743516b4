"""What workloads make of samples. Nothing here looks at a time."""

from __future__ import annotations

import pytest

from benchmarks.figures import Memory
from benchmarks.measuring import Sample, Series
from benchmarks.recipes import Recipe
from benchmarks.tools import Tools
from benchmarks.workloads import single
from benchmarks.workloads.base import Bench, Comparison, Session, Workload, peaks_of, rows_of, timed
from tests.benchmarks.conftest import built, contender


def series(name, *walls, together=None, **figures):
    return Series(contender(name), tuple(Sample(wall, 0, 0, 100, figures) for wall in walls), together)


def rows(comparison, bounds=(), **taken):
    return list(rows_of("series", Workload("w", (), (comparison,)), taken, dict(bounds)))


def test_who_took_part_in_fewer_rounds_is_compared_in_those():
    (row,) = rows(Comparison("k", "what", "a", "b"), {"k": 3}, a=series("a", 1.0, 3.0, 8.0), b=series("b", 2.0, 2.0))
    assert (row.ratio.low, row.ratio.high) == (0.5, 1.5)
    assert row.ours.median == 3.0
    assert row.bound == 3


def test_another_figure_of_the_contender():
    taken = {"a": series("a", 1.0), "b": series("b", 8.0, seconds=2.0)}
    (row,) = rows(Comparison("k", "what", "a", "b", other="seconds"), **taken)
    assert row.ratio.median == 0.5


def test_a_figure_that_nobody_tells():
    with pytest.raises(ValueError, match="a does not tell its bytes"):
        rows(Comparison("k", "what", "a", None, "bytes"), a=series("a", 1.0))


def test_what_writes_deltas_may_take_more():
    workload = Workload("w", (), (), ("a", "b"), deltas=("b",))
    taken = {"a": series("a", 1.0, together=150), "b": series("b", 1.0)}
    bounds = {"memory": 400, "memory.torch": 600, "memory.deltas": 800}
    found = list(peaks_of("series", workload, taken, bounds))
    assert found == [
        Memory("series", "memory.a", "a", 100, 150, 400),
        Memory("series", "memory.b", "b", 100, None, 800),
    ]
    assert [peak.bound for peak in peaks_of("torch", workload, taken, bounds)] == [600, 800]


@pytest.fixture
def bench(tmp_path):
    return Bench(None, built(Recipe("plain", (), "")), tmp_path, {})


@pytest.mark.parametrize(("judged", "bound"), [(True, 5), (False, None)])
def test_a_workload_takes_its_turns(bench, runner, judged, bound):
    settled = []
    workload = Workload("w", [contender("a"), contender("b", rounds=1)], [Comparison("k", "what", "a", "b")], ["a"])
    measure = timed(lambda _bench: workload, judged=judged, rounds=2)
    found = measure(bench, Session(runner, 4, {"k": 5, "memory": 7}, lambda: settled.append(1)))
    assert [len(series.samples) for series in found.samples.values()] == [2, 1]
    assert [row.bound for row in found.rows] == [bound]
    assert [peak.bound for peak in found.memory] == [7]
    assert settled == [1]


@pytest.mark.parametrize("workload", [single.warm, single.warm_bare, single.cold_bare, single.memory])
def test_each_workload_makes_the_store_that_it_restores_from(tmp_path, workload):
    program = tmp_path / "envparity"
    program.write_text(f'#!/bin/sh\nmkdir -p "$2"; echo "$*" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    tools = Tools(str(program), *(f"/usr/bin/{name}" for name in ("uv", "tar", "zstd", "cp", "sh", "env")))
    made = workload(Bench(tools, built(Recipe("plain", (), "")), tmp_path, {"PATH": "/usr/bin:/bin"}))
    stock = tmp_path / "stock"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"--store {stock} capture /env --name bare --no-interpreter",
        f"--store {stock} capture /env --name whole",
    ]
    restored = [item for item in made.contenders if "restore" in item.command]
    assert {item.command[2] for item in restored} == {str(stock)}
    assert {item.name for item in restored} <= set(made.memory)
