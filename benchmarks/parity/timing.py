"""How long a comparison takes: two stored snapshots, and a live environment, for the first time and again, beside hashing each of its
files once.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import snapshot
from benchmarks.errors import CommandFailedError
from diffing.assessing import assess
from diffing.sides import Side
from snapshot.remembered import SETTLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from diffing.report import Report

CORES = 2
_HASHING = "hash every file once, with the interpreter's"
#: Most of the time of hashing each file once that a live comparison may take.
_LIVE = 1.2


@dataclass(frozen=True, slots=True)
class Timed:
    """A figure: seconds of every round, or their ratio to another's. `bound` is what it must not exceed."""

    name: str
    bound: float | None
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.bound is None or self.median <= self.bound


def timings(work: Path, environments: Mapping[str, Path], envparity: str, rounds: int) -> list[Timed]:
    """Compare the two `environments`, stored and live; `envparity` is the command. In turn, medians of `rounds`."""
    store = snapshot.Store(work / "timing-store")
    for name, prefix in environments.items():
        if name not in {each.name for each in store.references()}:
            snapshot.capture(prefix, store, name=name, deltas=False)
    before, after = environments
    live = environments[after]
    _wait_until_settled(live)
    remembered = work / "timing-cache"
    command = [envparity, "--store", os.fspath(work / "timing-store"), "diff"]
    measured: dict[str, Callable[[], object]] = {
        "stored, in process": lambda: _assess(_stored(before, store), _stored(after, store)),
        "stored, equal, in process": lambda: _assess(_stored(before, store), _stored(before, store)),
        "stored, whole command": lambda: _run([*command, before, after]),
        "live, first time, in process": lambda: _assess(_stored(before, store), _live(live, _emptied(remembered))),
        "live, again, in process": lambda: _assess(_stored(before, store), _live(live, remembered)),
        "live, every byte, whole command": lambda: _run(
            [*command, "--no-fingerprint", "--no-cache", before, os.fspath(live)]
        ),
        "live, again, whole command": lambda: _run([*command, "--no-fingerprint", before, os.fspath(live)]),
        "hash every file once": lambda: hash_every_file(live),
        _HASHING: lambda: hash_every_file(live, _base(live)),
    }
    taken: dict[str, list[float]] = {name: [] for name in measured}
    for number in range(rounds + 1):
        for name, action in measured.items():
            begin = time.perf_counter()
            action()
            if number:  # the first round fills the page cache
                taken[name].append(time.perf_counter() - begin)
    bounds = {"stored, in process": 0.05, "stored, equal, in process": 0.05, "stored, whole command": 0.5}
    found = [Timed(name, bounds.get(name), "s", tuple(values)) for name, values in taken.items()]
    for name in ("live, first time, in process", "live, again, in process"):
        ratio = tuple(one / alone for one, alone in zip(taken[name], taken[_HASHING], strict=True))
        found.append(Timed(f"{name} / {_HASHING}", _LIVE, "x", ratio))
    return found


def _wait_until_settled(prefix: Path) -> None:
    """What is remembered of younger files is not believed: an environment that was just built would be read each time."""
    youngest = max(os.lstat(path).st_ctime for path in _files(prefix, whole=True))
    time.sleep(max(0.0, youngest + SETTLED + 1 - time.time()))


def _stored(name: str, store: snapshot.Store) -> Side:
    return Side(name, "snapshot", snapshot.load(name, store), name=name)


def _live(prefix: Path, cache: Path) -> Side:
    described = snapshot.describe(prefix, variables={}, fingerprint=False, cache=cache, identify=False)
    return Side(str(prefix), "environment", described)


def _emptied(cache: Path) -> Path:
    """Nothing is remembered: as the first time on this node."""
    shutil.rmtree(cache, ignore_errors=True)
    return cache


def _assess(train: Side, serve: Side) -> Report:
    return assess(train, serve, today=dt.datetime.now(tz=dt.timezone.utc).date())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        raise CommandFailedError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")


def _base(prefix: Path) -> Path:
    return (prefix / "bin" / "python").resolve().parent.parent


def hash_every_file(*roots: Path) -> int:
    """Read and hash each regular file below, on two cores. Returns the bytes.

    Of an interpreter's prefix only what a description covers: not its site-packages and its own tests.
    """
    with ThreadPoolExecutor(CORES) as pool:
        return sum(
            pool.map(_hash, [path for root in roots for path in _files(root, whole=root is roots[0])], chunksize=64)
        )


def _files(root: Path, *, whole: bool) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        if not whole:
            names[:] = [
                name for name in names if name not in ("site-packages", "test", "tests", "__pycache__", "share")
            ]
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path) and (whole or not name.endswith(".a")):
                yield path


def _hash(path: str) -> int:
    hasher = sha256()
    count = 0
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
            count += len(chunk)
    return count
