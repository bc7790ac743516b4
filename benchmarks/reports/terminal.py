"""Tables for a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.figures import verdict
from benchmarks.reports.words import amount, bound_text, contents, ratio_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.figures import Growth, Memory, Row
    from benchmarks.results import Results

NUMBERS = ("ours", "call", "theirs", "ratio", "bound")


def tables(results: Results) -> Iterable[Table]:
    """Of each environment, of what is kept after each version, of memory, and of who was left out."""
    for name, versions in results.groups.items():
        rows = [row for row in results.rows if row.environment == name]
        if rows:
            yield _rows(f"{name}: {contents(versions)}", rows)
    for growth in results.growths:
        yield _growth(growth)
    if results.memory:
        yield _memory(results.memory)
    if results.absent:
        table = _table("left out")
        table.add_column("", no_wrap=True)
        table.add_column("")
        for name, reason in results.absent.items():
            table.add_row(name, reason)
        yield table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _rows(title: str, rows: Sequence[Row]) -> Table:
    table = _table(title)
    table.add_column("", overflow="fold")
    for name in (*NUMBERS, ""):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        what = f"{row.what}\n  [dim]/ {row.contender}[/dim]" if row.contender else row.what
        table.add_row(what, *cells(row), _styled(row))
    return table


def _growth(growth: Growth) -> Table:
    """The first, the last and what the last one added: all versions do not fit."""
    table = _table(f"{growth.environment}: bytes on disk, of {len(growth.versions)} versions")
    table.add_column("", overflow="fold")
    for name in ("after the first", "after the last", "added last"):
        table.add_column(name, justify="right", no_wrap=True)
    first, last = growth.versions[0], growth.versions[-1]
    for line in growth.lines:
        figures = (line.totals.get(first), line.totals[last], line.added(growth.versions).get(last))
        table.add_row(line.name, *("" if figure is None else amount(figure, "B") for figure in figures))
    return table


def _memory(peaks: Sequence[Memory]) -> Table:
    table = _table("peak memory")
    table.add_column("")
    for name in ("largest process", "all together", "bound", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for peak in peaks:
        table.add_row(f"{peak.environment}: {peak.what}", *memory_cells(peak), _styled(peak))
    return table


def _styled(row: Row | Memory) -> str:
    word = verdict(row)
    return f"[bold red]{word}[/bold red]" if row.met is False else word


def cells(row: Row) -> list[str]:
    """The numbers of a row, without their spread."""
    return [
        amount(row.ours.median, row.unit),
        amount(row.call.median, "s") if row.call else "",
        amount(row.theirs.median, row.unit) if row.theirs else "",
        ratio_text(row.ratio.median, row.unit) if row.ratio else "",
        bound_text(row),
    ]


def memory_cells(peak: Memory) -> list[str]:
    together = "not known" if peak.together is None else amount(peak.together, "B")
    return [amount(peak.largest, "B"), together, bound_text(peak)]
