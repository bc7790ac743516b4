"""The ratios as horizontal bars with their bounds marked: a plain SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from benchmarks.reports.words import ratio_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Row

WIDTH = 880
LEFT, RIGHT = 270, 140
BAR, STEP, HEAD, TOP, BOTTOM = 16, 30, 34, 58, 40

#: Between two numbers of the axis.
_STEPS = tuple(step * 10.0**power for power in range(-1, 9) for step in (1, 2, 5))

STYLE = (
    'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:12px;fill:#0f172a;paint-order:stroke;stroke:#fff;stroke-width:3px}'
    ".t{font-size:15px;font-weight:600}.h{font-size:13px;font-weight:600}.s{font-size:11px;fill:#475569}.e{text-anchor:end}"
    ".m{text-anchor:middle}.x{fill:#b91c1c;font-weight:600}"
)


def plot(rows: Sequence[Row]) -> str:
    """Draw the rows that have a ratio and a bound, grouped by environment. Raises ValueError when there is none."""
    shown = [row for row in rows if row.ratio is not None and row.bound is not None]
    if not shown:
        raise ValueError("no row has a ratio with a bound; measure more than memory before plotting")
    names = list(dict.fromkeys(row.environment for row in shown))
    height = TOP + HEAD * len(names) + STEP * len(shown) + BOTTOM
    most = max(1.0, *(max(row.judged, row.bound or 0) for row in shown)) * 1.04
    scale = (WIDTH - LEFT - RIGHT) / most
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        f'  role="img" aria-label="{escape(_summary(shown))}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" class="t">envparity beside what people use today: ratio to the contender, shorter is better</text>',
        '<text x="16" y="44" class="s">The black mark is the bound of a bar; the grey line is the contender itself (1.0).</text>',
        *_axis(scale, most, height),
        *_groups(shown, names, scale),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row]) -> str:
    return "; ".join(
        f"{row.environment}, {row.what} against {row.contender}: {row.judged:.2f}, bound {row.bound:.2f}"
        for row in rows
    )


def _axis(scale: float, most: float, height: int) -> Iterator[str]:
    bottom = height - BOTTOM + 6
    step = next(step for step in _STEPS if most / step <= 12)
    for number in range(int(most / step) + 1):
        value = number * step
        x = LEFT + value * scale
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e2e8f0"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" class="s m">{value:.1f}</text>'
    one = LEFT + scale
    yield f'<line x1="{one:.1f}" y1="{TOP}" x2="{one:.1f}" y2="{bottom}" stroke="#64748b" stroke-width="1.5"/>'


def _groups(rows: Sequence[Row], names: Sequence[str], scale: float) -> Iterator[str]:
    y = TOP
    for name in names:
        yield f'<text x="16" y="{y + HEAD - 12}" class="h">{escape(name)}</text>'
        y += HEAD
        for row in rows:
            if row.environment == name:
                yield from _bar(row, y, scale)
                y += STEP


def _bar(row: Row, y: int, scale: float) -> Iterator[str]:
    colour = "#0284c7" if row.met else "#dc2626"
    middle = y + BAR / 2
    yield f'<text x="{LEFT - 10}" y="{middle - 1:.1f}" class="e">{escape(row.what)}</text>'
    yield f'<text x="{LEFT - 10}" y="{middle + 11:.1f}" class="s e">against {escape(row.contender)}</text>'
    end = LEFT + row.judged * scale
    yield f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
    ratio, bound = (ratio_text(value, row.unit) for value in (row.judged, row.bound or 0))
    mark = LEFT + (row.bound or 0) * scale
    yield f'<line x1="{mark:.1f}" y1="{y - 4}" x2="{mark:.1f}" y2="{y + BAR + 4}" stroke="#0f172a" stroke-width="2.5"/>'
    text = f"{ratio}, at most {bound}" if row.met else f"{ratio}, missed {bound}"
    klass = "" if row.met else ' class="x"'
    yield f'<text x="{max(end, mark) + 8:.1f}" y="{middle + 4:.1f}"{klass}>{text}</text>'
