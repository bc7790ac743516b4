"""Share a job among forked children: many small file system calls, for which threads would queue for the interpreter lock.

Linking 12,000 files takes 0.06 s in one process, 0.03 s in two, and 0.10 s in two threads.
"""

from __future__ import annotations

import marshal
import os
from typing import TYPE_CHECKING, Any

from snapshot.errors import SnapshotError
from snapshot.progress import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ChildError(SnapshotError, RuntimeError):
    """A child process ended without an answer."""


def shares(count: int, least: int) -> int:
    """Into how many shares to cut `count` pieces of work: as many as there are processors, none smaller than `least`.

    1 when this process has several threads: a forked child could inherit a lock that nobody releases.
    """
    try:
        alone = len(os.listdir("/proc/self/task")) == 1
    except FileNotFoundError:  # no /proc: not known, so no
        alone = False
    return max(1, min(cores(), count // least)) if alone else 1


def balanced(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Numbers of the pieces in each of `count` shares, so that the sums of their sizes are about the same."""
    found: list[list[int]] = [[] for _ in range(count)]
    sums = [0] * count
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        least = sums.index(min(sums))
        found[least].append(number)
        sums[least] += sizes[number]
    return found


def run_all(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the first job here and each other one in a forked child; return all results.

    Results must be made of plain values (numbers, text, lists, tuples). The first error is raised again, here, when all have ended.
    """
    children: list[tuple[int, int]] = []
    try:
        for job in jobs[1:]:
            child = _start(job)
            if child is None:
                break  # what is left is done here
            children.append(child)
        first = jobs[0]()
        rest = [job() for job in jobs[1 + len(children) :]]
    finally:
        answers = [_finish(child, pipe) for child, pipe in children]
    for ok, value in answers:
        if not ok:
            raise value
    return [first, *(value for _, value in answers), *rest]


def _start(job: Callable[[], Any]) -> tuple[int, int] | None:
    """The child's id and where its answer comes from. None: there are as many processes, or open files, as there may be."""
    pipe: tuple[int, ...] = ()
    try:
        pipe = reading, writing = os.pipe()
        child = os.fork()
    except OSError:
        for end in pipe:
            os.close(end)
        return None
    if child == 0:
        os.close(reading)
        _work(job, writing)
    os.close(writing)
    return child, reading


def _finish(child: int, reading: int) -> tuple[bool, Any]:
    with open(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        return False, ChildError("a child process was killed; repeat the command")
    ok, value = marshal.loads(data)  # noqa: S302 - our own child wrote it
    if not ok:
        import pickle

        value = pickle.loads(value)  # noqa: S301 - likewise
    return ok, value


def _work(job: Callable[[], Any], writing: int) -> None:
    """The child's whole life. It must not return into the caller's frames, nor run its exit handlers."""
    try:
        try:
            data = marshal.dumps((True, job()))
        except Exception as error:  # noqa: BLE001 - told in the parent
            import pickle

            data = marshal.dumps((False, pickle.dumps(error)))
        with open(writing, "wb") as pipe:
            pipe.write(data)
    finally:
        os._exit(0)
