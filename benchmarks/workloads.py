"""What is measured: for each workload its contenders, and which figures are set against each other."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.environments import DATE, measure_tree
from benchmarks.errors import BenchmarkError, CommandFailedError
from benchmarks.figures import Memory, Row, Summary, ratios
from benchmarks.measuring import Contender
from snapshot.model import PYTHON_MOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.environments import Built, Tools
    from benchmarks.measuring import Series

#: What a capture or a restore tells of itself with --json.
_FIGURES = ("seconds", "packed_bytes", "added_bytes", "linked_files", "written_files")

#: Names of contenders that appear in several places.
CAPTURE, CAPTURE_ALL, RECAPTURE = "capture", "capture with interpreter", "unchanged re-capture"
WARM, WARM_ALL = "warm restore", "warm restore with interpreter"
COLD, COLD_ALL = "cold restore", "cold restore with interpreter"
TAR, TAR_ALL = "tar | zstd -3 -T2", "tar | zstd -3 -T2, both"
INSTALL, LOCKED, MAKE = "uv pip install", "uv pip install -r lock", "uv venv && uv pip install"
COMPILED = "uv pip install --compile-bytecode"
COPY, COPY_ALL = "cp -a", "cp -a, both"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A row to come. `figure` is what is compared: `wall`, or what the contenders tell of themselves. No `against`: ours alone."""

    key: str
    what: str
    ours: str
    against: str | None = None
    figure: str = "wall"


