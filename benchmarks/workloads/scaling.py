"""How times grow with the number of snapshots in a store and of files in an environment: what `benchmarks.scale` measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Point
from benchmarks.workloads.base import Findings

if TYPE_CHECKING:
    from benchmarks.workloads.base import Bench, Session

#: A curve needs no more: what is looked for is a factor of a hundred, not of one per cent.
ROUNDS = 3


def curve(bench: Bench, session: Session) -> Findings:
    """Of a store made of the layers of the environment, and of environments of small files."""
    # It measures within this process, so only now: what it imports would count as memory of all other commands.
    from benchmarks import scale

    rounds = min(ROUNDS, session.rounds)
    session.settle()
    samples = [
        *scale.snapshots_curve(bench.built.prefix, scale.SNAPSHOTS, bench.directory / "scale", rounds),
        *scale.files_curve(scale.FILES, bench.directory / "scale", rounds),
    ]
    points = [Point(sample.axis, sample.size, sample.operation, sample.seconds) for sample in samples]
    return Findings("curve", (), (), {}, scale=points)
