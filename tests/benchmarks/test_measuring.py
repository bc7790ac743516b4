"""Running contenders: their order, their figures, their failures. Nothing here looks at a time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.errors import CommandFailedError
from benchmarks.measuring import family, rotated
from tests.benchmarks.conftest import contender


def test_every_round_begins_with_another_one(runner):
    order = []
    both = [contender(name, prepare=lambda name=name: order.append(name)) for name in "ab"]
    runner.take_turns("x", both, 3)
    assert "".join(order) == "ab" + "ab" + "ba" + "ab"


def test_rotation_keeps_the_order():
    assert rotated("abc", 4) == ["b", "c", "a"]


def test_the_uncounted_round_is_not_counted(runner, said):
    taken = runner.take_turns("plain/warm", [contender()], 2)
    assert len(taken["a"].samples) == 2
    assert [line for line in said if line != "sync"] == [
        "plain/warm: 1 commands, warming up",
        "plain/warm: round 1 of 2",
        "plain/warm: round 2 of 2",
    ]


def test_what_was_written_is_synced_after_the_preparation(runner, said):
    runner.take_turns("x", [contender(prepare=lambda: said.append("prepared"))], 1)
    assert said == ["x: 1 commands, warming up", "prepared", "sync", "x: round 1 of 1", "prepared", "sync"]


def test_figures_come_from_the_output(runner):
    numbered = contender(script="print(42)", collect=lambda output: {"answer": float(output)})
    taken = runner.take_turns("x", [numbered, contender("b")], 2)
    assert taken["a"].figure("answer") == [42.0, 42.0]
    assert taken["b"].figure("answer") == []


def test_a_sample_has_the_memory_of_its_process(runner):
    taken = runner.take_turns("x", [contender(script="x = b'x' * 200_000_000")], 1)
    assert taken["a"].samples[0].peak > 200_000_000
    assert taken["a"].together is None


def test_memory_of_children_is_added(runner):
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        pytest.skip("this kernel does not tell the children of a process")
    # Both hold their memory until the parent has seen that the child has it.
    script = (
        "import os, time\nr, w = os.pipe()\npid = os.fork()\nx = b'x' * 60_000_000\n"
        "if pid == 0: os.write(w, b'1'); time.sleep(0.5); os._exit(0)\nos.read(r, 1); os.waitpid(pid, 0)"
    )
    taken = runner.take_turns("x", [contender(script=script, watched=True)], 1)
    assert taken["a"].together > 120_000_000


def test_a_failure_says_what_and_why(runner):
    wrong = contender(script="import sys; sys.exit('no such thing')")
    with pytest.raises(CommandFailedError, match=r"^python -c .* ended with 1: no such thing$"):
        runner.take_turns("x", [wrong], 1)


def test_a_family_holds_descendants():
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        pytest.skip("this kernel does not tell the children of a process")
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        found = family(child.pid)
        child.communicate(b"\n")
    assert found[0] == child.pid
    assert len(found) == 2


def test_the_family_of_one_that_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert family(child.pid) == [child.pid]
