"""Which workloads of which environments to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def select(plan: Mapping[str, Sequence[str]], only: Sequence[str] | None) -> dict[str, list[str]]:
    """The part of `plan` (workloads by environment) that `only` names: environments, workloads, or ENVIRONMENT/WORKLOAD.

    Raises ValueError for a name that nothing has.
    """
    if only is None:
        return {environment: list(workloads) for environment, workloads in plan.items()}
    known = {
        name
        for environment, workloads in plan.items()
        for workload in workloads
        for name in _names(environment, workload)
    }
    unknown = sorted(set(only) - known)
    if unknown:
        raise ValueError(f"nothing is called {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    found = {
        environment: [workload for workload in workloads if not _names(environment, workload).isdisjoint(only)]
        for environment, workloads in plan.items()
    }
    return {environment: workloads for environment, workloads in found.items() if workloads}


def _names(environment: str, workload: str) -> set[str]:
    return {environment, workload, f"{environment}/{workload}"}
