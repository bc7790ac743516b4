"""Bytes on disk after each version of a series, for every contender; what a node needs for the next one; optimize."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

from benchmarks.contenders.lineup import OURS_WHOLE
from benchmarks.contenders.ours import SLUG, Envparity, blobs
from benchmarks.figures import Growth, Line, Row, Summary
from benchmarks.measuring import Contender, Runner, Series
from benchmarks.settling import remove_tree
from benchmarks.workloads.base import Findings, Session, peak_of
from benchmarks.workloads.series import as_contender

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.contenders.base import Packer
    from benchmarks.environments import Built
    from benchmarks.figures import Memory
    from benchmarks.measuring import Sample
    from benchmarks.workloads.series import SeriesBench

#: The times of their steps are noted, one after the other while nothing else runs. The others only have to get done.
_TIMED = ("tar-zstd", "borg-3")
OPTIMIZED = "envparity, optimized"
#: A month and a day or two.
_MONTH = 33


def growth(bench: SeriesBench, session: Session) -> Findings:
    """All versions into one place a contender, from old to new, once. Places stay for other workloads."""
    ours, others = bench.lineup.ours, bench.lineup.others
    timed = [ours, *bench.lineup.of(_TIMED)]
    session.settle()
    samples = _in_turn(bench, session.runner, timed)
    samples[OPTIMIZED] = _optimize(bench, session.runner, ours, bench.directory / "optimized", OPTIMIZED)
    rest = [packer for packer in (bench.lineup.whole, *others.values()) if packer and packer not in timed]
    samples |= _side_by_side(bench, rest)
    lines = _lines(bench, samples, timed)
    report = Growth(bench.name, tuple(built.recipe.date for built in bench.versions), lines)
    rows = [*_rows_of_bytes(bench, report, session.bounds), *node_rows(bench, session.bounds)]
    return Findings("growth", rows, list(_memory(bench, samples, session.bounds)), samples, report)


def _in_turn(bench: SeriesBench, runner: Runner, packers: Sequence[Packer]) -> dict[str, Series]:
    """A version by all, then the next version."""
    steps: dict[str, list[tuple[Contender, Sample]]] = {packer.name: [] for packer in packers}
    for number in range(len(bench.versions)):
        for packer in packers:
            steps[packer.name].append(_step(bench, packer, number, runner))
    return {name: _series(taken) for name, taken in steps.items()}


def _side_by_side(bench: SeriesBench, packers: Sequence[Packer]) -> dict[str, Series]:
    """As many packers at once as there are cores: their times do not count."""

    def all_steps(packer: Packer) -> dict[str, Series]:
        room = bench.directory / "steps" / packer.slug
        room.mkdir(parents=True)
        runner = Runner(bench.environ, room, lambda _text: None, sync=lambda: None)
        return {packer.name: _series([_step(bench, packer, n, runner) for n in range(len(bench.versions))])}

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return {name: series for found in pool.map(all_steps, packers) for name, series in found.items()}


def _step(bench: SeriesBench, packer: Packer, number: int, runner: Runner) -> tuple[Contender, Sample]:
    """Keep one more version. Archives are counted and then removed, but for the newest, which is restored later."""
    built, place = bench.versions[number], bench.directory / "everything" / packer.slug

    def prepare() -> None:
        if not packer.shares:
            remove_tree(place)
        place.mkdir(parents=True, exist_ok=True)
        packer.prepare(place, built.prefix, bench.call)

    command = packer.pack(place, built.prefix, built.recipe.date)
    contender = as_contender(packer.name, packer, command, prepare, lambda: packer.kept(place))
    return contender, runner.once(contender)[0]


def _optimize(bench: SeriesBench, runner: Runner, packer: Envparity, store: Path, name: str) -> Series:
    """Optimize a copy of a store: its time and memory, and the bytes that are left."""
    bench.copy_store(packer, store)
    contender = as_contender(name, packer, packer.optimize(store), lambda: None, lambda: packer.kept(store))
    sample, together = runner.once(contender, watch=True)
    return Series(contender, (sample,), together)


def _series(steps: Sequence[tuple[Contender, Sample]]) -> Series:
    return Series(steps[0][0], tuple(sample for _, sample in steps))


def _lines(bench: SeriesBench, samples: Mapping[str, Series], timed: Sequence[Packer]) -> tuple[Line, ...]:
    """In the order of a report: ours, then the others from small to large."""
    versions = [built.recipe.date for built in bench.versions]
    shares = {packer.name: packer.shares for packer in (bench.lineup.ours, *bench.lineup.others.values())}
    times = {packer.name for packer in timed} | {OPTIMIZED}
    lines = []
    for name, series in samples.items():
        kept = series.figure("kept_bytes")
        totals = kept if shares.get(name, True) else [sum(kept[: count + 1]) for count in range(len(kept))]
        labels = versions[-len(totals) :]
        seconds = dict(zip(labels, series.walls, strict=True)) if name in times else {}
        lines.append(Line(name, dict(zip(labels, totals, strict=True)), seconds))
    mine = [line for line in lines if line.name not in shares or line.name == bench.lineup.ours.name]
    theirs = [line for line in lines if line not in mine]
    return (*mine, *sorted(theirs, key=lambda line: line.totals[versions[-1]]))


def _rows_of_bytes(bench: SeriesBench, report: Growth, bounds: Mapping[str, float]) -> Iterator[Row]:
    """The whole store in the end, which has a bound, and beside it what each of the others keeps."""
    last = report.versions[-1]
    ends = {line.name: line.totals[last] for line in report.lines}
    what = f"bytes after {len(report.versions)} versions"
    for key, name in (("bytes", bench.lineup.ours.name), ("bytes.optimized", OPTIMIZED)):
        if name in ends:
            full = what if key == "bytes" else f"{what}, after optimize"
            yield Row(bench.name, key, full, "", "B", Summary.of([ends[name]]), bound=bounds.get(key))
    for packer in bench.lineup.others.values():
        ours, theirs = ends[bench.lineup.ours.name], ends[packer.name]
        yield ratio_row(bench.name, (f"bytes.{packer.slug}", what, packer.name), ours, theirs, bounds)


def ratio_row(
    environment: str, names: tuple[str, str, str], ours: float, theirs: float, bounds: Mapping[str, float]
) -> Row:
    """Bytes of ours beside theirs. `names`: key, what, contender."""
    key, what, contender = names
    return Row(
        environment,
        key,
        what,
        contender,
        "B",
        Summary.of([ours]),
        Summary.of([theirs]),
        Summary.of([ours / theirs]),
        bound=bounds.get(key),
    )


def node_rows(bench: SeriesBench, bounds: Mapping[str, float]) -> Iterator[Row]:
    """What a node that has one version must fetch for the next, beside the whole of it."""
    store = bench.directory / "everything" / SLUG
    for before, after in zip(bench.versions, bench.versions[1:], strict=False):
        held, wanted = (blobs(store, built.recipe.date) for built in (before, after))
        missing = sum(size for digest, size in wanted.items() if digest not in held)
        name = after.recipe.date
        # Every version of pyarrow is most of a new one: the bound is for months without.
        key = "node" if is_typical(before, after) else "node.other"
        names = (key, f"a node fetches for {name}", "all of it, packed")
        yield ratio_row(bench.name, names, missing, sum(wanted.values()), bounds)


def is_typical(before: Built, after: Built) -> bool:
    """Whether a step is one of a month in which the largest distribution, pyarrow, did not change."""
    days = date.fromisoformat(after.recipe.date) - date.fromisoformat(before.recipe.date)
    return days.days <= _MONTH and before.installed("pyarrow") == after.installed("pyarrow")


def _memory(bench: SeriesBench, samples: Mapping[str, Series], bounds: Mapping[str, float]) -> Iterator[Memory]:
    """Of all steps of ours, and of optimize."""
    names = {bench.lineup.ours.name: "all versions, captured one after the other", OPTIMIZED: "optimize"}
    names |= {OURS_WHOLE: "the same with interpreter and bytecode"}
    for name, what in names.items():
        if name in samples:
            yield peak_of(bench.name, what, samples[name], bounds, deltas=True)
