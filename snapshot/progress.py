"""How a long call tells its caller how far it is, and how many threads it works with."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

#: Called with the stage, what is done and what there is to do, e.g. `("check", bytes_done, bytes_total)`. From any thread, one
#: at a time.
Progress = Callable[[str, int, int], None]


def counter(stage: str, progress: Progress | None, total: int) -> Callable[[int], None]:
    """A thread-safe `advance(amount)` that adds up and reports to `progress`."""
    if progress is None:
        return lambda _: None
    lock = threading.Lock()
    done = 0

    def advance(amount: int) -> None:
        nonlocal done
        with lock:
            done += amount
            progress(stage, min(done, total), total)

    return advance


def cores() -> int:
    """Processors that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))
