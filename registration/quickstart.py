"""The whole way once: capture an environment, restore it elsewhere, and prove in four ways that it is the same."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registration.console import count, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from diffing.report import Report
    from snapshot import Verification
    from snapshot.progress import Progress
    from snapshot.store import Store

NAME = "quickstart"

#: Asks the restored interpreter where it thinks it is. Runs in Python 3.8 and later.
_PROBE = """\
import importlib.metadata, json, sys
found = list(importlib.metadata.distributions())
print(json.dumps([sys.version.split()[0], sys.prefix, len(found)]))
"""


@dataclass(frozen=True)
class Step:
    """What was done and how it went. `notes` say more where it failed."""

    name: str
    ok: bool
    detail: str
    seconds: float
    notes: tuple[str, ...] = ()


#: Gives a context for a progress bar.
Bar = Callable[[], AbstractContextManager["Progress | None"]]
#: How a step went: ok, detail, notes.
Outcome = tuple[bool, str, tuple[str, ...]]


def run(prefix: str, store: Store, destination: Path, bar: Bar, variables: Mapping[str, str]) -> Iterator[Step]:
    """Do it step by step. A step that finds a difference is not ok, and the next one is done all the same.

    `bar` is asked for one progress bar a step: none of them is on the screen while the caller shows a step. `variables` are those of the
    process.
    """
    import snapshot
    from diffing.assessing import assess
    from diffing.sides import Side

    started = time.perf_counter()
    with bar() as progress:
        # No limit: what is captured here need not be sent anywhere.
        captured = snapshot.capture(
            prefix,
            store,
            name=NAME,
            size_limit=sys.maxsize,
            budget=sys.maxsize,
            variables=variables,
            progress=progress,
        )
    detail = f"{count(captured.files, 'file')}, {size(captured.raw_bytes)}, {size(captured.packed_bytes)} packed"
    yield Step("capture", ok=True, detail=detail, seconds=time.perf_counter() - started)

    started = time.perf_counter()
    with bar() as progress:
        restored = snapshot.restore(captured.snapshot, destination, store, progress=progress)
    detail = f"{restored.linked_files:,} files from the cache by {restored.link}, {restored.written_files:,} written"
    yield Step("restore", ok=True, detail=detail, seconds=time.perf_counter() - started)

    def verified() -> Outcome:
        with bar() as progress:
            return _verified(snapshot.verify(destination, store, progress=progress))

    def compared(path: str | Path) -> Outcome:
        with bar() as progress:
            described = snapshot.describe(path, variables=variables, identify=False, progress=progress)
        train = Side(NAME, "snapshot", snapshot.load(captured.snapshot, store), name=captured.snapshot)
        today = dt.datetime.now(tz=dt.timezone.utc).date()
        return _compared(assess(train, Side(str(path), "environment", described), today=today))

    yield _timed("verify", verified)
    yield _timed("diff, original", lambda: compared(prefix))
    yield _timed("diff, restored", lambda: compared(destination))
    yield _timed("run python", lambda: _started(restored.python, destination))


def _timed(name: str, work: Callable[[], Outcome]) -> Step:
    started = time.perf_counter()
    ok, detail, notes = work()
    return Step(name, ok, detail, time.perf_counter() - started, notes)


def _verified(checked: Verification) -> Outcome:
    if checked.ok:
        return True, f"{count(checked.files, 'file')} as captured", ()
    notes = tuple(f"{problem.kind} {problem.path} {problem.detail}".rstrip() for problem in checked.problems)
    return False, count(len(checked.problems), "problem"), notes


def _compared(report: Report) -> Outcome:
    """Nothing but what does not matter may differ: this is the very same environment, or a copy of it."""
    from diffing.rendering import text
    from diffing.verdict import Verdict

    if report.verdict <= Verdict.EQUIVALENT:
        return True, f"{report.verdict}: parity root {str(report.serve.parity_root)[:19]}", ()
    return (
        False,
        f"{report.verdict}: {count(len(report.differences), 'difference')}",
        tuple(text.render([report]).splitlines()),
    )


def _started(python: Path, destination: Path) -> Outcome:
    try:
        done = subprocess.run(
            [os.fspath(python), "-I", "-c", _PROBE], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        return False, f"{python} does not start: {error.strerror}", ()
    if done.returncode:
        return False, f"{python} ended with exit code {done.returncode}", tuple(done.stderr.splitlines()[-5:])
    version, prefix, distributions = json.loads(done.stdout)
    if os.path.realpath(prefix) != os.path.realpath(destination):
        return False, f"it takes {prefix} for its environment", ()
    return True, f"Python {version} starts in it and sees {count(distributions, 'distribution')}", ()
