"""The seconds to the first prediction as horizontal bars, with the spread, and the bounds of ours: a plain SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from benchmarks.deploying.results import OURS, best, deploy_rows
from benchmarks.figures import Summary
from benchmarks.reports.plot import STYLE
from benchmarks.reports.words import amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.deploying.turns import Deployments

WIDTH = 880
LEFT, RIGHT = 230, 190
BAR, STEP, TOP, BOTTOM = 18, 32, 62, 40

_STEPS = tuple(step * 10.0**power for power in range(-1, 5) for step in (1, 2, 5))


def plot(deployments: Sequence[Deployments], bounds: Mapping[str, float]) -> str:
    """Draw all contenders in their order; `bounds` are shares of the fastest of the others. Raises ValueError when there is none."""
    if not deployments:
        raise ValueError("no deployment was measured; run at least one round before plotting")
    height = TOP + STEP * len(deployments) + BOTTOM
    most = max(max(each.walls) for each in deployments) * 1.02
    scale = (WIDTH - LEFT - RIGHT) / most
    fastest = best(deployments)
    reference = Summary.of(fastest.walls).median if fastest else None
    limits = {name: bounds[key] * reference for name, key in OURS.items() if reference and key in bounds}
    # As the report judges: by the ratios of the rounds, which is not always the ratio of the medians.
    missed = {row.what for row in deploy_rows(deployments, bounds) if row.met is False}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'  role="img" aria-label="{escape(_summary(deployments))}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" class="t">From "deploy" to the first prediction: seconds, shorter is better</text>',
        (
            '<text x="16" y="44" class="s">Medians, with the fastest and the slowest run as a line. '
            "The black mark is the bound of ours: a share of the fastest of the others.</text>"
        ),
        *_axis(scale, most, height),
    ]
    for number, each in enumerate(deployments):
        name = each.way.name
        lines += _bar(each, TOP + number * STEP, scale, limits.get(name), missed=name in missed)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _summary(deployments: Sequence[Deployments]) -> str:
    return "; ".join(f"{each.way.name}: {amount(Summary.of(each.walls).median, 's')}" for each in deployments)


def _axis(scale: float, most: float, height: int) -> Iterator[str]:
    bottom = height - BOTTOM + 6
    step = next(step for step in _STEPS if most / step <= 12)
    for number in range(int(most / step) + 1):
        x = LEFT + number * step * scale
        yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#e2e8f0"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" class="s m">{number * step:g}</text>'


def _bar(each: Deployments, y: int, scale: float, limit: float | None, *, missed: bool) -> Iterator[str]:
    found = Summary.of(each.walls)
    middle = y + BAR / 2
    colour = "#0284c7" if each.way.name in OURS else "#94a3b8"
    low, end, high = (LEFT + value * scale for value in (found.low, found.median, found.high))
    yield f'<text x="{LEFT - 10}" y="{middle + 4:.1f}" class="e">{escape(each.way.name)}</text>'
    yield f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
    yield f'<line x1="{low:.1f}" y1="{middle:.1f}" x2="{high:.1f}" y2="{middle:.1f}" stroke="#334155" stroke-width="1.5"/>'
    text, klass, edge = amount(found.median, "s"), "", max(end, high)
    if limit is not None:
        mark = LEFT + limit * scale
        yield f'<line x1="{mark:.1f}" y1="{y - 4}" x2="{mark:.1f}" y2="{y + BAR + 4}" stroke="#0f172a" stroke-width="2.5"/>'
        edge = max(edge, mark)
        text += f", at most {amount(limit, 's')}"
        klass = ' class="x"' if missed else ""
    yield f'<text x="{edge + 8:.1f}" y="{middle + 4:.1f}"{klass}>{text}</text>'
