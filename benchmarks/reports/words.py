"""Figures in words, the same in all reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.environments import Built
    from benchmarks.figures import Row, Summary
    from benchmarks.results import Results


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
    return _judged_text(row, row.bound)


def judged_text(row: Row | Memory) -> str:
    """The figure that its bound applies to."""
    return _judged_text(row, row.judged)


def _judged_text(row: Row | Memory, value: float) -> str:
    if isinstance(row, Memory):
        return amount(value, "B")
    return ratio_text(value, row.unit) if row.ratio else amount(value, row.unit)


def title(row: Row | Memory) -> str:
    """What a row is about."""
    if isinstance(row, Memory):
        return f"peak memory of {row.what}"
    return f"{row.what} against {row.contender}" if row.contender else row.what


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
    return [f"{row.environment}: {title(row)}" for row in results.missed]


def contents(versions: Sequence[Built]) -> str:
    """What an environment, or a series of them, holds."""
    newest = versions[-1]
    name = " ".join(newest.recipe.requirements)
    if len(versions) > 1:
        name = f"{len(versions)} versions of {name}, the newest with"
        return f"{name} {newest.files:,} files, {amount(newest.bytes, 'B')}"
    return f"{name}, {newest.files:,} files, {amount(newest.bytes, 'B')}"
