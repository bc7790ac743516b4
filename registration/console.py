"""What the subcommands print with: JSON, numbers for people, tables that fit a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from diffing import escaping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from snapshot.model import Finding

#: The last character of a bar: so many eighths of a block.
_EIGHTHS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589"

#: Where no terminal says how wide it is.
WIDTH = 80
#: Columns from which on a table has room for bars.
_WIDE_ENOUGH = 72

printable = escaping.printable


def print_json(document: object) -> None:
    """The only thing on standard output with `--json`. ASCII: a path that is not UTF-8 comes out as lone surrogates."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False))


def size(count: int) -> str:
    """`592 MB`: three digits, powers of 1000."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
        if amount < 999.5 or unit == "TB":
            return f"{amount:.{digits}f} {unit}"
    raise AssertionError("the last unit takes everything")


def seconds(duration: float) -> str:
    return f"{duration:.2f} s" if duration < 10 else f"{duration:.1f} s"


def period(duration: float) -> str:
    """`1 hour`, `90 seconds`, `7 days`: in the largest unit that divides it."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if duration and duration % length == 0:
            return count(int(duration // length), unit)
    return count(int(duration), "second") if duration == int(duration) else f"{duration:g} seconds"


def count(number: int, noun: str) -> str:
    """`1 file`, `11,904 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    bars: Sequence[tuple[int, int]] = (),
    err: bool = False,
) -> None:
    """Print columns; a cell that is too long is folded, so nothing is lost. `right`: headings of numbers.

    `bars` has a pair for each row: how much of what (the same for all) a bar at its end shows. `err`: to standard error.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704 (called while one is handled: the command says what its exit code is)

    console = Plain(highlight=False, stderr=err)
    if not console.is_terminal:
        console = Plain(highlight=False, stderr=err, width=WIDTH)
    # The numbers say what the bars show.
    bars = bars if console.width >= _WIDE_ENOUGH else ()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading in right)
    drawn = [bar(part, whole, fine=console.is_terminal and console.encoding == "utf-8") for part, whole in bars]
    if drawn:
        table.add_column("", no_wrap=True, style="cyan")
    for number, row in enumerate(rows):
        cells = [Text(printable(cell), overflow="fold") for cell in row]
        table.add_row(*cells, *([Text(drawn[number])] if drawn else []))
    console.print(table)


def bar(part: int, whole: int, *, fine: bool, width: int = 20) -> str:
    """`part` of `whole` as a bar of at most `width` characters; what is not nothing shows. `fine`: in eighths."""
    if part <= 0 or whole <= 0:
        return ""
    if not fine:
        return "#" * max(1, round(width * part / whole))
    eighths = max(1, round(8 * width * part / whole))
    return ("\u2588" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def percent(part: int, whole: int) -> str:
    """`31.5%`."""
    return f"{100 * part / whole:.1f}%" if whole else "-"


def print_findings(findings: Iterable[Finding], *, examples: int = 3) -> None:
    """A line for each kind of finding: how many, and a few of them."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, found in sorted(kinds.items()):
        click.echo(f"  {printable(kind)} ({len(found):,})")
        for finding in found[:examples]:
            click.echo(shortened(f"    {printable(finding.path)}: {printable(finding.detail)}"))
        if len(found) > examples:
            click.echo(f"    … and {len(found) - examples:,} more")


def shortened(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def print_columns(cells: Sequence[str], *, indent: int = 2, err: bool = False) -> None:
    """Short texts in as many columns as fit, read downwards."""
    shown = [printable(cell) for cell in cells]
    columns: list[list[str]] = []
    for height in range(1, len(shown) + 1):
        columns = [shown[start : start + height] for start in range(0, len(shown), height)]
        if indent + sum(max(map(len, column)) + 2 for column in columns) - 2 <= WIDTH:
            break
    widths = [max(map(len, column)) + 2 for column in columns]
    for row in range(len(columns[0]) if columns else 0):
        line = "".join(
            column[row].ljust(width) for column, width in zip(columns, widths, strict=True) if row < len(column)
        )
        click.echo(" " * indent + line.rstrip(), err=err)
