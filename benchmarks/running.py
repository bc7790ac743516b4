"""One run: build the environments, run the workloads of each, gather what they found."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from benchmarks.contenders.lineup import line_up
from benchmarks.environments import Builder, choose_cache, variables
from benchmarks.errors import BenchmarkError, CommandFailedError
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.measuring import Runner
from benchmarks.recipes import RECIPES
from benchmarks.results import Results
from benchmarks.settling import PAUSE, Settling
from benchmarks.tools import Tools, find_rivals
from benchmarks.workloads.base import Bench, Session
from benchmarks.workloads.plan import FULL, PLAN, QUICK
from benchmarks.workloads.series import SeriesBench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.environments import Built
    from benchmarks.tools import Rivals
    from benchmarks.workloads.base import Findings


class Run:
    """Measures in the directory `work`, where environments stay from run to run; what is measured lies in its `run`."""

    def __init__(self, work: Path, bounds: Mapping[str, float], *, rounds: int, quick: bool) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._work = work
        self._place = work / "run"
        self._bounds = bounds
        self._rounds = rounds
        self._quick = quick
        self._settling = Settling(0 if quick else PAUSE, say)
        self._tools = Tools.find()
        self._environ = variables(choose_cache(work))
        self._absent: dict[str, str] = {}

    def measure(
        self, selected: Mapping[str, Sequence[str]], *, demand_torch: bool, report: Callable[[Results], None]
    ) -> Results:
        """All workloads of `selected`, by the name of their environment. `report` is given what there is after each: a run that
        is ended early has told what it knows. Raises BenchmarkError.
        """
        machine = describe_machine(self._work)
        self._settling.clear(self._place)
        built, notes = self._build(selected, demand_torch=demand_torch)
        series = any(len(versions) > 1 for versions in built.values())
        rivals = find_rivals(self._work, self._tools, self._environ, say, quick=self._quick) if series else None
        findings: dict[str, list[Findings]] = {}
        for name, versions in built.items():
            for found in self._run_all(versions, selected[name], rivals):
                findings.setdefault(name, []).append(found)
                report(self._results(machine, built, rivals, findings, notes))
        return self._results(machine, built, rivals, findings, notes)

    def _results(
        self,
        machine: Mapping[str, str],
        built: Mapping[str, Sequence[Built]],
        rivals: Rivals | None,
        findings: Mapping[str, Sequence[Findings]],
        notes: Sequence[str],
    ) -> Results:
        everything = [item for found in findings.values() for item in found]
        environments = [item for name in findings for item in built[name]]
        return Results(
            when=datetime.now(timezone.utc).date().isoformat(),
            rounds=self._rounds,
            quick=self._quick,
            machine=machine,
            versions=describe_versions(self._tools, rivals, environments[0].version if environments else "none"),
            environments=environments,
            rows=[row for item in everything for row in item.rows],
            memory=[peak for item in everything for peak in item.memory],
            series={name: {item.name: item.samples for item in found} for name, found in findings.items()},
            scale={name: item.scale for name, found in findings.items() for item in found if item.scale},
            growths=[item.growth for item in everything if item.growth],
            absent=self._absent,
            notes=[*notes, *_unmeasured(findings)],
        )

    def _build(
        self, selected: Mapping[str, Sequence[str]], *, demand_torch: bool
    ) -> tuple[dict[str, list[Built]], list[str]]:
        """The environments by name, and notes on what is left out: torch, unless it is demanded, when no CPU wheel of it is at hand."""
        builder = Builder(self._work, self._tools.uv, self._environ, say, self._settling)
        built: dict[str, list[Built]] = {}
        notes = []
        for name in selected:
            try:
                built[name] = [builder.build(recipe) for recipe in RECIPES[name]]
            except CommandFailedError as error:
                if not RECIPES[name][0].torch or demand_torch:
                    raise
                say(f"without the environment {name}: {error}")
                notes.append(f"The environment `{name}` could not be built on this machine and is left out.")
        return built, notes

    def _run_all(self, versions: Sequence[Built], names: Sequence[str], rivals: Rivals | None) -> Iterator[Findings]:
        """The workloads `names` of one environment or series, one after the other."""
        check_space(self._work, versions, self._rounds)
        self._place.mkdir()
        bench = self._bench(versions, rivals)
        runner = Runner(self._environ, self._place, say)
        session = Session(runner, self._rounds, self._bounds, self._settling.settle)
        for name in names:
            yield PLAN[bench.name][name](bench, session)
        self._settling.clear(self._place)

    def _bench(self, versions: Sequence[Built], rivals: Rivals | None) -> Bench:
        if len(versions) == 1 or rivals is None:
            return Bench(self._tools, versions[0], self._place, self._environ)
        lineup = line_up(self._tools, rivals, versions, quick=self._quick)
        self._absent |= lineup.absent
        return SeriesBench(self._tools, versions[-1], self._place, self._environ, versions, lineup)


def _unmeasured(findings: Mapping[str, Sequence[Findings]]) -> list[str]:
    """What a reader could expect and this run has not, by name."""
    kinds = QUICK if not set(findings).isdisjoint(QUICK) else FULL
    done = {(name, item.name) for name, found in findings.items() for item in found}
    missing = [f"{name}/{workload}" for name in kinds for workload in PLAN[name] if (name, workload) not in done]
    return [f"Not measured in this run: {', '.join(missing)}."] if missing else []


def check_space(place: Path, versions: Sequence[Built], rounds: int) -> None:
    """Large results are not removed between rounds, so there must be room for all of them. Raises BenchmarkError."""
    # One environment: a cold restore and a copy, both also with the interpreter, in each round and in the uncounted one.
    # A series: restores by eight contenders, some of them in few rounds; what they restore from.
    needed = (5 if len(versions) == 1 else 7) * versions[-1].bytes * (rounds + 1) + sum(item.bytes for item in versions)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise BenchmarkError(
            f"{rounds} rounds of {versions[-1].recipe.group} take up to {needed / 1e9:.0f} GB in {place}, which has {free / 1e9:.0f}; "
            "give fewer --rounds, or another --work"
        )


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)
