"""What a ratio or a size may be at most. The full run has fixed goals; the quick one only guards against getting much worse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: By the key of a row. A key that is missing here is measured for information.
GOALS: Mapping[str, float] = {
    "capture": 1.2,
    "capture.size": 1.0,
    "capture-interpreter": 1.2,
    "capture-interpreter.size": 1.0,
    "recapture": 0.2,
    "recapture.added": 100_000,
    "warm": 0.6,
    "warm-interpreter": 0.6,
    "cold": 1.3,
    "cold-interpreter": 1.3,
    # Bytes after all versions of the series, and what a node needs for the next one.
    "bytes": 345_000_000,
    "bytes.optimized": 310_000_000,
    "node": 0.15,
    # Its times.
    "first.tar-zstd": 1.0,
    "first.borg-3": 0.5,
    "first.env-pack": 0.25,
    "next.tar-zstd": 2.0,
    "next.borg-3": 0.5,
    "next.env-pack": 0.25,
    "restore.cp": 1.1,
    "restore.borg-3": 1.0,
    "restore.restic-auto": 1.0,
    "restore.tar-gz": 1.0,
    "restore.venv-pack": 1.0,
    "series.warm": 0.5,
    "newest": 1.1,
    "memory": 400_000_000,
    "memory.torch": 600_000_000,
    # Of a capture with its deltas, and of optimize.
    "memory.deltas": 800_000_000,
}

GUARD = Path(__file__).with_name("guard.json")


def read_guard(path: Path = GUARD) -> Mapping[str, float]:
    """The bounds of a quick run. Raises ValueError for a key that no row has."""
    bounds = json.loads(path.read_bytes())
    unknown = sorted(set(bounds) - set(GOALS))
    if unknown:
        raise ValueError(
            f"{path} has bounds for {', '.join(unknown)}, which nothing measures; known are {', '.join(GOALS)}"
        )
    return {key: float(value) for key, value in bounds.items()}
