"""Versions of one environment, old to new: the first capture, the next one, an unchanged one, and restores of the newest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import uv
from benchmarks.contenders.copies import COPY, LINKS, copy, link
from benchmarks.contenders.env_pack import SECONDS, EnvPack
from benchmarks.contenders.hashed import HASHED_COPY, HashedTar, hashed_copy
from benchmarks.contenders.ours import NO_DELTAS
from benchmarks.environments import measure_tree
from benchmarks.errors import BenchmarkError
from benchmarks.measuring import Contender
from benchmarks.workloads.base import Bench, Comparison, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.contenders.base import Command, Packer
    from benchmarks.contenders.lineup import Lineup
    from benchmarks.environments import Built

FIRST, NEXT, AGAIN = "first capture", "capture of the next version", "unchanged re-capture"
COLD, WARM = "cold restore", "warm restore"
BEFORE, AFTER = "newest version, as captured", "newest version, after optimize"

#: Who takes part, by slug: all tools once; where only bytes differ (a level, a default), the fastest of a tool.
_FIRST = ("tar-zstd", "borg-3", "restic-auto", "casync", "env-pack", "tar-gz", "venv-pack")
#: An archive of a next version costs what the first did; tar with zstd stands for them.
_NEXT = ("tar-zstd", "borg-3", "restic-auto", "casync", "env-pack")
_AGAIN = ("borg-3", "restic-auto", "casync")
_RESTORE = ("tar-zstd", "borg-3", "restic-auto", "casync", "tar-gz", "venv-pack")


@dataclass(frozen=True, slots=True)
class SeriesBench(Bench):
    """The place of the workloads of a series. `built` is its newest version."""

    versions: Sequence[Built]
    lineup: Lineup

    def kept(self, packer: Packer, versions: Sequence[Built], name: str) -> Path:
        """A place of `packer` under `name` with all `versions`, or with the last one where they share nothing. Made once."""
        place = self.directory / name / packer.slug
        if not place.exists():
            place.mkdir(parents=True)
            for built in versions if packer.shares else versions[-1:]:
                packer.prepare(place, built.prefix, self.call)
                self.call(packer.pack(place, built.prefix, built.recipe.date).argv)
        return place

    def everything(self, packer: Packer) -> Path:
        """The place of `packer` with the whole series."""
        return self.kept(packer, self.versions, "everything")

    def copy_store(self, packer: Packer, destination: Path) -> Path:
        """A copy of one of our stores with the whole series, without its cache."""
        self.call([self.tools.cp, "-a", self.everything(packer), destination])
        self.put_aside(destination / "cache")
        return destination


def first(bench: SeriesBench) -> Workload:
    """The oldest version, into an empty place."""
    packers = [bench.lineup.ours, *bench.lineup.of(_FIRST), HashedTar(bench.tools)]
    oldest = bench.versions[0]
    contenders = [_packing(bench, packer, oldest, ("first", FIRST), oldest.recipe.date) for packer in packers]
    return Workload("first", contenders, _comparisons(bench, "first", FIRST, packers), (FIRST,))


def following(bench: SeriesBench) -> Workload:
    """The second version, a month later, into a copy of a place that has the first."""
    packers = [bench.lineup.ours, bench.lineup.full, *bench.lineup.of(_NEXT)]
    oldest, built = bench.versions[:2]
    contenders = [
        _packing(bench, packer, built, ("next", NEXT), built.recipe.date, _start(bench, packer, oldest))
        for packer in packers
    ]
    memory = [item.name for item in contenders if item.watched]
    return Workload("next", contenders, _comparisons(bench, "next", NEXT, packers), memory, deltas=(NEXT,))


def again(bench: SeriesBench) -> Workload:
    """The same version once more, into a copy of a place that has it."""
    packers = [bench.lineup.ours, *bench.lineup.of(_AGAIN)]
    oldest = bench.versions[0]
    # Another name than the one that is there: some want theirs to be unique.
    label = f"{oldest.recipe.date}-again"
    contenders = [
        _packing(bench, packer, oldest, ("again", AGAIN), label, _start(bench, packer, oldest)) for packer in packers
    ]
    return Workload("again", contenders, _comparisons(bench, "again", AGAIN, packers), (AGAIN,))


def _start(bench: SeriesBench, packer: Packer, oldest: Built) -> Path | None:
    return bench.kept(packer, [oldest], "started") if packer.shares else None


def _packing(
    bench: SeriesBench, packer: Packer, built: Built, names: tuple[str, str], version: str, start: Path | None = None
) -> Contender:
    """Keeping `built` as `version` in an empty place, or in a copy of the place `start`. `names`: of the workload, and of what we do."""
    place = bench.directory / names[0] / packer.slug
    name = _name(bench, packer, names[1])

    def prepare() -> None:
        bench.put_aside(place)
        place.parent.mkdir(exist_ok=True)
        if start is None:
            place.mkdir()
        else:
            bench.call([bench.tools.cp, "-a", start, place])
        packer.prepare(place, built.prefix, bench.call)

    return as_contender(name, packer, packer.pack(place, built.prefix, version), prepare, lambda: packer.kept(place))


def as_contender(
    name: str, packer: Packer, command: Command, prepare: Callable[[], None], kept: Callable[[], int] | None = None
) -> Contender:
    """A command of `packer`; the bytes that are `kept` after it are one of its figures."""

    def collect(output: bytes) -> Mapping[str, float]:
        return {**command.collect(output), **({"kept_bytes": kept()} if kept else {})}

    return Contender(name, command.argv, command.shown, prepare, collect, command.watched, packer.rounds)


def _name(bench: SeriesBench, packer: Packer, what: str) -> str:
    """Ours goes by what it does, the others by who they are."""
    if packer is bench.lineup.ours:
        return what
    return f"{what} {NO_DELTAS}" if packer is bench.lineup.full else packer.name


def _comparisons(bench: SeriesBench, key: str, what: str, packers: Iterable[Packer]) -> list[Comparison]:
    """A row for each rival."""
    rows = []
    for packer in packers:
        if packer is not bench.lineup.ours:
            rows.append(Comparison(f"{key}.{packer.slug}", what, what, _name(bench, packer, what)))
        if isinstance(packer, EnvPack) and key != "restore":
            rows.append(Comparison(f"{key}.call", f"{what} / the packing alone", what, packer.name, other=SECONDS))
    return rows


def restore(bench: SeriesBench) -> Workload:
    """The newest version, from places that have the whole series; ours without its cache."""
    packers = [bench.lineup.ours, *bench.lineup.of(_RESTORE), HashedTar(bench.tools)]
    destination = bench.directory / "restored" / "hashed-copy"
    hashed = hashed_copy(bench.tools, bench.built.prefix, destination, bench.directory / "hashed-copy")
    contenders = [
        _unpacking(bench, packers[0]),
        copy(bench, COPY, bench.built.prefix, "cp -a ENV DEST"),
        Contender(HASHED_COPY, hashed.argv, hashed.shown, lambda: bench.put_aside(destination)),
        *(_unpacking(bench, packer) for packer in packers[1:]),
    ]
    comparisons = [
        Comparison("restore.cp", COLD, COLD, COPY),
        Comparison("restore.cp-hashed", COLD, COLD, HASHED_COPY),
        *_comparisons(bench, "restore", COLD, packers),
    ]
    return Workload("restore", contenders, comparisons, (COLD,), partial(_check_trees, bench, packers))


def _unpacking(bench: SeriesBench, packer: Packer) -> Contender:
    place, destination = bench.everything(packer), _restored(bench, packer)
    gone = (destination, place / "cache") if packer is bench.lineup.ours else (destination,)

    def prepare() -> None:
        bench.put_aside(*gone)
        destination.parent.mkdir(exist_ok=True)
        if packer is not bench.lineup.ours:
            destination.mkdir()

    name = _name(bench, packer, COLD)
    return as_contender(name, packer, packer.unpack(place, bench.built.recipe.date, destination), prepare)


def _restored(bench: SeriesBench, packer: Packer) -> Path:
    return bench.directory / "restored" / packer.slug


def _check_trees(bench: SeriesBench, packers: Iterable[Packer]) -> None:
    """That ours is right byte by byte, and that no rival left files out. Raises BenchmarkError."""
    ours = bench.lineup.ours
    for packer in packers:
        if packer is ours:
            store = bench.everything(ours)
            bench.call([bench.tools.envparity, "--store", store, "verify", _restored(bench, ours)])
        else:
            files, _ = measure_tree(_restored(bench, packer))
            # venv-pack leaves out a few, and writes others.
            if files < 0.99 * bench.built.files:
                raise BenchmarkError(
                    f"{packer.name} restored {files} files of {bench.built.files} to {_restored(bench, packer)}"
                )


def warm(bench: SeriesBench) -> Workload:
    """The newest version, from layers that were unpacked before, beside uv from its warm cache and hard links to a tree."""
    ours, destination = bench.lineup.ours, bench.directory / "warm"
    command = ours.unpack(bench.everything(ours), bench.built.recipe.date, destination)
    contenders = [
        Contender(
            WARM, command.argv, command.shown, lambda: bench.put_aside(destination), command.collect, command.watched
        ),
        uv.install(bench),
        uv.make(bench),
        link(bench),
    ]
    comparisons = [
        Comparison("series.warm", WARM, WARM, uv.INSTALL),
        Comparison("series.warm-make", WARM, WARM, uv.MAKE),
        Comparison("series.warm-links", WARM, WARM, LINKS),
    ]
    return Workload(
        "warm",
        contenders,
        comparisons,
        (WARM,),
        lambda: uv.check_install(bench.built, uv.installed(bench, uv.INSTALL)),
    )


def newest(bench: SeriesBench) -> Workload:
    """The newest version from two copies of the store, one of them optimized."""
    ours, contenders = bench.lineup.ours, []
    for name, made in ((BEFORE, captured_store), (AFTER, optimized_store)):
        store, destination = made(bench), bench.directory / f"newest-{made.__name__}"
        command = ours.unpack(store, bench.built.recipe.date, destination)
        prepare = partial(bench.put_aside, destination, store / "cache")
        contenders.append(Contender(name, command.argv, command.shown, prepare, command.collect, command.watched))
    return Workload(
        "newest", contenders, (Comparison("newest", "newest version, after optimize", AFTER, BEFORE),), (BEFORE, AFTER)
    )


def captured_store(bench: SeriesBench) -> Path:
    """Our store as captured, for the comparison with the optimized one. Made once."""
    store = bench.directory / "captured"
    return store if store.exists() else bench.copy_store(bench.lineup.ours, store)


def optimized_store(bench: SeriesBench) -> Path:
    """Our store after optimize. Made once."""
    store = bench.directory / "optimized"
    if not store.exists():
        bench.copy_store(bench.lineup.ours, store)
        bench.call(bench.lineup.ours.optimize(store).argv)
    return store
