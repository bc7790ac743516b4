"""Jobs in children: results, errors, and when there are none."""

import errno
import os
import signal
import threading

import pytest

from snapshot import forked
from snapshot.place import LinkError


def test_results_come_in_the_order_of_the_jobs():
    assert forked.run_all([lambda: [1, "here"], lambda: os.getpid() != parent, lambda: ("x", 2)]) == [
        [1, "here"],
        True,
        ("x", 2),
    ]


parent = os.getpid()


def test_one_job_needs_no_child(monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it forked"))
    assert forked.run_all([lambda: 1]) == [1]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_what_cannot_be_forked_is_done_here(monkeypatch, most):
    """A container may have no more processes than it has."""
    fork, left = os.fork, [None] * most

    def limited():
        if not left:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        left.pop()
        return fork()

    monkeypatch.setattr(os, "fork", limited)
    before = len(os.listdir("/proc/self/fd"))
    found = forked.run_all([lambda number=number: (number, os.getpid() == parent) for number in range(4)])
    assert found == [(number, number not in range(1, most + 1)) for number in range(4)]
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_error_in_a_child_is_raised_here_as_what_it_was():
    def fail():
        raise LinkError(errno.EXDEV, "cannot hardlink from the cache")

    with pytest.raises(LinkError, match="cannot hardlink from the cache") as raised:
        forked.run_all([lambda: None, fail])
    assert raised.value.errno == errno.EXDEV


def test_an_error_here_waits_for_the_children():
    reading, writing = os.pipe()

    def fail():
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        forked.run_all([fail, lambda: os.write(writing, b"done")])
    assert os.read(reading, 4) == b"done"
    os.close(reading)
    os.close(writing)


def test_a_child_that_is_killed():
    with pytest.raises(forked.ChildError, match="a child process was killed; repeat the command"):
        forked.run_all([lambda: None, lambda: os.kill(os.getpid(), signal.SIGKILL)])


def test_threads_or_too_little_work_mean_one_share(monkeypatch):
    monkeypatch.setattr(forked, "cores", lambda: 4)
    monkeypatch.setattr(os, "listdir", lambda _: ["1"])
    assert forked.shares(100, 10) == 4
    assert forked.shares(29, 10) == 2
    assert forked.shares(9, 10) == 1
    monkeypatch.undo()
    monkeypatch.setattr(forked, "cores", lambda: 4)
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait)
    thread.start()
    assert forked.shares(100, 10) == 1
    wait.set()
    thread.join()


def test_balanced_shares():
    assert forked.balanced([5, 1, 4, 2], 2) == [[0, 1], [2, 3]]
    assert forked.balanced([], 1) == [[]]
