"""Which workloads of which environments there are, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.workloads import series, single
from benchmarks.workloads.base import timed
from benchmarks.workloads.growth import growth
from benchmarks.workloads.scaling import curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.workloads.base import Findings


#: An environment of over a gigabyte, and tools that take long: more rounds would tell little.
FEW_ROUNDS = 3

_SINGLE: Mapping[str, Callable[[Any, Any], Findings]] = {
    "capture": timed(single.capture),
    "interpreter": timed(single.interpreter),
    "warm": timed(single.warm),
    "cold": timed(single.cold),
}
_SERIES: Mapping[str, Callable[[Any, Any], Findings]] = {
    # First of all: it fills the places that others copy or restore from.
    "growth": growth,
    "first": timed(series.first),
    "next": timed(series.following),
    "again": timed(series.again),
    "restore": timed(series.restore),
    "warm": timed(series.warm),
    "newest": timed(series.newest),
}
#: The workloads of each environment or series.
PLAN: Mapping[str, Mapping[str, Callable[[Any, Any], Findings]]] = {
    "series": _SERIES,
    "plain": _SINGLE,
    "bytecode": _SINGLE,
    "service": {
        "capture": timed(single.capture, judged=False),
        "warm": timed(single.warm_bare, judged=False),
        "cold": timed(single.cold_bare, judged=False),
    },
    "torch": {
        "memory": timed(single.memory),
        "capture": timed(single.capture, judged=False, rounds=FEW_ROUNDS),
        "warm": timed(single.warm_bare, judged=False, rounds=FEW_ROUNDS),
        "cold": timed(single.cold_bare, judged=False, rounds=FEW_ROUNDS),
    },
    "scale": {"curve": curve},
    "quick": _SINGLE,
    # Bounds are wide there: one counted round is enough.
    "quick-series": {
        "growth": growth,
        "first": timed(series.first, rounds=1),
        "next": timed(series.following, rounds=1),
        "restore": timed(series.restore, rounds=1),
        "warm": timed(series.warm, rounds=1),
        "newest": timed(series.newest, rounds=1),
    },
}
QUICK = ("quick", "quick-series")
SCALE = "scale"
FULL = tuple(name for name in PLAN if name not in (*QUICK, SCALE))
