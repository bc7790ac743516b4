"""For JSON: everything, each sample included."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.results import Results


def document(results: Results) -> dict[str, Any]:
    """The whole run."""
    return {
        "when": results.when,
        "rounds": results.rounds,
        "quick": results.quick,
        "machine": dict(results.machine),
        "versions": dict(results.versions),
        "absent": dict(results.absent),
        "notes": list(results.notes),
        "environments": [
            {
                "name": item.name,
                "requirements": list(item.packages),
                "date": item.recipe.date,
                "files": item.files,
                "bytes": item.bytes,
            }
            for item in results.environments
        ],
        "rows": [{**asdict(row), "met": row.met} for row in results.rows],
        "growth": [asdict(growth) for growth in results.growths],
        "scale": {name: [asdict(point) for point in points] for name, points in results.scale.items()},
        "memory": [{**asdict(row), "met": row.met} for row in results.memory],
        "samples": {
            environment: {
                workload: {
                    name: {
                        "command": series.contender.shown,
                        "together": series.together,
                        "runs": [asdict(sample) for sample in series.samples],
                    }
                    for name, series in taken.items()
                }
                for workload, taken in workloads.items()
            }
            for environment, workloads in results.series.items()
        },
    }
