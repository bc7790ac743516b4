"""One environment by itself: capture, restore warm and cold, and their memory, beside tar, uv and cp."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import uv
from benchmarks.contenders.copies import COPY, copy
from benchmarks.contenders.uv import COMPILED, INSTALL, LOCKED, MAKE
from benchmarks.measuring import Contender
from benchmarks.workloads.base import Comparison, Workload
from snapshot.home import PYTHON_MOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.workloads.base import Bench

#: Names of contenders that appear in several places.
CAPTURE, CAPTURE_ALL, RECAPTURE = "capture", "capture with interpreter", "unchanged re-capture"
WARM, WARM_ALL = "warm restore", "warm restore with interpreter"
COLD, COLD_ALL = "cold restore", "cold restore with interpreter"
TAR, TAR_ALL = "tar | zstd -3 -T2", "tar | zstd -3 -T2, both"
COPY_ALL = "cp -a, both"


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
            _archive(bench, TAR, script, [prefix, result], "tar -C ENV -cf - . | zstd -q -3 -T2 > FILE"),
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
            _archive(bench, TAR_ALL, script, [prefix, bench.built.base, names, result], shown),
        ),
        (
            Comparison("capture-interpreter", CAPTURE_ALL, CAPTURE_ALL, TAR_ALL),
            Comparison(
                "capture-interpreter.size", "packed size with interpreter", CAPTURE_ALL, TAR_ALL, "packed_bytes"
            ),
        ),
        (CAPTURE_ALL,),
    )


def _archive(bench: Bench, name: str, script: str, arguments: Sequence[str | Path], shown: str) -> Contender:
    """A pipeline that writes a file, its last argument, whose size counts."""
    result = bench.directory / arguments[-1]
    command = [bench.tools.sh, "-c", script, "sh", *map(str, arguments)]
    return Contender(
        name,
        command,
        shown,
        lambda: bench.put_aside(result),
        lambda _output: {"packed_bytes": result.stat().st_size},
    )


def interpreter_files(bench: Bench) -> Iterator[str]:
    """Files and links of the base that a capture takes, relative to it."""
    listing = json.loads(
        bench.call([bench.tools.envparity, "--store", _stock(bench), "inspect", "whole", "--files", "--json"])
    )
    mount = f"{PYTHON_MOUNT}/"
    for row in listing["files"]:
        name = row["path"].removeprefix(mount)
        if row["path"].startswith(mount) and row["type"] != "directory" and os.path.lexists(bench.built.base / name):
            yield name


def _stock(bench: Bench) -> Path:
    """A store with the snapshots `bare` (without interpreter) and `whole`."""
    store = bench.directory / "stock"
    if not store.exists():
        base: list[str | Path] = [bench.tools.envparity, "--store", store, "capture", bench.built.prefix]
        bench.call([*base, "--name", "bare", "--no-interpreter"])
        bench.call([*base, "--name", "whole"])
    return store


def _prove(bench: Bench, destinations: Sequence[Path], installed: Path | None = None) -> None:
    """Check that restores, byte by byte, and an installation by uv did what they were measured for."""
    for destination in destinations:
        bench.call([bench.tools.envparity, "--store", _stock(bench), "verify", destination])
    if installed:
        uv.check_install(bench.built, installed)


def _restore(bench: Bench, name: str, snapshot: str, destination: Path, *, warm: bool) -> Contender:
    stock = _stock(bench)
    cache = () if warm else (stock / "cache",)
    shown = f"envparity --store STORE restore NAME DEST{'' if warm else ' (without STORE/cache)'}"
    return bench.ours(name, stock.name, ["restore", snapshot, destination], shown, destination, *cache)


def warm(bench: Bench, *, whole: bool = True) -> Workload:
    """From a cache that has all layers unpacked, beside uv from its own warm cache, both by hard links."""
    bare_to, whole_to = bench.directory / "warm-bare", bench.directory / "warm-whole"
    contenders = [_restore(bench, WARM, "bare", bare_to, warm=True)]
    comparisons = [Comparison("warm", WARM, WARM, INSTALL), Comparison("warm.make", WARM, WARM, MAKE)]
    if whole:
        contenders += [_restore(bench, WARM_ALL, "whole", whole_to, warm=True), uv.install_locked(bench)]
        comparisons += [
            Comparison("warm.lock", WARM, WARM, LOCKED),
            Comparison("warm-interpreter", WARM_ALL, WARM_ALL, INSTALL),
            Comparison("warm-interpreter.make", WARM_ALL, WARM_ALL, MAKE),
        ]
    contenders += [uv.install(bench), uv.make(bench)]
    if bench.built.recipe.bytecode:
        contenders.append(uv.install_compiled(bench))
        comparisons.append(Comparison("warm.compiled", WARM, WARM, COMPILED))
    return Workload(
        "warm",
        contenders,
        comparisons,
        (WARM, WARM_ALL) if whole else (WARM,),
        partial(_prove, bench, (bare_to, whole_to) if whole else (bare_to,), uv.installed(bench, INSTALL)),
    )


def cold(bench: Bench, *, whole: bool = True) -> Workload:
    """From the store alone, every file verified, beside a copy of the same tree."""
    bare_to, whole_to, model = bench.directory / "cold-bare", bench.directory / "cold-whole", bench.directory / "model"
    contenders = [
        _restore(bench, COLD, "bare", bare_to, warm=False),
        copy(bench, COPY, bench.built.prefix, "cp -a ENV DEST"),
    ]
    comparisons = [Comparison("cold", "cold restore, verified", COLD, COPY)]
    if whole:
        if not model.exists():
            bench.call([bench.tools.envparity, "--store", _stock(bench), "restore", "whole", model, "--link", "copy"])
        contenders += [
            _restore(bench, COLD_ALL, "whole", whole_to, warm=False),
            copy(bench, COPY_ALL, model, "cp -a ENV-WITH-INTERPRETER DEST"),
        ]
        comparisons.append(Comparison("cold-interpreter", COLD_ALL, COLD_ALL, COPY_ALL))
    return Workload(
        "cold",
        contenders,
        comparisons,
        (COLD, COLD_ALL) if whole else (COLD,),
        partial(_prove, bench, (bare_to, whole_to) if whole else (bare_to,)),
    )


#: The parts of a workload that leave out the interpreter: where room or time is short.
warm_bare: Callable[[Bench], Workload] = partial(warm, whole=False)
cold_bare: Callable[[Bench], Workload] = partial(cold, whole=False)


def memory(bench: Bench) -> Workload:
    """The same commands of ours, for their peaks alone: where nothing else is of interest."""
    fresh, warm_to, cold_to = bench.directory / "fresh", bench.directory / "warm", bench.directory / "cold"
    taking: list[str | Path] = ["capture", bench.built.prefix]
    shown = "envparity --store STORE"
    return Workload(
        "memory",
        (
            bench.ours(CAPTURE_ALL, "fresh", taking, f"{shown} capture ENV", fresh),
            bench.ours(RECAPTURE, "fresh", taking, f"{shown} capture ENV (again)"),
            _restore(bench, COLD_ALL, "whole", cold_to, warm=False),
            _restore(bench, WARM_ALL, "whole", warm_to, warm=True),
        ),
        (),
        (CAPTURE_ALL, RECAPTURE, COLD_ALL, WARM_ALL),
        partial(_prove, bench, (cold_to, warm_to)),
    )
