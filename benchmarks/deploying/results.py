"""What a run found out, and the figures that have bounds: pure functions of samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.deploying.contenders import COLD, WARM
from benchmarks.deploying.registrations import AGAIN, FIRST, PACKER, RETRAINED, SECONDS
from benchmarks.figures import Row, Summary, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.deploying.turns import Deployments
    from benchmarks.environments import Built
    from benchmarks.measuring import Series

OURS = {WARM: "deploy.warm", COLD: "deploy.cold"}

#: What the ratio of a row may be at most, by its key: against the fastest of the others, and against MLflow's packer.
GOALS: Mapping[str, float] = {
    "deploy.warm": 0.5,
    "deploy.cold": 0.7,
    "register.first": 0.5,
    "register.retrained": 0.5,
}


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything. `bounds` by the key of a row; `packed` and `tars` are the bytes of the snapshot and of MLflow's tars."""

    when: str
    rounds: int
    quick: bool
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    environments: Sequence[Built]
    deployments: Sequence[Deployments]
    registrations: Mapping[str, Series]
    bounds: Mapping[str, float]
    packed: int
    tars: int
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        return [*deploy_rows(self.deployments, self.bounds), *register_rows(self.registrations, self.bounds)]

    @property
    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.met is False]


def best(deployments: Sequence[Deployments]) -> Deployments | None:
    """The fastest of the others, by its median."""
    others = [each for each in deployments if each.way.name not in OURS]
    return min(others, key=lambda each: Summary.of(each.walls).median, default=None)


def deploy_rows(deployments: Sequence[Deployments], bounds: Mapping[str, float]) -> Iterator[Row]:
    """Ours against each of the others, the fastest first: the bound applies to that one, the rest is there for information."""
    fastest = best(deployments)
    others = sorted(
        (each for each in deployments if each.way.name not in OURS), key=lambda each: Summary.of(each.walls).median
    )
    for mine in deployments:
        for other in others if mine.way.name in OURS else ():
            key = OURS[mine.way.name]
            bound = bounds.get(key) if other is fastest else None
            yield _row(key, mine.way.name, other.way.name, mine.walls, other.walls, bound)


def register_rows(taken: Mapping[str, Series], bounds: Mapping[str, float]) -> Iterator[Row]:
    """Ours against MLflow's packer, each by its own clock."""
    if not taken:
        return
    theirs = taken[PACKER].figure(SECONDS)
    for key, name, figure in (
        ("register.first", FIRST, SECONDS),
        ("register.retrained", RETRAINED, SECONDS),
        ("register.again", RETRAINED, AGAIN),
    ):
        what = "register, unchanged" if figure == AGAIN else name
        yield _row(key, what, PACKER, taken[name].figure(figure), theirs, bounds.get(key))


def _row(key: str, what: str, other: str, ours: list[float], theirs: list[float], bound: float | None) -> Row:
    """Compared in the rounds that both took part in."""
    shared = min(len(ours), len(theirs))
    ratio = Summary.of(ratios(ours[:shared], theirs[:shared]))
    return Row("deploy", key, what, other, "s", Summary.of(ours), Summary.of(theirs), ratio, bound=bound)


def document(findings: Findings) -> dict[str, Any]:
    """For JSON: everything, each sample included."""
    return {
        "when": findings.when,
        "rounds": findings.rounds,
        "quick": findings.quick,
        "machine": dict(findings.machine),
        "versions": dict(findings.versions),
        "absent": dict(findings.absent),
        "environments": [
            {"name": each.name, "date": each.recipe.date, "files": each.files, "bytes": each.bytes}
            for each in findings.environments
        ],
        "packed_bytes": findings.packed,
        "tar_bytes": findings.tars,
        "rows": [{**asdict(row), "met": row.met} for row in findings.rows],
        "deployments": [
            {
                "name": each.way.name,
                "command": each.way.shown,
                "moved_bytes": each.way.moved,
                "files": each.files,
                "bytes": each.bytes,
                "together": each.together,
                "runs": [asdict(sample) for sample in each.samples],
            }
            for each in findings.deployments
        ],
        "registrations": [
            {
                "name": name,
                "command": series.contender.shown,
                "together": series.together,
                "runs": [asdict(sample) for sample in series.samples],
            }
            for name, series in findings.registrations.items()
        ],
    }
