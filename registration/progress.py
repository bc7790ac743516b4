"""A progress bar for work that takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from snapshot.progress import Progress

#: Seconds that work may take before a bar appears, and between two updates of it.
PATIENCE = 1.0
INTERVAL = 0.05


@contextmanager
def progress_bar(
    stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress | None]:
    """Give what a library call reports to; None where nobody could see a bar."""
    stream = sys.stderr if stream is None else stream
    if stream is None or not stream.isatty():  # None: it was closed
        yield None
        return
    bar = _Bar(stream, clock)
    try:
        yield bar.report
    finally:
        bar.stop()


class _Bar:
    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._bar: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._next = clock() + PATIENCE

    def stop(self) -> None:
        if self._bar:
            self._bar.stop()

    def report(self, stage: str, done: int, total: int) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + INTERVAL
        bar = self._bar = self._bar or self._start()
        if stage not in self._tasks:
            for earlier in self._tasks.values():
                bar.update(earlier, visible=False)
            self._tasks[stage] = bar.add_task(stage, completed=done, total=total)
        bar.update(self._tasks[stage], completed=done, total=total)

    def _start(self) -> RichProgress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
            # What the command prints meanwhile goes to standard output, not through the bar to standard error.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        bar.start()
        return bar
