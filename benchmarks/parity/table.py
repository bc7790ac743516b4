"""The catalogue as a document: what was changed, what parity said, and which of the other tools noticed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.parity.examining import Examined
    from benchmarks.parity.timing import Timed

_SEEN = {True: "yes", False: "-", None: "?"}


@dataclass(frozen=True, slots=True)
class Row:
    """A change, and for each tool whether it noticed (None: it could not be tried, or did not finish)."""

    examined: Examined
    others: Mapping[str, bool | None] = field(default_factory=dict)


def document(rows: Sequence[Row], machine: Mapping[str, str], absent: Sequence[str]) -> str:
    """The page of the catalogue."""
    return "\n".join(_lines(rows, machine, absent)) + "\n"


def times_document(timed: Sequence[Timed], machine: Mapping[str, str]) -> str:
    """The page of the times."""
    return "\n".join(_times(timed, machine)) + "\n"


def _times(timed: Sequence[Timed], machine: Mapping[str, str]) -> Iterator[str]:
    yield "# How long a comparison takes"
    yield ""
    yield "`python -m benchmarks.parity --times --write-docs`: two versions of an MLflow environment, 12,000 files each, in turn, medians."
    yield "A live environment is compared with a snapshot; beside it, each of its files is read and hashed once, on two cores."
    yield ""
    yield ", ".join(f"{name}: {value}" for name, value in machine.items()) + "."
    yield ""
    yield "| | bound | median | lowest to highest |"
    yield "| --- | ---: | ---: | ---: |"
    for each in timed:
        bound = "" if each.bound is None else f"{each.bound:g} {each.unit}"
        missed = "" if each.met else " **missed**"
        yield (
            f"| {each.name} | {bound} | {each.median:.3f} {each.unit}{missed} "
            f"| {min(each.values):.3f} to {max(each.values):.3f} |"
        )


def _lines(rows: Sequence[Row], machine: Mapping[str, str], absent: Sequence[str]) -> Iterator[str]:
    changes = [row for row in rows if not row.examined.change.harmless]
    harmless = [row for row in rows if row.examined.change.harmless]
    tools = list(dict.fromkeys(name for row in rows for name in row.others))
    yield "# What parity sees, and what others see"
    yield ""
    yield "`python -m benchmarks.parity --write-docs` makes each of these changes, one at a time, to a fresh copy of a real environment"
    yield "(scikit-learn, numpy, scipy, flask and what they need), compares it with the snapshot of the original, and asks other tools"
    yield "about the same pair. A tool has seen a change if it prints a line that it does not print for an unchanged copy, and is wrong about a"
    yield "harmless one if it prints anything. `?`: it could not be asked (the change is in what is known of another machine), or did not end."
    yield ""
    yield ", ".join(f"{name}: {value}" for name, value in machine.items()) + "."
    for name in absent:
        yield f"`{name}` is not installed on this machine and was left out."
    yield ""
    yield "## Single changes"
    yield ""
    yield from _table(changes, tools, "rule")
    yield ""
    yield "## Changes that do not matter"
    yield ""
    yield "Here a `yes` is a false alarm."
    yield ""
    yield from _table(harmless, tools, "")


def _table(rows: Sequence[Row], tools: Sequence[str], rule: str) -> Iterator[str]:
    yield f"| change | {'rule | ' if rule else ''}envparity | {' | '.join(tools)} |"
    yield f"| --- | {'--- | ' if rule else ''}--- | {' | '.join(['---'] * len(tools))} |"
    for row in rows:
        found, change = row.examined, row.examined.change
        flags = "".join(f" {flag}" for flag in sorted(map(str, change.flags)))
        said = f"{found.report.verdict}{flags}" if found.as_expected else f"**{found.report.verdict}**, not as expected"
        cells = [change.what, *([f"`{change.rule}`"] if rule else []), said]
        cells += [_SEEN[row.others.get(name)] for name in tools]
        yield f"| {' | '.join(cells)} |"
    right = sum(row.examined.as_expected for row in rows)
    cells = [f"**{len(rows)}**", *([""] if rule else []), f"**{right}**"]
    for name in tools:
        asked = [row.others[name] for row in rows if row.others.get(name) is not None]
        cells.append(f"**{sum(map(bool, asked))} of {len(asked)}**")
    yield f"| {' | '.join(cells)} |"
