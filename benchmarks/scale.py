"""How the cost of each operation grows: with the number of snapshots in a store, and with the files of an environment.

    python -m benchmarks.scale [--snapshots 1,10,100,1000] [--files 10000,100000] [--work DIR] [--json FILE]

The snapshots are made of the real layers of a captured environment, in ever other combinations, each with a small layer of
its own, and published as a capture does it. All operations run in this process, each with a store that was just opened.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import snapshot
from benchmarks.errors import BenchmarkError
from snapshot import archive
from snapshot.codec import pack_small
from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.errors import SnapshotError
from snapshot.model import Entry, Kind, Layer, Record
from snapshot.parity import parity_of, parity_root
from snapshot.serialize import encode_record, encode_snapshot, encode_tree
from snapshot.store.area import remove
from snapshot.store.manifest import LAYER_TYPE, RECORD_TYPE, TREE_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from snapshot.digest import Digest
    from snapshot.model import Snapshot
    from snapshot.store.batch import Batch
    from snapshot.store.manifest import Manifest

SNAPSHOTS = (1, 10, 100, 1000)
FILES = (10_000, 100_000)
ROUNDS = 3
#: Seconds after which a capture takes a file that has not changed for unchanged, and a little more.
SETTLED = 2.1
_FAMILY = "scale"
_OWN = "variant.txt"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of `operation` at `size` snapshots or files (`axis` says which)."""

    axis: str
    size: int
    operation: str
    seconds: float


# The store


def grow(store: snapshot.Store, source: str, number: int) -> None:
    """Publish snapshots named `scale/NUMBER` until the store has `number` of them, made of the layers of `source`."""
    given, manifest = store.snapshot(source), store.manifest(source)
    for position in range(_family(store), number):
        _variant(store, given, manifest, position)


def _family(store: snapshot.Store) -> int:
    return sum((each.name or "").startswith(f"{_FAMILY}/") for each in store.references())


def _variant(store: snapshot.Store, given: Snapshot, manifest: Manifest, position: int) -> None:
    """The same environment less a few of its distributions, with a distribution of one file that no other variant has."""
    chance = random.Random(position)
    layers = [each for each in given.layers if each.kind is not Kind.DISTRIBUTION or chance.random() > 0.05]
    with store.begin() as batch:
        own, content = _own_layer(batch, position)
        layers = sorted([*layers, own], key=lambda each: each.sort_key)
        for layer in layers:
            for digest in (layer.diff_id, layer.tree):
                if digest in manifest.content:
                    content[digest] = manifest.content[digest]
        record = encode_record(Record((), f"/environments/{position}", "/usr", "benchmarks.scale"))
        content[digest_of(record)] = Descriptor(RECORD_TYPE, *batch.put(pack_small(record)))
        made = replace(
            given,
            layers=tuple(layers),
            parity_root=parity_root(given.interpreter, given.environment, layers),
        )
        batch.publish(encode_snapshot(made), content, f"{_FAMILY}/{position}")


def _own_layer(batch: Batch, position: int) -> tuple[Layer, dict[Digest, Descriptor]]:
    data = f"this is variant {position}\n".encode() * 20
    tree = (Entry(_OWN, "f", 0o644, len(data), digest_of(data).hex),)
    tar = b"".join([archive.header(tree[0]), data, archive.padding(len(data)), archive.END])
    encoded = encode_tree(tree)
    layer = Layer(
        kind=Kind.DISTRIBUTION,
        name="variant",
        version=str(position),
        mount="",
        tar=digest_of(tar),
        tree=digest_of(encoded),
        files=1,
        size=len(tar),
        parity=parity_of(tree),
    )
    return layer, {
        layer.diff_id: Descriptor(LAYER_TYPE, *batch.put(pack_small(tar))),
        layer.tree: Descriptor(TREE_TYPE, *batch.put(pack_small(encoded))),
    }


# The operations


