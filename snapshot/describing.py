"""Describe a live environment as a capture would, without storing anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from snapshot import assemble
from snapshot.facts.collect import collect
from snapshot.facts.memory import Memory
from snapshot.model import Description
from snapshot.pack import Packed, items_by_size, pack
from snapshot.progress import cores, counter
from snapshot.survey import survey

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from snapshot.plan import Plan
    from snapshot.progress import Progress


def describe(
    prefix: str | os.PathLike[str],
    *,
    python: str | os.PathLike[str] | None = None,
    variables: Mapping[str, str] | None = None,
    fingerprint: bool = False,
    key: bytes | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Description:
    """Read the environment at `prefix`: every file is hashed, nothing is stored.

    The result's snapshot has the id that a capture with the interpreter and the bytecode would have. `variables` and `fingerprint`
    as in `capture`; `key` is for the digests of variables, and has to be the one of the store with whose snapshots the result is
    compared (`Store.variables_key`). `cache` is where a fingerprint is remembered until something has changed that could change it
    (`Store.cache`); everything else is found out anew. Raises as `capture` does.
    """
    found = survey(prefix, python=python)
    advance = counter("describe", progress, sum(plan.bytes for plan in found.plans))

    with ThreadPoolExecutor(cores()) as pool, assemble.SourceHasher(found.python) as hasher:
        context = assemble.context_of(found, hasher, advance)

        def one(plan: Plan) -> Packed:
            return pack(plan, context, lambda: None)

        packed = list(pool.map(one, items_by_size(found.plans)))
    snapshot = assemble.snapshot_of(found, [item.layer for item in packed], interpreter=True, bytecode="keep")
    findings = sorted({finding for item in packed for finding in item.findings} | set(found.findings))
    layers = [item.layer for item in packed]
    memory = None if cache is None else Memory(cache, found.prefix)
    facts, more = collect(found, layers, findings, variables=variables, key=key, fingerprint=fingerprint, memory=memory)
    if memory is not None:
        memory.save()
    trees = {item.layer.tree: item.tree for item in packed}
    return Description(snapshot, trees, tuple(sorted({*findings, *more})), facts)
