"""Threads that stop soon when their caller does, by an error or by Control-C: what waits is dropped, and only what runs is waited for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError
from snapshot.progress import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.codec import Sink


class StoppedError(SnapshotError, RuntimeError):
    """The command that this thread works for is over."""


class Pools:
    """Executors of as many threads each as there are processors. Tasks of the first may wait for those of the others."""

    def __init__(self, count: int) -> None:
        self.executors = tuple(ThreadPoolExecutor(cores()) for _ in range(count))
        self._stopped = threading.Event()

    def watched(self, sink: Sink) -> Sink:
        """`sink`, for a task that may take minutes: once the pools are stopped its next bytes raise StoppedError."""
        return _Watched(sink, self._stopped)

    def stop(self) -> None:
        """Drop what waits. A task that waits for one of these gets `concurrent.futures.CancelledError`."""
        self._stopped.set()
        for each in self.executors:
            each.shutdown(wait=False, cancel_futures=True)


@contextmanager
def pools(count: int) -> Iterator[Pools]:
    made = Pools(count)
    try:
        yield made
    except BaseException:  # Control-C above all: it goes on its way when nothing new can begin
        made.stop()
        raise
    finally:
        for each in made.executors:
            each.shutdown()


class _Watched:
    def __init__(self, sink: Sink, stopped: threading.Event) -> None:
        self._sink = sink
        self._stopped = stopped

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        if self._stopped.is_set():
            raise StoppedError("the command was interrupted; it can be repeated")
        return self._sink.write(data)