class _Operations:
    """What is measured, on the store and the environment under `work`."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.environment = work / "environment"
        self._changes = 0
        self._cleared = 0

    def store(self, cache: Path | None = None) -> snapshot.Store:
        return snapshot.Store(self.work / "store", cache=cache)

    def resolve(self) -> None:
        self.store().resolve(f"{_FAMILY}/0")

    def list(self) -> None:
        from registration.cli import main

        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main(["--store", str(self.work / "store"), "list", "--json"])

    def capture_unchanged(self) -> None:
        snapshot.capture(self.environment, self.store(), name="unchanged")

    def change(self) -> None:
        self._changes += 1
        found = sorted(self.environment.glob("lib/python*/site-packages/*.dist-info/METADATA"))
        path = found[0]
        path.write_text(
            path.read_text(errors="surrogateescape") + f"\nchange {self._changes}\n", errors="surrogateescape"
        )

    def capture_changed(self) -> None:
        snapshot.capture(self.environment, self.store(), name="changed")

    def restore_warm(self) -> None:
        snapshot.restore("unchanged", self._fresh(), self.store())

    def restore_cold(self) -> None:
        snapshot.restore("unchanged", self._fresh(), self.store(cache=self.work / "cold"))

    def remove(self) -> None:
        self.store().remove("changed")

    def gc(self) -> None:
        snapshot.collect(self.store(), grace=0)

    def check(self) -> None:
        if problems := self.store().check():
            raise BenchmarkError(f"the store under {self.work} is damaged: {problems[0]}; use an empty --work")

    def clear(self) -> None:
        """Out of the way, and removed at the end of all: after 100,000 files were removed ext4 is slow to make others."""
        self._cleared += 1
        for name in ("restored", "cold"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.work / name, self.work / f"{name}-{self._cleared}")

    def settle(self) -> None:
        """Let a capture know the environment as it is: files that have just been written would be read again."""
        time.sleep(SETTLED)
        self.capture_unchanged()

    def _fresh(self) -> Path:
        return self.work / "restored"


def _round(operations: _Operations) -> Iterable[tuple[str, Callable[[], None]]]:
    """The operations in the order in which one makes what the next one needs."""
    operations.settle()
    yield "resolve", operations.resolve
    yield "list", operations.list
    yield "capture, unchanged", operations.capture_unchanged
    operations.clear()
    yield "restore, warm", operations.restore_warm
    operations.clear()
    yield "restore, cold", operations.restore_cold
    operations.clear()
    operations.change()
    yield "capture, one distribution changed", operations.capture_changed
    yield "remove", operations.remove
    yield "gc", operations.gc
    yield "check", operations.check


def _measured(axis: str, size: int, operations: _Operations, rounds: int) -> list[Sample]:
    found = []
    for number in range(rounds + 1):
        for name, operation in _round(operations):
            os.sync()
            begin = time.perf_counter()
            operation()
            # The first round fills caches: what it takes is how long the first command of a node takes.
            if number:
                found.append(Sample(axis, size, name, time.perf_counter() - begin))
    return found


def snapshots_curve(prefix: Path, sizes: Sequence[int], work: Path, rounds: int = ROUNDS) -> list[Sample]:
    """Samples of every operation with each of `sizes` snapshots in a store, made from the environment at `prefix`."""
    operations = _Operations(work)
    snapshot.capture(prefix, operations.store(), name="given")
    snapshot.restore("given", operations.environment, operations.store(), link="copy")
    found = []
    for size in sorted(sizes):
        grow(operations.store(), "given", size)
        found += _measured("snapshots", size, operations, rounds)
    return found


def files_curve(sizes: Sequence[int], work: Path, rounds: int = ROUNDS) -> list[Sample]:
    """Samples of capture and restore of environments with each of `sizes` small files."""
    found = []
    for size in sorted(sizes):
        place = work / f"files-{size}"
        place.mkdir(parents=True)
        operations = _Operations(place)
        _small_files(operations.environment, size)
        begin = time.perf_counter()
        snapshot.capture(operations.environment, operations.store(), name="scale/0")
        found.append(Sample("files", size, "capture, first", time.perf_counter() - begin))
        found += _measured("files", size, operations, rounds)
    return found


def _small_files(path: Path, number: int) -> None:
    """A virtual environment of one distribution with that many files of some hundred bytes."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(path)], check=True)
    site = path / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    note = site / "many-1.0.dist-info"
    note.mkdir()
    rows = [f"{note.name}/METADATA,,", f"{note.name}/RECORD,,"]
    (note / "METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
    for position in range(number):
        directory = site / "many" / f"part{position // 100}"
        if position % 100 == 0:
            directory.mkdir(parents=True)
        (directory / f"module{position}.py").write_text(f"value = {position}\n" * (10 + position % 20))
        rows.append(f"many/part{position // 100}/module{position}.py,,")
    (note / "RECORD").write_text("\n".join(rows) + "\n")


# The command


def table(samples: Sequence[Sample]) -> str:
    """Medians: a line for each operation, a column for each size."""
    lines = []
    for axis in dict.fromkeys(each.axis for each in samples):
        mine = [each for each in samples if each.axis == axis]
        sizes = sorted({each.size for each in mine})
        lines += ["", f"{axis + ', seconds':36}" + "".join(f"{size:>10,}" for size in sizes)]
        for operation in dict.fromkeys(each.operation for each in mine):
            cells = []
            for size in sizes:
                taken = [each.seconds for each in mine if (each.operation, each.size) == (operation, size)]
                cells.append(f"{statistics.median(taken):>10.3f}" if taken else f"{'-':>10}")
            lines.append(f"{operation:36}" + "".join(cells))
    return "\n".join(lines[1:])


def _sizes(text: str) -> list[int]:
    found = [int(part) for part in text.split(",") if part]
    if any(size < 1 for size in found):
        raise ValueError(text)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--snapshots", type=_sizes, default=list(SNAPSHOTS), metavar="N,...", help="an empty list skips"
    )
    parser.add_argument("--files", type=_sizes, default=list(FILES), metavar="N,...", help="an empty list skips")
    parser.add_argument("--prefix", type=Path, default=Path(sys.prefix), help="environment that gives the layers")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="counted rounds (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where stores and environments are made, and removed again (15 GB)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the samples there")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    if chosen.work:
        chosen.work.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="scale-", dir=chosen.work))
    try:
        samples = snapshots_curve(chosen.prefix, chosen.snapshots, work, chosen.rounds) if chosen.snapshots else []
        samples += files_curve(chosen.files, work, chosen.rounds)
    except (BenchmarkError, SnapshotError) as error:
        print(f"benchmarks.scale: error: {error}", file=sys.stderr)
        return 2
    finally:
        remove(str(work))
    print(table(samples))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(each) for each in samples], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
