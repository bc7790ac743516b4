"""Run whole processes in turn and note what each took.

A sample is one process from fork and exec to wait4: wall and processor time, and the largest resident set, all including its
descendants. Before each run its place is prepared and `sync` is called, so that nobody writes back what another one wrote.
"""

from __future__ import annotations

import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.errors import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

#: Seconds between two looks at the memory of a running contender, in the uncounted round only.
LOOK = 0.005

_PSS = re.compile(rb"^Pss:\s+(\d+) kB$", re.MULTILINE)


def _nothing() -> None:
    """For a contender that needs no preparation."""


def _no_figures(_output: bytes) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, slots=True)
class Contender:
    """A command to measure.

    `command` starts with an absolute path. `shown` is the command as a reader may see it. `prepare` runs before each of
    its runs, outside the clock; `collect` makes further figures of what it printed, after its run. `watched`: look at
    its memory in the uncounted round. `rounds`: it takes part in at most the first so many counted rounds, being slow.
    """

    name: str
    command: Sequence[str]
    shown: str
    prepare: Callable[[], None] = _nothing
    collect: Callable[[bytes], Mapping[str, float]] = _no_figures
    watched: bool = False
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds, the bytes of the largest process, and what the contender said of itself."""

    wall: float
    user: float
    system: float
    peak: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Series:
    """All counted runs of a contender. `together`: the peak of all its processes at once, from the uncounted round."""

    contender: Contender
    samples: tuple[Sample, ...]
    together: int | None = None

    @property
    def walls(self) -> list[float]:
        return [sample.wall for sample in self.samples]

    def figure(self, name: str) -> list[float]:
        """A figure that the contender gave for itself, of every run. Empty when it gives none of that name."""
        return [sample.figures[name] for sample in self.samples if name in sample.figures]


class Runner:
    """Runs contenders with one environment of variables. What they print goes to files in `directory`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        directory: Path,
        say: Callable[[str], None],
        sync: Callable[[], None] = os.sync,
    ) -> None:
        self._environ = dict(environ)
        self._output = directory / "stdout"
        self._errors = directory / "stderr"
        self._say = say
        self._sync = sync

    def take_turns(self, title: str, contenders: Sequence[Contender], rounds: int) -> dict[str, Series]:
        """One uncounted round, then `rounds` counted ones: in each another one begins.

        Every contender runs once in a round, but for those that give up after `Contender.rounds`.
        """
        peaks: dict[str, int | None] = {}
        self._say(f"{title}: {len(contenders)} commands, warming up")
        for contender in contenders:
            peaks[contender.name] = self.once(contender, watch=contender.watched)[1]
        taken: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
        for number in range(1, rounds + 1):
            self._say(f"{title}: round {number} of {rounds}")
            for contender in rotated(contenders, number - 1):
                if contender.rounds is None or number <= contender.rounds:
                    taken[contender.name].append(self.once(contender)[0])
        return {
            contender.name: Series(contender, tuple(taken[contender.name]), peaks[contender.name])
            for contender in contenders
        }

    def once(self, contender: Contender, *, watch: bool = False) -> tuple[Sample, int | None]:
        """One run, and with `watch` the most memory that all its processes were seen to take. Raises CommandFailedError."""
        contender.prepare()
        self._sync()
        writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.fspath(self._output), writing, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, os.fspath(self._errors), writing, 0o600),
        ]
        command = list(contender.command)
        begin = time.perf_counter()
        pid = os.posix_spawn(command[0], command, self._environ, file_actions=actions)
        watcher = Watcher(pid) if watch else None
        try:
            _, status, usage = os.wait4(pid, 0)
        except BaseException:  # an interrupt: nothing is left running
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            raise
        wall = time.perf_counter() - begin
        together = watcher.stop() if watcher else None
        code = os.waitstatus_to_exitcode(status)
        if code:
            said = self._errors.read_text(errors="replace").strip().splitlines()
            raise CommandFailedError(f"{contender.shown} ended with {code}: {' '.join(said[-3:]) or 'it said nothing'}")
        figures = contender.collect(self._output.read_bytes())
        return Sample(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, figures), together


def rotated(contenders: Sequence[Contender], by: int) -> list[Contender]:
    """In the same order, beginning with another one: so that none always follows the same."""
    first = by % len(contenders)
    return [*contenders[first:], *contenders[:first]]


class Watcher:
    """Looks at the memory of a process and its descendants until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """The largest sum that was seen. None: the kernel does not tell."""
        self._over.set()
        self._thread.join()
        return self._peak or None

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            self._peak = max(self._peak, sum(map(_proportional, family(self._pid))))


def family(pid: int) -> list[int]:
    """`pid` and its descendants. One that ends meanwhile is left out."""
    found = [pid]
    for member in found:  # it grows while we go
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in os.listdir(f"/proc/{member}/task"):
                with open(f"/proc/{member}/task/{task}/children", "rb") as file:
                    found += map(int, file.read().split())
    return found


def _proportional(pid: int) -> int:
    """Bytes of a process, each shared page counted as its share. 0 when it has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            match = _PSS.search(file.read())
        if match:
            return int(match[1]) * 1024
    return 0
