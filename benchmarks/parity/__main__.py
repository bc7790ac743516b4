"""`python -m benchmarks.parity`: the catalogue and the times. Exit codes: 0 all as expected, 1 something is not, 2 an error.

python -m benchmarks.parity [--only NAME,...] [--no-others] [--no-times] [--rounds N] [--work DIR] [--write-docs]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from benchmarks.environments import Builder, choose_cache, variables
from benchmarks.errors import BenchmarkError
from benchmarks.machine import describe_machine
from benchmarks.parity.examining import CHANGES, examine
from benchmarks.parity.laboratory import Laboratory
from benchmarks.parity.observers import NotFinishedError, observers
from benchmarks.parity.table import Row, document, times_document
from benchmarks.parity.timing import timings
from benchmarks.recipes import RECIPES
from benchmarks.settling import Settling
from benchmarks.tools import find_tool
from diffing.errors import DiffError
from snapshot.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.parity.catalogue import Change
    from benchmarks.parity.laboratory import Serving
    from benchmarks.parity.observers import Observer

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
#: The first two versions of the series: 12,000 files each.
VERSIONS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    work = (chosen.work or Path(platformdirs.user_cache_dir("envparity")) / "benchmarks").absolute()
    try:
        text, good = _times(work, chosen.rounds) if chosen.times else _catalogue(work, chosen)
    except (BenchmarkError, DiffError, SnapshotError) as error:
        print(f"benchmarks.parity: error: {error}", file=sys.stderr)
        return 2
    print(text, end="")
    if chosen.write_docs:
        (DOCS / ("parity-times.md" if chosen.times else "catalogue.md")).write_text(text, encoding="utf-8")
    return 0 if good else 1


def _catalogue(work: Path, chosen: argparse.Namespace) -> tuple[str, bool]:
    laboratory = Laboratory(work / "parity", find_tool("uv"))
    laboratory.prepare()
    found, absent = observers(laboratory) if chosen.others else ([], [])
    rows = [_row(laboratory, name, found) for name in chosen.only or CHANGES]
    return document(rows, describe_machine(work), absent), all(row.examined.as_expected for row in rows)


def _row(laboratory: Laboratory, name: str, others: Sequence[Observer]) -> Row:
    examined, serving = examine(laboratory, CHANGES[name])
    print(examined, file=sys.stderr)
    change = examined.change
    seen = {each.name: _sees(laboratory, each, change, serving) for each in others} if change.apply else {}
    shutil.rmtree(serving.root)
    return Row(examined, seen)


def _sees(laboratory: Laboratory, observer: Observer, change: Change, serving: Serving) -> bool | None:
    """Whether it says something of this copy that it does not say of an unchanged one; of a harmless change, anything at all."""
    train, unchanged = laboratory.unchanged
    try:
        said = observer.look(train, serving)
        if change.harmless:
            return bool(said)
        if observer.name not in laboratory.remembered:
            laboratory.remembered[observer.name] = observer.look(train, unchanged)
    except NotFinishedError as error:
        print(error, file=sys.stderr)
        return None
    return bool(said - laboratory.remembered[observer.name])


def _times(work: Path, rounds: int) -> tuple[str, bool]:
    builder = Builder(work, find_tool("uv"), variables(choose_cache(work)), print, Settling(0, print))
    built = [builder.build(recipe) for recipe in RECIPES["series"][:VERSIONS]]
    timed = timings(work, {each.name: each.prefix for each in built}, find_tool("envparity"), rounds)
    return times_document(timed, describe_machine(work)), all(each.met for each in timed)


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in CHANGES]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(CHANGES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=_names, metavar="NAME,...", help="only these changes")
    parser.add_argument("--no-others", dest="others", action="store_false", help="do not ask other tools")
    parser.add_argument("--times", action="store_true", help="measure how long comparisons take, instead")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="counted rounds (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where environments are kept (default: in the user's cache)"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/catalogue.md, or docs/parity-times.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
