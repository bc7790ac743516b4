"""`python -m benchmarks`: build the environments, measure, report. Exit codes: 0 all bounds met, 1 one missed, 2 an error."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from rich.console import Console

from benchmarks.bounds import GOALS, read_guard
from benchmarks.environments import RECIPES, Builder, Tools, choose_cache, remove_tree, variables
from benchmarks.errors import BenchmarkError, CommandFailedError
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.measuring import Runner
from benchmarks.plot import plot
from benchmarks.report import Results, conclusion, document, markdown, misses, tables
from benchmarks.selection import select
from benchmarks.workloads import PLAN, Bench, peaks_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.environments import Built
    from benchmarks.figures import Memory, Row
    from benchmarks.measuring import Series

#: Seconds for which ext4 without a journal does not use the inode of a removed file again, and a few more.
PAUSE = 65.0

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.write_docs and (chosen.quick or chosen.only):
        parser.error("--write-docs needs the full run; leave out --quick and --only, or use --json FILE")
    if chosen.quick and chosen.torch:
        parser.error("--quick measures one small environment; leave out --torch")
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        names = ["quick"] if chosen.quick else ["plain", "bytecode", "torch"]
        selected = select({name: tuple(PLAN[name]) for name in names}, chosen.only)
    except ValueError as error:
        parser.error(str(error))
    try:
        results = run(chosen, selected)
        publish(results, chosen)
    except BenchmarkError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    return 1 if results.missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument(
        "--quick", action="store_true", help="one small environment, two rounds, generous bounds: for CI"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="counted rounds (default: 5, with --quick 2)")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="environments (plain, bytecode, torch), workloads (capture, interpreter, warm, cold, memory), or one of one: plain/warm",
    )
    parser.add_argument(
        "--torch", action="store_true", help="fail when the environment with torch cannot be built (else a note)"
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where environments are kept (default: in the user's cache)"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md, .svg and .json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    return parser


def run(chosen: argparse.Namespace, selected: Mapping[str, Sequence[str]]) -> Results:
    """Measure what was selected."""
    work = (chosen.work or Path(platformdirs.user_cache_dir("envparity")) / "benchmarks").absolute()
    work.mkdir(parents=True, exist_ok=True)
    tools, environ, bounds = Tools.find(), variables(choose_cache(work)), read_guard() if chosen.quick else GOALS
    rounds = chosen.rounds or (2 if chosen.quick else 5)
    machine = describe_machine(work)
    built, notes = build(Builder(work, tools.uv, environ, _say), selected, demanded=chosen.torch)
    rows: list[Row] = []
    memory: list[Memory] = []
    series: dict[str, dict[str, dict[str, Series]]] = {}
    place = work / "run"
    for item in built:
        clear(place, pause=0 if chosen.quick else PAUSE)
        place.mkdir()
        check_space(place, item, rounds)
        runner, bench = Runner(environ, place, _say), Bench(tools, item, place, environ)
        for name in selected[item.name]:
            workload = PLAN[item.name][name](bench)
            # Where only memory is of interest, more rounds tell nothing new.
            taken = runner.take_turns(f"{item.name}/{name}", workload.contenders, rounds if workload.comparisons else 1)
            workload.proof()
            series.setdefault(item.name, {})[name] = taken
            rows += rows_of(item.name, workload, taken, bounds)
            memory += peaks_of(item.name, workload, taken, bounds)
    remove_tree(place)
    return Results(
        when=datetime.now(timezone.utc).date().isoformat(),
        rounds=rounds,
        quick=chosen.quick,
        machine=machine,
        versions=describe_versions(tools, built[0].version if built else "none"),
        environments=built,
        rows=rows,
        memory=memory,
        series=series,
        notes=notes,
    )


def clear(place: Path, *, pause: float) -> None:
    """Remove what was measured before, and give the file system time to forget it (`Bench.put_aside` says why)."""
    remove_tree(place)
    os.sync()
    if pause:
        _say(f"waiting {pause:.0f} s for the file system to settle")
        time.sleep(pause)


def check_space(place: Path, built: Built, rounds: int) -> None:
    """Nothing is removed between rounds, so there must be room for all of them. Raises BenchmarkError."""
    # A cold restore and a copy, both also with the interpreter, in each round and in the uncounted one.
    needed = 5 * built.bytes * (rounds + 1)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise BenchmarkError(
            f"{rounds} rounds of {built.name} take up to {needed / 1e9:.0f} GB in {place}, which has {free / 1e9:.0f}; "
            "give fewer --rounds, or another --work"
        )


def build(builder: Builder, selected: Mapping[str, Sequence[str]], *, demanded: bool) -> tuple[list[Built], list[str]]:
    """The environments, and notes on what is left out: torch, unless it is demanded, when no CPU wheel of it is at hand."""
    built, notes = [], []
    for name in selected:
        try:
            built.append(builder.build(RECIPES[name]))
        except CommandFailedError as error:
            if not RECIPES[name].torch or demanded:
                raise
            _say(f"without the environment {name}: {error}")
            notes.append(f"The environment `{name}` could not be built on this machine and is left out.")
    return built, notes


def publish(results: Results, chosen: argparse.Namespace) -> None:
    """Print the tables, write what was asked for."""
    console = Console(width=80, highlight=False)
    for table in tables(results):
        console.print(table)
        console.print()
    for line in (conclusion(results), *misses(results)):
        console.print(line, markup=False)
    data = json.dumps(document(results), indent=1) + "\n"
    if chosen.json:
        chosen.json.write_text(data, encoding="utf-8")
    if chosen.write_docs:
        (DOCS / "benchmarks.json").write_text(data, encoding="utf-8")
        (DOCS / "benchmarks.svg").write_text(plot(results.rows), encoding="utf-8")
        (DOCS / "benchmarks.md").write_text(markdown(results), encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