@dataclass(frozen=True, slots=True)
class Workload:
    """Contenders that take turns. `memory` names those of ours whose peak is reported; `proof` checks what they left."""

    name: str
    contenders: Sequence[Contender]
    comparisons: Sequence[Comparison]
    memory: Sequence[str] = ()
    proof: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Bench:
    """The place of the workloads of one environment: its tools, and a directory for everything that is made."""

    tools: Tools
    built: Built
    directory: Path
    environ: Mapping[str, str]

    def ours(self, name: str, store: str, arguments: Sequence[str | Path], shown: str, *gone: Path) -> Contender:
        """One of our commands. `gone` are put aside before each run."""
        command = [
            self.tools.envparity,
            "--store",
            os.fspath(self.directory / store),
            *map(str, arguments),
            "--json",
        ]
        return Contender(name, command, shown, lambda: self.put_aside(*gone), _told, watched=True)

    def theirs(self, name: str, command: Sequence[str | Path], shown: str, prepare: Callable[[], None]) -> Contender:
        return Contender(name, [os.fspath(part) for part in command], shown, prepare)

    def shell(self, name: str, script: str, arguments: Sequence[str | Path], shown: str, result: Path) -> Contender:
        """A pipeline that writes the file `result`, whose size counts."""
        command = [self.tools.sh, "-c", script, "sh", *map(str, arguments)]
        return Contender(
            name,
            command,
            shown,
            lambda: self.put_aside(result),
            lambda _output: {"packed_bytes": result.stat().st_size},
        )

    def put_aside(self, *paths: Path) -> None:
        """Make room for the next run, by a rename: nothing is removed while contenders take turns.

        Where ext4 has no journal, it keeps the inodes of removed files for a minute, and every file that is created
        meanwhile has to be looked for a place past them: a copy of 20,000 files took 4 s instead of 0.6.
        """
        aside = self.directory / "aside"
        aside.mkdir(exist_ok=True)
        for path in paths:
            if os.path.lexists(path):
                path.rename(aside / f"{path.name}-{len(os.listdir(aside))}")

    def call(self, command: Sequence[str | Path]) -> str:
        """A command that is not measured."""
        done = subprocess.run(
            command, env=dict(self.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = " ".join(done.stderr.strip().splitlines()[-3:])
            raise CommandFailedError(f"{' '.join(map(str, command))} ended with {done.returncode}: {last}")
        return done.stdout

    def stock(self) -> Path:
        """A store with the snapshots `bare` (without interpreter) and `whole`."""
        store = self.directory / "stock"
        if not store.exists():
            base: list[str | Path] = [self.tools.envparity, "--store", store, "capture", self.built.prefix]
            self.call([*base, "--name", "bare", "--no-interpreter"])
            self.call([*base, "--name", "whole"])
        return store

    def proof(self, *destinations: Path, installed: Path | None = None) -> Callable[[], None]:
        """A check that restores, byte by byte, and an installation by uv did what they were measured for."""

        def prove() -> None:
            for destination in destinations:
                self.call([self.tools.envparity, "--store", self.stock(), "verify", destination])
            if installed:
                check_install(self.built, installed)

        return prove


def check_install(built: Built, destination: Path) -> None:
    """Whether uv did what it was measured for: as many files, and links to its cache. Raises BenchmarkError."""
    files, _ = measure_tree(destination)
    linked = sum(
        os.lstat(os.path.join(directory, name)).st_nlink > 1
        for directory, _, names in os.walk(destination)
        for name in names
    )
    # Empty files and those that are written for the place are no links.
    if files < 0.9 * built.files * (0.5 if built.recipe.bytecode else 1) or linked < 0.8 * files:
        raise BenchmarkError(
            f"uv made {files} files in {destination}, {linked} of them links, for {built.files} in {built.prefix}; "
            "check that uv's cache is on a file system with hard links"
        )


def _told(output: bytes) -> Mapping[str, float]:
    document = json.loads(output)
    return {name: float(document[name]) for name in _FIGURES if name in document}


def capture(bench: Bench) -> Workload:
    """Into an empty store, beside tar and zstd; then once more into the store that this made."""
    prefix, result = bench.built.prefix, bench.directory / "env.tar.zst"
    arguments: list[str | Path] = ["capture", prefix, "--no-interpreter"]
    script = f'"{bench.tools.tar}" -C "$1" -cf - . | "{bench.tools.zstd}" -q -3 -T2 > "$2"'
    shown = "envparity --store STORE capture ENV --no-interpreter"
    return Workload(
        "capture",
        (
            bench.ours(CAPTURE, "fresh", arguments, shown, bench.directory / "fresh"),
            bench.shell(TAR, script, [prefix, result], "tar -C ENV -cf - . | zstd -q -3 -T2 > FILE", result),
            bench.ours(RECAPTURE, "fresh", arguments, f"{shown} (into the store that {CAPTURE} made)"),
        ),
        (
            Comparison("capture", "capture into an empty store", CAPTURE, TAR),
            Comparison("capture.size", "packed size", CAPTURE, TAR, "packed_bytes"),
            Comparison("recapture", RECAPTURE, RECAPTURE, CAPTURE),
            Comparison("recapture.added", "unchanged re-capture adds", RECAPTURE, None, "added_bytes"),
        ),
        (CAPTURE, RECAPTURE),
    )


def interpreter(bench: Bench) -> Workload:
    """The default capture, beside a tar of the environment and of that part of the interpreter which we capture."""
    prefix, result, names = bench.built.prefix, bench.directory / "all.tar.zst", bench.directory / "interpreter.list"
    names.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in interpreter_files(bench)))
    script = f'"{bench.tools.tar}" -cf - -C "$1" . -C "$2" --no-recursion --null -T "$3" | "{bench.tools.zstd}" -q -3 -T2 > "$4"'
    shown = "tar -cf - -C ENV . -C BASE --no-recursion -T CAPTURED | zstd -q -3 -T2 > FILE"
    return Workload(
        "interpreter",
        (
            bench.ours(
                CAPTURE_ALL,
                "fresh-all",
                ["capture", prefix],
                "envparity --store STORE capture ENV",
                bench.directory / "fresh-all",
            ),
            bench.shell(TAR_ALL, script, [prefix, bench.built.base, names, result], shown, result),
        ),
        (
            Comparison("capture-interpreter", CAPTURE_ALL, CAPTURE_ALL, TAR_ALL),
            Comparison(
                "capture-interpreter.size", "packed size with interpreter", CAPTURE_ALL, TAR_ALL, "packed_bytes"
            ),
        ),
        (CAPTURE_ALL,),
    )


