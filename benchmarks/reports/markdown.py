"""The report that people read: the bounds first, then all figures, then how they were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.contenders.env_pack import NAME as ENV_PACK
from benchmarks.figures import Summary, verdict
from benchmarks.reports.terminal import memory_cells
from benchmarks.reports.words import (
    amount,
    bound_text,
    conclusion,
    contents,
    judged_text,
    misses,
    ratio_spread,
    spread,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.environments import Built
    from benchmarks.figures import Growth, Memory, Point, Row
    from benchmarks.results import Results

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
Where that is not known, the command ran only once and was not looked at, for the sake of its time, or the kernel does not tell. `ru_maxrss` is never less than what the benchmark itself takes (some 35 MB), because a process begins as a copy of it.
"""


_SERIES = """\
All contenders hold the same files: the environments have no bytecode, and ours are captured with `--no-interpreter --no-bytecode`. \
Bytes are the sizes of all files in the store or repository, without caches that can be made again. Archives are one file a version, and \
their totals are sums. Each version lies at a path of its own, so nobody finds a file unchanged by its time stamps, but in the unchanged re-capture. A *next version* is the second one; each run of it begins with \
a fresh copy of a store or repository, and its caches, that has the first. Contenders that take long have fewer rounds, and their ratio is \
that of these rounds. Restores are of the newest version, from stores and repositories that have all. The times of single steps are those of one run each, in turn, and have no spread.

What *a node fetches* for a version is what its manifest lists and that of the version before does not: the node has all of that. \
Its bound is for steps of a month in which pyarrow, the largest distribution, stays as it is.
"""

_ENV_PACK = f"""\
*{ENV_PACK}* is `pack_env_for_databricks_model_serving` of `mlflow.utils.env_pack`, called by the interpreter of the newest version that has it, \
unchanged, for all versions, since older ones of MLflow lack it. It packs `sys.prefix`, which is set to the version to be packed. Outside of Databricks it refuses to work: \
`DATABRICKS_RUNTIME_VERSION` is set to a serverless image, and the model that it wants is a directory with an `MLmodel` that names the same. \
The temporary directory is on the file system of the result. Its time is that of the process, import of mlflow included, whose bytecode is \
ready; the packing alone, by the clock of the same process, has rows of its own. It follows the link `lib64` of virtual environments, so everything below `lib` \
is stored twice; *lib64 hidden* is what it would keep without.
"""


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        "# Benchmarks",
        "Written by `python -m benchmarks --write-docs`, which measures it again. Do not edit.",
        f"**{conclusion(results)}**",
        "\n".join(f"- {line}" for line in misses(results)),
        *results.notes,
        _bounds(results.judged) if results.judged else "",
        *(f"![Bytes on disk after each version](benchmarks-{item.environment}.svg)" for item in results.growths),
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
        _list((name, _about(versions)) for name, versions in results.groups.items()),
    ]
    if results.absent:
        parts += ["Left out:", _list(results.absent.items())]
    growths = {item.environment: item for item in results.growths}
    for name in results.groups:
        rows = [row for row in results.rows if row.environment == name]
        if rows:
            parts += [f"## {name}", *(_growth(growths[name]) if name in growths else ()), _rows(rows)]
    for name, points in results.scale.items():
        parts += [f"## {name}", *(_scale(axis, points) for axis in dict.fromkeys(point.axis for point in points))]
    if results.memory:
        parts += ["## Peak memory", _memory(results.memory), _MEMORY.strip()]
    parts += ["## How it is measured", _METHOD.strip()]
    if growths:
        parts += [_SERIES.strip(), _ENV_PACK.strip()]
    parts += ["The commands:", _commands(results), "Every sample is in [benchmarks.json](benchmarks.json)."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _bounds(judged: Sequence[Row | Memory]) -> str:
    """Every bound, those that are missed first."""
    ordered = sorted(judged, key=lambda row: row.met is True)
    rows = [[verdict(row), row.environment, title(row), judged_text(row), bound_text(row)] for row in ordered]
    return table(["", "environment", "what", "figure", "at most"], rows, numbers=(3, 4))


def _about(versions: Sequence[Built]) -> str:
    first, newest = versions[0], versions[-1]
    if len(versions) > 1:
        dates = ", ".join(built.recipe.date for built in versions)
        return f"{contents(versions)}; without bytecode, as of {dates}"
    return f"{contents(versions)}; as of {first.recipe.date}, {newest.recipe.about}"


def _growth(growth: Growth) -> list[str]:
    """What is kept after each version, what each one added, and how long the steps took."""
    head = ["", *growth.versions]
    numbers = range(1, len(head))
    totals = [[line.name, *_cells(line.totals, growth.versions, "B")] for line in growth.lines]
    added = [[line.name, *_cells(line.added(growth.versions), growth.versions, "B")] for line in growth.lines]
    times = [[line.name, *_cells(line.seconds, growth.versions, "s")] for line in growth.lines if line.seconds]
    return [
        "Bytes on disk after each version:",
        table(head, totals, numbers),
        "What each version added:",
        table(head, [row for row in added if any(row[1:])], numbers),
        "How long each step took, once, for information:",
        table(head, times, numbers),
    ]


def _scale(axis: str, points: Sequence[Point]) -> str:
    """Medians of the seconds of each operation, a column a size."""
    taken: dict[str, dict[int, list[float]]] = {}
    for point in points:
        if point.axis == axis:
            taken.setdefault(point.operation, {}).setdefault(point.size, []).append(point.seconds)
    sizes = sorted({size for found in taken.values() for size in found})
    rows = [
        [name, *(spread(Summary.of(found[size]), "s") if size in found else "" for size in sizes)]
        for name, found in taken.items()
    ]
    return table([f"number of {axis}", *(f"{size:,}" for size in sizes)], rows, range(1, len(sizes) + 1))


def _cells(figures: Mapping[str, float], versions: Sequence[str], unit: str) -> list[str]:
    return [amount(figures[version], unit) if version in figures else "" for version in versions]


def _list(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """A table of Markdown; the columns `numbers` are aligned to the right."""
    right = set(numbers)
    rules = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join(_line(cells) for cells in (head, rules, *rows))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _rows(rows: Sequence[Row]) -> str:
    found = [
        [
            row.what,
            spread(row.ours, row.unit),
            amount(row.call.median, "s") if row.call else "",
            f"`{row.contender}`" if row.contender else "",
            spread(row.theirs, row.unit) if row.theirs else "",
            ratio_spread(row.ratio, row.unit) if row.ratio else "",
            bound_text(row),
            verdict(row),
        ]
        for row in rows
    ]
    return table(["what", "ours", "call", "contender", "theirs", "ratio", "bound", ""], found, (1, 2, 4, 5, 6))


def _memory(rows: Sequence[Memory]) -> str:
    found = [[row.environment, row.what, *memory_cells(row), verdict(row)] for row in rows]
    return table(["environment", "command", "largest process", "all together", "bound", ""], found, (2, 3, 4))


def _commands(results: Results) -> str:
    """By workload and name; the same one of another environment is not told again."""
    shown = {
        (workload, name): f"`{series.contender.shown}`"
        for workloads in results.series.values()
        for workload, taken in workloads.items()
        for name, series in taken.items()
    }
    return table(["workload", "name", "command"], [[*key, text] for key, text in shown.items()], ())
