"""Pools of threads whose caller goes before they are done."""

from __future__ import annotations

import random
import threading
from concurrent.futures import CancelledError

import pytest

from snapshot.encoding import compress
from snapshot.progress import cores
from snapshot.threads import StoppedError, pools
from tests.deltas import Written, tar_file


def test_nothing_is_dropped_when_all_goes_well():
    with pools(2) as made:
        outer, inner = made.executors
        done = [outer.submit(lambda number=number: inner.submit(abs, -number).result()) for number in range(20)]
    assert [each.result() for each in done] == list(range(20))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_waits_is_dropped_and_what_runs_is_waited_for(error):
    begun, asked, go, ended = threading.Event(), threading.Event(), threading.Event(), []

    def long():
        begun.set()
        assert go.wait(60)
        ended.append("long")

    def waits(inner):
        asked.set()
        with pytest.raises((CancelledError, RuntimeError)):
            inner.submit(ended.append, "never").result()
        ended.append("told")

    def work(futures):
        with pools(2) as made:
            outer, inner = made.executors
            futures["running"] = [inner.submit(long) for _ in range(cores())]
            assert begun.wait(60)
            futures["waiting"] = [inner.submit(ended.append, "never") for _ in range(5)]
            outer.submit(waits, inner)
            assert asked.wait(60)
            stop, made.stop = made.stop, lambda: (stop(), go.set())
            raise error

    futures = {}
    with pytest.raises(error):
        work(futures)
    assert all(each.done() for each in futures["running"])
    assert all(each.cancelled() for each in futures["waiting"])
    assert set(ended) == {"long", "told"}


def test_a_compression_of_minutes_ends_with_its_next_bytes():
    written = Written()
    with tar_file(random.Random(1).randbytes(5 << 20)) as raw:
        with pools(1) as made:
            assert compress(raw, made.watched(written), 19) == len(written.data)
        with pytest.raises(StoppedError, match=r"^the command was interrupted; it can be repeated$"):
            compress(raw, made_stopped().watched(written), 19)


def made_stopped():
    with pools(1) as made:
        made.stop()
    return made