def interpreter_files(bench: Bench) -> Iterator[str]:
    """Files and links of the base that a capture takes, relative to it."""
    listing = json.loads(
        bench.call([bench.tools.envparity, "--store", bench.stock(), "inspect", "whole", "--files", "--json"])
    )
    mount = f"{PYTHON_MOUNT}/"
    for row in listing["files"]:
        name = row["path"].removeprefix(mount)
        if row["path"].startswith(mount) and row["type"] != "directory" and os.path.lexists(bench.built.base / name):
            yield name


def warm(bench: Bench) -> Workload:
    """From a cache that has all layers unpacked, beside uv from its own warm cache, both by hard links."""
    bench.stock()
    bare, whole = bench.directory / "warm-bare", bench.directory / "warm-whole"
    packages = list(bench.built.recipe.requirements)
    options = ["--offline", "--link-mode", "hardlink", "--exclude-newer", DATE]
    installs = [
        _install(bench, INSTALL, [*options, "--no-compile-bytecode", *packages], "PACKAGES"),
        _install(bench, LOCKED, [*options, "--no-compile-bytecode", "-r", bench.built.lock], "-r LOCK"),
        _make(bench, [*options, "--no-compile-bytecode", *packages]),
    ]
    comparisons = [
        Comparison("warm", WARM, WARM, INSTALL),
        Comparison("warm.lock", WARM, WARM, LOCKED),
        Comparison("warm.make", WARM, WARM, MAKE),
        Comparison("warm-interpreter", WARM_ALL, WARM_ALL, INSTALL),
        Comparison("warm-interpreter.make", WARM_ALL, WARM_ALL, MAKE),
    ]
    if bench.built.recipe.bytecode:
        installs.append(
            _install(bench, COMPILED, [*options, "--compile-bytecode", *packages], "--compile-bytecode PACKAGES")
        )
        comparisons.append(Comparison("warm.compiled", WARM, WARM, COMPILED))
    return Workload(
        "warm",
        (
            bench.ours(WARM, "stock", ["restore", "bare", bare], "envparity --store STORE restore NAME DEST", bare),
            bench.ours(
                WARM_ALL, "stock", ["restore", "whole", whole], "envparity --store STORE restore NAME DEST", whole
            ),
            *installs,
        ),
        tuple(comparisons),
        (WARM, WARM_ALL),
        bench.proof(bare, whole, installed=_installed(bench, INSTALL)),
    )


def _installed(bench: Bench, name: str) -> Path:
    """Where uv puts the environment of the contender `name`."""
    words = "".join(letter if letter.isalnum() else " " for letter in name)
    return bench.directory / "uv" / "-".join(words.split())


def _install(bench: Bench, name: str, arguments: Sequence[str | Path], shown: str) -> Contender:
    """An installation into an environment that is made before the clock starts."""
    uv, destination = bench.tools.uv, _installed(bench, name)

    def prepare() -> None:
        bench.put_aside(destination)
        bench.call([uv, "venv", "--python", bench.built.python.resolve(), destination])

    command = [uv, "pip", "install", "--python", destination / "bin" / "python", *arguments]
    return bench.theirs(
        name, command, f"uv pip install --offline --link-mode hardlink {shown} (into a new uv venv)", prepare
    )


def _make(bench: Bench, arguments: Sequence[str | Path]) -> Contender:
    """With uv making the whole environment, as a restore does."""
    uv, destination = bench.tools.uv, _installed(bench, MAKE)
    script = 'uv=$1 base=$2 to=$3; shift 3; "$uv" venv --python "$base" "$to" && "$uv" pip install --python "$to/bin/python" "$@"'
    command = [bench.tools.sh, "-c", script, "sh", uv, bench.built.python.resolve(), destination, *arguments]
    shown = "uv venv DEST && uv pip install --offline --link-mode hardlink PACKAGES"
    return bench.theirs(MAKE, command, shown, lambda: bench.put_aside(destination))


