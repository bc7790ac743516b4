"""The results as a table for a terminal, as Markdown and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.environments import DATE
from benchmarks.figures import Memory, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.table import Table

    from benchmarks.environments import Built
    from benchmarks.figures import Row, Summary
    from benchmarks.measuring import Series

NUMBERS = ("ours", "call", "theirs", "ratio", "bound")

_METHOD = """\
Every figure is one whole process, from fork and exec to its end, start of Python and imports included. The contenders of a \
workload take turns, after one round that does not count, each round beginning with another one; `sync` runs before each process, so that none pays for what \
another one wrote. The page cache is warm: nothing is read from a cold disk, for anybody. What a run needs (a new virtual \
environment for uv, an empty place, an emptied cache) is prepared outside the clock. What the run before left is moved aside and removed when all are done, a minute before \
anything else is measured: without a journal, ext4 is slow to create files for a minute after many were removed. \
What commands print goes to files that nobody reads meanwhile.

Times are medians, with the fastest and the slowest run in brackets. *Call* is the part that the library call takes by its \
own account (`seconds` of `--json`); the rest is starting the process. The ratio is the median of the ratios of each round, \
ours to theirs: less than 1 is in our favour. A bound applies to that median, or, where no contender is named, to the \
largest figure of ours. A row without a bound is there for information.

*With interpreter* is the default of a capture. Beside it stands a tar of the environment and of exactly those files of \
the base interpreter that the snapshot holds, or a copy of the restored tree; uv makes an environment without an interpreter.
"""

_MEMORY = """\
*Largest process* is the highest maximum resident set (`ru_maxrss` of wait4) of any process of a command, over all rounds. \
*All together* is the most that the command and its children were seen to take at once in the uncounted round, looked at \
every 5 ms, pages they share counted once (the sum of `Pss`). The bound applies to the larger of the two. \
`ru_maxrss` is never less than what the benchmark itself takes (some 35 MB), because a process begins as a copy of it.
"""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a run found out. `series` is by environment and workload."""

    when: str
    rounds: int
    quick: bool
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    environments: Sequence[Built]
    rows: Sequence[Row]
    memory: Sequence[Memory]
    series: Mapping[str, Mapping[str, Mapping[str, Series]]]
    notes: Sequence[str] = ()

    @property
    def judged(self) -> list[Row | Memory]:
        rows: list[Row | Memory] = [*self.rows, *self.memory]
        return [row for row in rows if row.bound is not None]

    @property
    def missed(self) -> list[Row | Memory]:
        return [row for row in self.judged if not row.met]


def amount(value: float, unit: str) -> str:
    """A time or a size in few characters."""
    if unit == "s":
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.{0 if value >= 10 * size else 1}f} {name}"
    return f"{value:.0f} B"


def spread(summary: Summary, unit: str) -> str:
    """The median, with the extremes where they differ from it."""
    texts = [amount(value, unit) for value in (summary.median, summary.low, summary.high)]
    middle, low, high = texts
    if low == high:
        return middle
    if len({text.split()[1] for text in texts}) == 1:
        low, high = low.split()[0], high.split()[0]
    return f"{middle} ({low}-{high})"


def ratio_text(value: float, unit: str) -> str:
    """A ratio of sizes to the thousandth: they do not vary, and come close to their bound."""
    return f"{value:.3f}" if unit == "B" else f"{value:.2f}"


def ratio_spread(summary: Summary, unit: str) -> str:
    middle, low, high = (ratio_text(value, unit) for value in (summary.median, summary.low, summary.high))
    return middle if low == high else f"{middle} ({low}-{high})"


def bound_text(row: Row | Memory) -> str:
    if row.bound is None:
        return ""
    if isinstance(row, Memory):
        return amount(row.bound, "B")
    return ratio_text(row.bound, row.unit) if row.ratio else amount(row.bound, row.unit)


def conclusion(results: Results) -> str:
    """In one sentence; `misses` goes on where it ends in a colon."""
    judged, missed = len(results.judged), results.missed
    if not judged:
        return "Nothing that was measured has a bound."
    if not missed:
        return f"All {judged} bounds are met."
    return f"{len(missed)} of {judged} bounds MISSED:"


def misses(results: Results) -> list[str]:
    """Each missed bound by name."""
    return [f"{row.environment}: {_title(row)}" for row in results.missed]


def _title(row: Row | Memory) -> str:
    if isinstance(row, Memory):
        return f"peak memory of {row.what}"
    return f"{row.what} against {row.contender}" if row.contender else row.what


