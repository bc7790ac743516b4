"""What workloads are made of: a place to work in, contenders that take turns, figures that are set against each other."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.ours import told
from benchmarks.errors import CommandFailedError
from benchmarks.figures import Memory, Row, Summary, ratios
from benchmarks.measuring import Contender
from benchmarks.settling import put_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.environments import Built
    from benchmarks.figures import Growth, Point
    from benchmarks.measuring import Runner, Series
    from benchmarks.tools import Tools


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row to come. `figure` is what is compared: `wall`, or what the contenders tell of themselves; `other` when it is another
    one for the contender. No `against`: ours alone.
    """

    key: str
    what: str
    ours: str
    against: str | None = None
    figure: str = "wall"
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Contenders that take turns. `memory` names those of ours whose peak is reported, `deltas` those of them that may
    take more because they write deltas; `proof` checks what all left.
    """

    name: str
    contenders: Sequence[Contender]
    comparisons: Sequence[Comparison]
    memory: Sequence[str] = ()
    proof: Callable[[], None] = field(default=lambda: None)
    deltas: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What a workload found out."""

    name: str
    rows: Sequence[Row]
    memory: Sequence[Memory]
    samples: Mapping[str, Series]
    growth: Growth | None = None
    scale: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """How a workload is run: by what, how often, within which bounds; `settle` waits for the file system."""

    runner: Runner
    rounds: int
    bounds: Mapping[str, float]
    settle: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """The place of the workloads of one environment: its tools, and a directory for everything that is made."""

    tools: Tools
    built: Built
    directory: Path
    environ: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.built.recipe.group

    def ours(self, name: str, store: str, arguments: Sequence[str | Path], shown: str, *gone: Path) -> Contender:
        """One of our commands. `gone` are put aside before each run."""
        command = [
            self.tools.envparity,
            "--store",
            os.fspath(self.directory / store),
            *map(str, arguments),
            "--json",
        ]
        return Contender(name, command, shown, lambda: self.put_aside(*gone), told, watched=True)

    def put_aside(self, *paths: Path) -> None:
        """Make room for the next run."""
        for path in paths:
            put_aside(path, self.directory / "aside")

    def call(self, command: Sequence[str | Path]) -> str:
        """A command that is not measured."""
        done = subprocess.run(
            command, env=dict(self.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = " ".join(done.stderr.strip().splitlines()[-3:])
            raise CommandFailedError(f"{' '.join(map(str, command))} ended with {done.returncode}: {last}")
        return done.stdout


def timed(
    make: Callable[[Any], Workload], *, judged: bool = True, rounds: int | None = None
) -> Callable[[Bench, Session], Findings]:
    """A workload whose contenders take turns, in at most `rounds` rounds.

    Not `judged`: its times have no bounds.
    `make` takes the Bench of an environment, or the SeriesBench of a series.
    """

    def measure(bench: Bench, session: Session) -> Findings:
        workload = make(bench)
        # Where only memory is of interest, more rounds tell nothing new.
        count = min(session.rounds, rounds or session.rounds) if workload.comparisons else 1
        session.settle()
        taken = session.runner.take_turns(f"{bench.name}/{workload.name}", workload.contenders, count)
        workload.proof()
        rows = rows_of(bench.name, workload, taken, session.bounds if judged else {})
        return Findings(workload.name, list(rows), list(peaks_of(bench.name, workload, taken, session.bounds)), taken)

    return measure


def rows_of(
    environment: str, workload: Workload, taken: Mapping[str, Series], bounds: Mapping[str, float]
) -> Iterator[Row]:
    """The figures that `workload` promised. One that took part in fewer rounds is compared in those."""
    for item in workload.comparisons:
        mine = taken[item.ours]
        ours, call = _values(mine, item.figure), mine.figure("seconds")
        other = [] if item.against is None else _values(taken[item.against], item.other or item.figure)
        shared = min(len(ours), len(other))
        yield Row(
            environment=environment,
            key=item.key,
            what=item.what,
            contender=item.against or "",
            unit="s" if item.figure == "wall" else "B",
            ours=Summary.of(ours),
            theirs=Summary.of(other) if other else None,
            ratio=Summary.of(ratios(ours[:shared], other[:shared])) if other else None,
            call=Summary.of(call) if item.figure == "wall" and call else None,
            bound=bounds.get(item.key),
        )


def peaks_of(
    environment: str, workload: Workload, taken: Mapping[str, Series], bounds: Mapping[str, float]
) -> Iterator[Memory]:
    """The memory of our commands in `workload`."""
    for name in workload.memory:
        yield peak_of(environment, name, taken[name], bounds, deltas=name in workload.deltas)


def peak_of(environment: str, name: str, series: Series, bounds: Mapping[str, float], *, deltas: bool) -> Memory:
    """The memory of one of our commands; `deltas`: it may take more because it writes them."""
    usual = bounds.get(f"memory.{environment}", bounds.get("memory"))
    bound = bounds.get("memory.deltas", usual) if deltas else usual
    largest = max(sample.peak for sample in series.samples)
    return Memory(environment, f"memory.{name.replace(' ', '-')}", name, largest, series.together, bound)


def _values(series: Series, figure: str) -> list[float]:
    values = series.walls if figure == "wall" else series.figure(figure)
    if len(values) != len(series.samples):
        raise ValueError(f"{series.contender.name} does not tell its {figure}; compare something else")
    return values
