"""Fill in missing bytecode, with the target interpreter, on all cores."""

from __future__ import annotations

import os
import posixpath
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from snapshot import bytecode
from snapshot.assemble import SourceHasher
from snapshot.home import FIXED_MTIME
from snapshot.interpreter import Worker
from snapshot.model import Finding, Kind
from snapshot.plan import Item, Plan, located
from snapshot.scan import Found, encode
from snapshot.survey import bytecode_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from snapshot.plan import Survey


def compile_missing(
    survey: Survey,
    directory: str,
    cores: int,
    advance: Callable[[int], None],
    only: Collection[tuple[int, str]] | None = None,
) -> list[Finding]:
    """Compile every stored source that has no bytecode, into `directory`, and add the results to the survey's plans.

    `only`: no others than these, see `importing`. A source that does not compile (a template, another Python's syntax) is a finding. The environment is not touched.
    """
    findings = _leave_out_stale(survey)
    have = {(id(plan.sources), item.path) for plan in survey.plans if plan.kind is Kind.BYTECODE for item in plan.items}
    tag = survey.probe.cache_tag
    jobs = [
        (number, plan, item)
        for number, plan in enumerate(survey.plans)
        if plan.stored and plan.kind is not Kind.BYTECODE
        for item in plan.items
        if item.found.is_file
        and item.path.endswith(".py")
        and (only is None or (id(plan), item.path) in only)
        and (id(plan), bytecode.cache_path(item.path, tag)) not in have
        and not survey.excluded(posixpath.join(plan.mount, bytecode.cache_path(item.path, tag)))
    ]
    # Large sources first; each worker takes every n-th, so that they end together.
    jobs.sort(key=lambda job: -job[2].found.stat.st_size)
    made: list[tuple[Plan, Item, bytes]] = []

    def work(share: list[tuple[int, Plan, Item]]) -> None:
        with Worker(survey.python) as worker:
            for number, plan, item in share:
                out = os.path.join(encode(directory), str(number).encode(), encode(bytecode.cache_path(item.path, tag)))
                answer = worker.ask(
                    op="compile",
                    path=os.fsdecode(plan.location(item)),
                    name=posixpath.join(plan.mount, item.path),
                    out=os.fsdecode(out),
                    mtime=FIXED_MTIME,
                )
                if "error" in answer:
                    said = Finding("not-compiled", item.path, str(answer["error"])[:200])
                    findings.extend(located(plan.mount, [said]))
                else:
                    made.append((plan, item, out))
                advance(1)

    with ThreadPoolExecutor(cores) as pool:
        for _ in pool.map(work, [jobs[start::cores] for start in range(min(cores, len(jobs)))]):
            pass
    _add(survey, made, tag)
    return findings


def _leave_out_stale(survey: Survey) -> list[Finding]:
    """Take bytecode that is not valid for its source out of the plans: then it is missing, and is made."""
    findings: list[Finding] = []
    with SourceHasher(survey.python) as hasher:
        for plan in survey.plans:
            if plan.kind is not Kind.BYTECODE:
                continue
            kept = []
            for item in plan.items:
                why = _stale(plan, item, survey.probe.magic, hasher)
                if why is None:
                    kept.append(item)
                else:
                    findings += located(plan.mount, [Finding("stale-bytecode", item.path, f"{why}; compiled anew")])
            plan.items = kept
    return findings


def _stale(plan: Plan, item: Item, magic: bytes, hasher: SourceHasher) -> str | None:
    source, sources = item.source, plan.sources
    assert source is not None  # noqa: S101 - survey made it so
    assert sources is not None  # noqa: S101
    with open(plan.location(item), "rb") as file:
        head = file.read(bytecode.HEADER + 1)
    status = source.found.stat
    return bytecode.stale_because(
        head, magic, int(status.st_mtime), status.st_size, lambda: hasher.ask(sources.location(source))
    )


def _add(survey: Survey, made: list[tuple[Plan, Item, bytes]], tag: str) -> None:
    plans = {id(plan.sources): plan for plan in survey.plans if plan.kind is Kind.BYTECODE}
    for sources, item, out in made:
        plan = plans.get(id(sources))
        if plan is None:
            plan = plans[id(sources)] = bytecode_plan(sources)
            survey.plans.append(plan)
        found = Found(bytecode.cache_path(item.path, tag), os.lstat(out))
        plan.items.append(Item(found, source=item, real=out))
    for plan in plans.values():
        plan.items.sort(key=lambda item: encode(item.path))
