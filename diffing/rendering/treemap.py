"""Rectangles whose areas are weights: the squarified treemap of Bruls, Huizing and van Wijk (2000). Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A place in the picture, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def squarify(weights: Sequence[float], place: Rectangle) -> list[Rectangle]:
    """Divide `place` among `weights` (positive, the largest first), one rectangle each, as square as can be."""
    scale = place.width * place.height / sum(weights) if weights else 0.0
    areas = [weight * scale for weight in weights]
    found: list[Rectangle] = []
    start = 0
    while start < len(areas):
        side = min(place.width, place.height)
        end = _row_end(areas, start, side)
        row = areas[start:end]
        found.extend(_lay(row, place))
        place = _rest(sum(row), place)
        start = end
    return found


def _row_end(areas: Sequence[float], start: int, side: float) -> int:
    """Take areas into a row as long as its worst ratio of sides gets no worse."""
    total = areas[start]
    worst = _ratio(areas[start], areas[start], total, side)
    end = start + 1
    while end < len(areas):
        total += areas[end]
        ratio = _ratio(areas[start], areas[end], total, side)
        if ratio > worst:
            break
        worst = ratio
        end += 1
    return end


def _ratio(largest: float, smallest: float, total: float, side: float) -> float:
    if not smallest or not side:
        return float("inf")
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))


def _lay(row: Sequence[float], place: Rectangle) -> Iterator[Rectangle]:
    total = sum(row)
    along = 0.0
    for area in row:
        share = area / total if total else 0.0
        if place.width >= place.height:
            thick = total / place.height if place.height else 0.0
            yield Rectangle(place.x, place.y + along, thick, share * place.height)
            along += share * place.height
        else:
            thick = total / place.width if place.width else 0.0
            yield Rectangle(place.x + along, place.y, share * place.width, thick)
            along += share * place.width


def _rest(taken: float, place: Rectangle) -> Rectangle:
    if place.width >= place.height:
        thick = min(taken / place.height, place.width) if place.height else 0.0
        return Rectangle(place.x + thick, place.y, place.width - thick, place.height)
    thick = min(taken / place.width, place.height) if place.width else 0.0
    return Rectangle(place.x, place.y + thick, place.width, place.height - thick)
