"""The contenders in turn: one round that does not count, then the counted ones, each beginning with another contender."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.deploying.pages import drop_bytecode, occupied, release
from benchmarks.deploying.serving import check_place, first_answer, free_port, started
from benchmarks.figures import Summary
from benchmarks.measuring import Watcher, rotated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.deploying.contenders import Way
    from benchmarks.deploying.laboratory import Laboratory


@dataclass(frozen=True, slots=True)
class Answered:
    """One deployment: seconds to the first prediction, and the seconds of its steps by its own account."""

    wall: float
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployments:
    """All counted deployments of one contender.

    From the uncounted round: the most memory that all its processes took at once until the answer, pages that they share counted once, and `files` and
    `bytes` on disk then. `bytecode`: how many .pyc files were dropped from the page cache before it.
    """

    way: Way
    samples: tuple[Answered, ...]
    together: int | None
    files: int
    bytes: int
    bytecode: int

    @property
    def walls(self) -> list[float]:
        return [sample.wall for sample in self.samples]

    def step(self, name: str) -> Summary:
        """A step that it told of in every run."""
        return Summary.of([sample.figures[name] for sample in self.samples])


class Turns:
    """Deploys below `place`. `shared` are the directories whose bytecode is dropped before every run, whoever comes next."""

    def __init__(self, laboratory: Laboratory, place: Path, shared: Sequence[Path], say: Callable[[str], None]) -> None:
        self._laboratory = laboratory
        self._place = place
        self._shared = shared
        self._say = say
        self._count = 0

    def take(self, ways: Sequence[Way], rounds: int) -> list[Deployments]:
        """Each way once in every round, but for those that give up after `Way.rounds`. Raises BenchmarkError."""
        self._say(f"deploy: {len(ways)} contenders, warming up")
        first = {way.name: self._first(way) for way in ways}
        taken: dict[str, list[Answered]] = {way.name: [] for way in ways}
        for number in range(1, rounds + 1):
            self._say(f"deploy: round {number} of {rounds}")
            for way in rotated(ways, number - 1):
                if way.rounds is None or number <= way.rounds:
                    taken[way.name].append(self._once(way)[0])
        return [Deployments(way, tuple(taken[way.name]), *first[way.name]) for way in ways]

    def _first(self, way: Way) -> tuple[int | None, int, int, int]:
        """The run that does not count: memory, files, bytes, and the bytecode that was dropped."""
        _, together, (files, size), bytecode = self._once(way, watch=True)
        return together, files, size, bytecode

    def _once(self, way: Way, *, watch: bool = False) -> tuple[Answered, int | None, tuple[int, int], int]:
        self._count += 1
        place = self._place / f"run-{self._count}"
        place.mkdir()
        output, errors = self._place / "stdout", self._place / "stderr"
        port = free_port()
        command, environ = way.command(place, port), way.environ(self._laboratory.environ, place)
        os.sync()
        bytecode = drop_bytecode(self._shared)
        begin = time.perf_counter()
        with started(command, environ, output, errors) as process:
            watcher = Watcher(process.pid) if watch else None
            wall = first_answer(process, port, self._laboratory.question, way.name, errors) - begin
            together = watcher.stop() if watcher else None
            check_place(process.pid, place, way.name)
        self._say(f"  {way.name}: {wall:.2f} s")
        answered = Answered(wall, way.collect(output.read_bytes()))
        tree = occupied(place) if watch else (0, 0)
        release(place)
        return answered, together, tree, bytecode