def cold(bench: Bench) -> Workload:
    """From the store alone, every file verified, beside a copy of the same tree."""
    stock = bench.stock()
    bare, whole, model = bench.directory / "cold-bare", bench.directory / "cold-whole", bench.directory / "model"
    if not model.exists():
        bench.call([bench.tools.envparity, "--store", stock, "restore", "whole", model, "--link", "copy"])
    shown = "envparity --store STORE restore NAME DEST (without STORE/cache)"
    return Workload(
        "cold",
        (
            bench.ours(COLD, "stock", ["restore", "bare", bare], shown, bare, stock / "cache"),
            _copy(bench, COPY, bench.built.prefix, "cp -a ENV DEST"),
            bench.ours(COLD_ALL, "stock", ["restore", "whole", whole], shown, whole, stock / "cache"),
            _copy(bench, COPY_ALL, model, "cp -a ENV-WITH-INTERPRETER DEST"),
        ),
        (
            Comparison("cold", "cold restore, verified", COLD, COPY),
            Comparison("cold-interpreter", COLD_ALL, COLD_ALL, COPY_ALL),
        ),
        (COLD, COLD_ALL),
        bench.proof(bare, whole),
    )


def _copy(bench: Bench, name: str, source: Path, shown: str) -> Contender:
    destination = bench.directory / f"copy-of-{source.name}"
    return bench.theirs(name, [bench.tools.cp, "-a", source, destination], shown, lambda: bench.put_aside(destination))


def memory(bench: Bench) -> Workload:
    """The same commands of ours, for their peaks alone: where nothing else is of interest."""
    stock = bench.stock()
    fresh, warm_to, cold_to = bench.directory / "fresh", bench.directory / "warm", bench.directory / "cold"
    taking: list[str | Path] = ["capture", bench.built.prefix]
    shown = "envparity --store STORE"
    return Workload(
        "memory",
        (
            bench.ours(CAPTURE_ALL, "fresh", taking, f"{shown} capture ENV", fresh),
            bench.ours(RECAPTURE, "fresh", taking, f"{shown} capture ENV (again)"),
            bench.ours(
                COLD_ALL, "stock", ["restore", "whole", cold_to], f"{shown} restore NAME DEST", cold_to, stock / "cache"
            ),
            bench.ours(WARM_ALL, "stock", ["restore", "whole", warm_to], f"{shown} restore NAME DEST", warm_to),
        ),
        (),
        (CAPTURE_ALL, RECAPTURE, COLD_ALL, WARM_ALL),
        bench.proof(cold_to, warm_to),
    )


#: By name, in the order in which they run.
TIMED: Mapping[str, Callable[[Bench], Workload]] = {
    "capture": capture,
    "interpreter": interpreter,
    "warm": warm,
    "cold": cold,
}
#: The workloads of each environment.
PLAN: Mapping[str, Mapping[str, Callable[[Bench], Workload]]] = {
    "plain": TIMED,
    "bytecode": TIMED,
    "torch": {"memory": memory},
    "quick": TIMED,
}


def rows_of(
    environment: str, workload: Workload, taken: Mapping[str, Series], bounds: Mapping[str, float]
) -> Iterator[Row]:
    """The figures that `workload` promised."""
    for item in workload.comparisons:
        mine = taken[item.ours]
        ours, call = _values(mine, item.figure), mine.figure("seconds")
        other = [] if item.against is None else _values(taken[item.against], item.figure)
        yield Row(
            environment=environment,
            key=item.key,
            what=item.what,
            contender=item.against or "",
            unit="s" if item.figure == "wall" else "B",
            ours=Summary.of(ours),
            theirs=Summary.of(other) if other else None,
            ratio=Summary.of(ratios(ours, other)) if other else None,
            call=Summary.of(call) if item.figure == "wall" and call else None,
            bound=bounds.get(item.key),
        )


def peaks_of(
    environment: str, workload: Workload, taken: Mapping[str, Series], bounds: Mapping[str, float]
) -> Iterator[Memory]:
    """The memory of our commands in `workload`."""
    bound = bounds.get(f"memory.{environment}", bounds.get("memory"))
    for name in workload.memory:
        series = taken[name]
        largest = max(sample.peak for sample in series.samples)
        yield Memory(environment, f"memory.{name.replace(' ', '-')}", name, largest, series.together, bound)


def _values(series: Series, figure: str) -> list[float]:
    values = series.walls if figure == "wall" else series.figure(figure)
    if len(values) != len(series.samples):
        raise ValueError(f"{series.contender.name} does not tell its {figure}; compare something else")
    return values
