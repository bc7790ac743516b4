"""Bytes on disk after each version, a line a contender: a plain SVG, with a logarithmic scale."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from benchmarks.reports.plot import STYLE
from benchmarks.reports.words import amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Growth, Line

WIDTH, HEIGHT = 960, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 400, 66, 44
#: At least so far apart are the names at the ends of the lines.
GAP = 15

#: Ours are the blue ones.
_OURS = ("#0284c7", "#075985", "#38bdf8", "#0e7490")
_THEIRS = ("#dc2626", "#d97706", "#65a30d", "#7c3aed", "#db2777", "#57534e", "#ca8a04", "#059669", "#9333ea", "#b45309")


def plot_growth(growth: Growth) -> str:
    """Draw all lines of `growth`, each with its name and its last figure at its end."""
    low, high = _range(growth.lines)
    last = growth.versions[-1]
    named = ", ".join(f"{line.name} {amount(line.totals[last], 'B')}" for line in growth.lines)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
        f'  role="img" aria-label="{escape(f"Bytes on disk after {len(growth.versions)} versions: {named}")}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        '<text x="16" y="26" class="t">Bytes on disk after each version</text>',
        '<text x="16" y="44" class="s">All contenders hold the same files, but for the lines that say otherwise. The scale is logarithmic.</text>',
        *_grid(growth.versions, low, high),
        *_curves(growth, low, high),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    values = [value for line in lines for value in line.totals.values()]
    return min(values) * 0.85, max(values) * 1.15


def _height(value: float, low: float, high: float) -> float:
    share = math.log(value / low) / math.log(high / low)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _across(number: int, versions: Sequence[str]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * number / max(1, len(versions) - 1)


def _grid(versions: Sequence[str], low: float, high: float) -> Iterator[str]:
    end = _across(len(versions) - 1, versions)
    for power in range(3, 13):
        for step in (1, 2, 5):
            value = step * 10.0**power
            if low <= value <= high:
                y = _height(value, low, high)
                yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>'
                yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="s e">{amount(value, "B")}</text>'
    for number, version in enumerate(versions):
        x = _across(number, versions)
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#f1f5f9"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" class="s m">{escape(version[2:])}</text>'


def _curves(growth: Growth, low: float, high: float) -> Iterator[str]:
    versions = growth.versions
    last = versions[-1]
    end = _across(len(versions) - 1, versions)
    ends = {line.name: _height(line.totals[last], low, high) for line in growth.lines}
    labels = spread_out(ends, GAP, HEIGHT - BOTTOM)
    ours, theirs = iter(_OURS * len(growth.lines)), iter(_THEIRS * len(growth.lines))
    for line in growth.lines:
        mine = line.name.startswith("envparity")
        colour = next(ours if mine else theirs)
        points = [
            (_across(number, versions), _height(line.totals[version], low, high))
            for number, version in enumerate(versions)
            if version in line.totals
        ]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{2.5 if mine else 1.5}"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3.5 if mine else 2.5}" fill="{colour}"/>'
        y = labels[line.name]
        yield f'<line x1="{end + 5:.1f}" y1="{ends[line.name]:.1f}" x2="{end + 18:.1f}" y2="{y:.1f}" stroke="{colour}"/>'
        weight = ' font-weight="600"' if mine else ""
        label = f"{escape(line.name)}: {amount(line.totals[last], 'B')}"
        yield f'<text x="{end + 22:.1f}" y="{y + 4:.1f}"{weight} style="fill:{colour};font-size:11px">{label}</text>'


def spread_out(wanted: dict[str, float], gap: float, bottom: float) -> dict[str, float]:
    """Heights near those that are `wanted`, at least `gap` apart, none below `bottom`."""
    found: dict[str, float] = {}
    limit = bottom
    for name in sorted(wanted, key=lambda name: -wanted[name]):
        found[name] = min(wanted[name], limit)
        limit = found[name] - gap
    return found
