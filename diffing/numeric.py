"""How far results moved between two numeric fingerprints: units in the last place, share of the results, relative error. No I/O."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.errors import DiffError

if TYPE_CHECKING:
    from snapshot.facts.model import Measurement, Numeric

#: Formats of a number and of its bits, by dtype.
_BITS = {"float64": ("<d", "<q", 63), "float32": ("<f", "<i", 31), "float16": ("<e", "<h", 15)}


class InvalidResultError(DiffError, ValueError):
    """A fingerprint holds a result that is no number of its type."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A measurement whose results differ. Only the sample says by how much.

    `ulps`: the largest distance in units in the last place of the results' type, at least 1: when the digests differ, some result does, and if
    none of the sample does that is all that is known. Infinite where one side has a NaN, or a result fewer. For integers, which have no such
    unit, it is 1. `share`: how many of the sampled results differ, from 0 to 1; 0 when only results outside the sample do.
    `relative`: the largest difference over the larger of the two magnitudes, infinite as above.
    """

    name: str
    group: str
    ulps: float
    share: float
    relative: float


def moved(train: Numeric, serve: Numeric) -> tuple[Moved, ...]:
    """The measurements that both have and that differ, the farthest first. Raises InvalidResultError for a result that is no number.

    One that only one side has says nothing of how far results move; `unmatched` names those.
    """
    before = {(one.group, one.name): one for one in train.measurements}
    after = {(one.group, one.name): one for one in serve.measurements}
    rows = [_moved(before[key], after[key]) for key in before if key in after and before[key] != after[key]]
    return tuple(sorted(rows, key=lambda row: (-row.ulps, -row.share, row.group, row.name)))


def unmatched(train: Numeric, serve: Numeric) -> tuple[tuple[str, str], ...]:
    """Group and name of each measurement that only one of the two has: it failed there, or there is no numpy."""
    before, after = ({(one.group, one.name) for one in side.measurements} for side in (train, serve))
    return tuple(sorted(before ^ after))


def _moved(train: Measurement, serve: Measurement) -> Moved:
    if train.dtype != serve.dtype or len(train.sample) != len(serve.sample):
        return Moved(train.name, train.group, math.inf, 1.0, math.inf)
    pairs = [
        (_number(train, one), _number(serve, other)) for one, other in zip(train.sample, serve.sample, strict=True)
    ]
    differing = [pair for pair in pairs if not _same(*pair)]
    return Moved(
        name=train.name,
        group=train.group,
        ulps=max([1.0, *(ulps(one, other, train.dtype) for one, other in differing)]),
        share=len(differing) / len(pairs) if pairs else 0.0,
        relative=max((_relative(one, other) for one, other in differing), default=0.0),
    )


def _number(measurement: Measurement, text: str) -> float:
    try:
        return float.fromhex(text)
    except (ValueError, OverflowError) as error:
        raise InvalidResultError(
            f"numeric fingerprint, {measurement.name}: {text[:40]!r} is no result of float.hex; capture the fingerprint again"
        ) from error


def _same(one: float, other: float) -> bool:
    """Equal in every bit but those of a NaN, of which there are many that mean the same."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other and math.copysign(1.0, one) == math.copysign(1.0, other)


def ulps(one: float, other: float, dtype: str) -> float:
    """How many numbers of `dtype` lie between two of them, one of them counted: 0 if and only if they are the same, 1 for neighbours.

    The two zeros are neighbours, and infinity is that of the largest finite number. Infinite if just one is NaN. A type that is not a
    float has no such unit: 1 for what differs.
    """
    if _same(one, other):
        return 0.0
    if math.isnan(one) or math.isnan(other):
        return math.inf
    if dtype not in _BITS:
        return 1.0
    # In one type two numbers that differ by a rounding to it only are the same there; they differ, so it is one unit.
    return float(max(1, abs(_position(one, dtype) - _position(other, dtype))))


def _position(value: float, dtype: str) -> int:
    """The number's place among all of its type in order, negative zero just before zero (bits of IEEE 754 are ordered as magnitudes are)."""
    form, integer, bits = _BITS[dtype]
    try:
        data = struct.pack(form, value)
    except OverflowError:
        data = struct.pack(form, math.copysign(math.inf, value))
    (number,) = struct.unpack(integer, data)
    return int(number) if number >= 0 else -1 - int(number & ((1 << bits) - 1))


def _relative(one: float, other: float) -> float:
    if math.isnan(one) or math.isnan(other) or math.isinf(one) or math.isinf(other):
        return math.inf
    largest = max(abs(one), abs(other))
    if not largest:
        return 0.0
    difference = abs(one - other)
    # Of two very large numbers the difference is too large; that of their halves is not.
    return difference / largest if math.isfinite(difference) else 2 * (abs(one / 2 - other / 2) / largest)
