"""`python -m benchmarks`: build the environments, measure, report. Exit codes: 0 all bounds met, 1 one missed, 2 an error."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from rich.console import Console

from benchmarks.bounds import GOALS, read_guard
from benchmarks.errors import BenchmarkError
from benchmarks.reports.document import document
from benchmarks.reports.growth_plot import plot_growth
from benchmarks.reports.markdown import markdown
from benchmarks.reports.plot import plot
from benchmarks.reports.terminal import tables
from benchmarks.reports.words import conclusion, misses
from benchmarks.running import Run
from benchmarks.selection import select
from benchmarks.workloads.plan import FULL, PLAN, QUICK, SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.results import Results

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.write_docs and chosen.quick:
        parser.error("--write-docs needs the real environments; leave out --quick, or use --json FILE")
    if chosen.quick and chosen.torch:
        parser.error("--quick measures small environments; leave out --torch")
    if chosen.quick and chosen.scale:
        parser.error("--quick leaves out the curve of --scale; leave out one of both")
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        names = QUICK if chosen.quick else (*FULL, SCALE) if chosen.scale else FULL
        selected = select({name: tuple(PLAN[name]) for name in names}, chosen.only)
    except ValueError as error:
        parser.error(str(error))
    try:
        work = (chosen.work or Path(platformdirs.user_cache_dir("envparity")) / "benchmarks").absolute()
        bounds = read_guard() if chosen.quick else GOALS
        run = Run(work, bounds, rounds=chosen.rounds or (2 if chosen.quick else 5), quick=chosen.quick)
        results = run.measure(selected, demand_torch=chosen.torch, report=lambda found: write(found, chosen))
        publish(results)
    except BenchmarkError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    return 1 if results.missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--quick", action="store_true", help="small environments, two rounds, generous bounds: for CI")
    parser.add_argument("--rounds", type=int, metavar="N", help="counted rounds (default: 5, with --quick 2)")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help=f"environments ({', '.join(FULL)}), workloads ({', '.join(_workloads())}), or one of one: plain/warm",
    )
    parser.add_argument(
        "--torch", action="store_true", help="fail when the environment with torch cannot be built (else a note)"
    )
    parser.add_argument(
        "--scale",
        action="store_true",
        help="also how times grow with a store's snapshots and with files (takes minutes)",
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where environments are kept (default: in the user's cache)"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md, .svg and .json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to FILE")
    return parser


def _workloads() -> list[str]:
    return list(dict.fromkeys(workload for name in FULL for workload in PLAN[name]))


def publish(results: Results) -> None:
    """Print the tables."""
    console = Console(width=80, highlight=False)
    for table in tables(results):
        console.print(table)
        console.print()
    for line in (conclusion(results), *misses(results)):
        console.print(line, markup=False)


def write(results: Results, chosen: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    data = json.dumps(document(results), indent=1) + "\n"
    if chosen.json:
        chosen.json.write_text(data, encoding="utf-8")
    if chosen.write_docs:
        written = {"benchmarks.json": data, "benchmarks.svg": plot(results.rows), "benchmarks.md": markdown(results)}
        written |= {f"benchmarks-{growth.environment}.svg": plot_growth(growth) for growth in results.growths}
        for name, text in written.items():
            (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