def tables(results: Results) -> Iterable[Table]:
    """For a terminal of 80 columns."""
    from rich.table import Table

    for built in results.environments:
        rows = [row for row in results.rows if row.environment == built.name]
        table = Table(title=_headline(built), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("", overflow="fold")
        for name in (*NUMBERS, ""):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            what = f"{row.what}\n  [dim]/ {row.contender}[/dim]" if row.contender else row.what
            table.add_row(what, *_cells(row), _styled(row))
        if rows:
            yield table
    if results.memory:
        table = Table(title="peak memory", title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("")
        for name in ("largest process", "all together", "bound", ""):
            table.add_column(name, justify="right", no_wrap=True)
        for peak in results.memory:
            table.add_row(f"{peak.environment}: {peak.what}", *_memory_cells(peak), _styled(peak))
        yield table


def _headline(built: Built) -> str:
    return f"{built.name}: {' '.join(built.recipe.requirements)}, {built.files:,} files, {amount(built.bytes, 'B')}"


def _styled(row: Row | Memory) -> str:
    word = verdict(row)
    return f"[bold red]{word}[/bold red]" if row.met is False else word


def _cells(row: Row) -> list[str]:
    return [
        amount(row.ours.median, row.unit),
        amount(row.call.median, "s") if row.call else "",
        amount(row.theirs.median, row.unit) if row.theirs else "",
        ratio_text(row.ratio.median, row.unit) if row.ratio else "",
        bound_text(row),
    ]


def _memory_cells(peak: Memory) -> list[str]:
    together = "not known" if peak.together is None else amount(peak.together, "B")
    return [amount(peak.largest, "B"), together, bound_text(peak)]


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        "# Benchmarks",
        "Written by `python -m benchmarks --write-docs`, which measures it again. Do not edit.",
        f"**{conclusion(results)}**",
        "\n".join(f"- {line}" for line in misses(results)),
        *results.notes,
        "![Ratios of the times, and their bounds](benchmarks.svg)",
        "## What it ran on",
        _list(
            [
                *results.machine.items(),
                *results.versions.items(),
                ("measured on", results.when),
                ("rounds", f"{results.rounds}, after one that does not count"),
            ]
        ),
        _list(
            (item.name, f"{_contents(item)}: {item.files:,} files, {amount(item.bytes, 'B')}")
            for item in results.environments
        ),
    ]
    for built in results.environments:
        rows = [row for row in results.rows if row.environment == built.name]
        if rows:
            parts += [f"## {built.name}", _markdown_rows(rows)]
    if results.memory:
        parts += ["## Peak memory", _markdown_memory(results.memory), _MEMORY.strip()]
    parts += ["## How it is measured", _METHOD.strip(), "The commands:", _commands(results)]
    parts.append("Every sample is in [benchmarks.json](benchmarks.json).")
    return "\n\n".join(part for part in parts if part) + "\n"


def _contents(built: Built) -> str:
    return f"`{' '.join(built.recipe.requirements)}` as of {DATE}, {built.recipe.about}"


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _markdown_rows(rows: Sequence[Row]) -> str:
    lines = [
        _line(["what", "ours", "call", "contender", "theirs", "ratio", "bound", ""]),
        _line(["---", "---:", "---:", "---", "---:", "---:", "---:", "---"]),
    ]
    for row in rows:
        cells = [
            row.what,
            spread(row.ours, row.unit),
            amount(row.call.median, "s") if row.call else "",
            f"`{row.contender}`" if row.contender else "",
            spread(row.theirs, row.unit) if row.theirs else "",
            ratio_spread(row.ratio, row.unit) if row.ratio else "",
            bound_text(row),
            verdict(row),
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def _markdown_memory(rows: Sequence[Memory]) -> str:
    lines = [
        _line(["environment", "command", "largest process", "all together", "bound", ""]),
        _line(["---", "---", "---:", "---:", "---:", "---"]),
    ]
    lines += [_line([row.environment, row.what, *_memory_cells(row), verdict(row)]) for row in rows]
    return "\n".join(lines)


def _commands(results: Results) -> str:
    shown = {
        name: series.contender.shown
        for workloads in results.series.values()
        for taken in workloads.values()
        for name, series in taken.items()
    }
    return "\n".join(
        [
            _line(["name", "command"]),
            _line(["---", "---"]),
            *(_line([name, f"`{text}`"]) for name, text in shown.items()),
        ]
    )


def document(results: Results) -> dict[str, Any]:
    """For JSON: everything, each sample included."""
    return {
        "when": results.when,
        "rounds": results.rounds,
        "quick": results.quick,
        "machine": dict(results.machine),
        "versions": dict(results.versions),
        "notes": list(results.notes),
        "environments": [
            {
                "name": item.name,
                "requirements": list(item.recipe.requirements),
                "date": DATE,
                "files": item.files,
                "bytes": item.bytes,
            }
            for item in results.environments
        ],
        "rows": [{**asdict(row), "met": row.met} for row in results.rows],
        "memory": [{**asdict(row), "met": row.met} for row in results.memory],
        "samples": {
            environment: {
                workload: {
                    name: {
                        "command": series.contender.shown,
                        "together": series.together,
                        "runs": [asdict(sample) for sample in series.samples],
                    }
                    for name, series in taken.items()
                }
                for workload, taken in workloads.items()
            }
            for environment, workloads in results.series.items()
        },
    }
