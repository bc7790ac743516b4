"""Describe a live environment as a capture would, without storing anything."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot import assemble
from snapshot.description import Description
from snapshot.facts.collect import Ahead, collect
from snapshot.facts.memory import Memory
from snapshot.model import Kind
from snapshot.pack import items_by_size, pack
from snapshot.progress import cores, counter
from snapshot.remembered import SETTLED, Known, Remembered
from snapshot.stamps import stamp
from snapshot.survey import survey
from snapshot.trees import HeldTrees

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from snapshot.digest import Digest
    from snapshot.model import Tree
    from snapshot.plan import Plan, Survey
    from snapshot.progress import Progress


def describe(
    prefix: str | os.PathLike[str],
    *,
    python: str | os.PathLike[str] | None = None,
    variables: Mapping[str, str] | None = None,
    fingerprint: bool = False,
    key: bytes | None = None,
    cache: str | os.PathLike[str] | None = None,
    identify: bool = True,
    progress: Progress | None = None,
) -> Description:
    """Read the environment at `prefix`: every file is hashed, nothing is stored.

    The result's snapshot has the id that a capture with the interpreter and the bytecode would have. Without `identify` it has none, and
    everything else is the same: the id covers the layers as tar archives, so that every byte has to be hashed twice for it.

    `variables` and `fingerprint` as in `capture`; `key` is for the digests of variables, and has to be the one of the store with whose
    snapshots the result is compared (`Store.variables_key`).

    `cache` is a directory in which this node remembers what it read (`Store.cache`): files that have not been touched since, as far as
    their inode and change time say, are not read again, and a fingerprint is not taken again while nothing has changed that could
    change it. docs/behaviour.md, "What a description remembers", says which edits this cannot see. None: every byte is read. Raises
    as `capture` does.
    """
    started = time.time()
    memory = None if cache is None else Memory(cache, os.path.abspath(prefix))
    with Ahead(prefix, variables, memory) as ahead:
        found = survey(prefix, python=python, begin=ahead.begin if fingerprint else None)
        advance = counter("describe", progress, sum(plan.bytes for plan in found.plans))
        reading = _Reading(found, cache, started, advance, identify=identify)
        read = reading.all()
        layers = [item.layer for item in read]
        snapshot = assemble.snapshot_of(found, layers, interpreter=True, bytecode="keep")
        findings = sorted({finding for item in read for finding in item.findings} | set(found.findings))
        facts, more = collect(
            found,
            layers,
            findings,
            variables=variables,
            key=key,
            fingerprint=fingerprint,
            stamps=reading.marks,
            memory=memory,
            probe=ahead.probe,
        )
    reading.save()
    if memory is not None:
        memory.save()
    trees = HeldTrees({item.layer.tree: item.tree for item in read}, reading.trees)
    return Description(snapshot, trees, tuple(sorted({*findings, *more})), facts)


class _Reading:
    """Reads all plans, but for those that are as they were."""

    def __init__(
        self,
        found: Survey,
        cache: str | os.PathLike[str] | None,
        started: float,
        advance: Callable[[int], None],
        *,
        identify: bool,
    ) -> None:
        self._survey = found
        self._known = None if cache is None else Remembered(cache, found.prefix)
        self._facts = assemble.facts_of(found)
        self._newest = started - SETTLED
        self._advance = advance
        self._identify = identify
        #: Those of the plans whose files the facts are made from.
        self.marks: list[str | None] = []
        #: The trees of which the entries are at hand.
        self.trees: dict[Digest, Tree] = {}

    def all(self) -> list[Known]:
        with ThreadPoolExecutor(cores()) as pool, assemble.SourceHasher(self._survey.python) as hasher:
            context = assemble.context_of(self._survey, hasher, self._advance)

            def one(plan: Plan) -> Known:
                mark = self._mark(plan)
                before = self._find(plan, mark)
                if before is not None:
                    self._advance(plan.bytes)
                    # Another call may have wanted ids; half of them would be of no use.
                    return before if self._identify else before._replace(layer=replace(before.layer, tar=None))
                packed = pack(plan, context, (lambda: None) if self._identify else None)
                self.trees[packed.layer.tree] = packed.tree
                known = Known(packed.layer, packed.encoded_tree, packed.findings)
                if self._known is not None:
                    self._known.add(mark, known)
                return known

            return list(pool.map(one, items_by_size(self._survey.plans)))

    def _mark(self, plan: Plan) -> str | None:
        if self._known is None:
            return None
        mark = stamp(plan, self._facts, self._newest)
        if plan.kind is not Kind.BYTECODE:
            self.marks.append(mark)
        # What `venv` generated is compared with files of the base, which the stamp does not cover; it is little.
        return None if plan.kind is Kind.ENVIRONMENT else mark

    def _find(self, plan: Plan, mark: str | None) -> Known | None:
        return None if self._known is None else self._known.find(plan, mark, identify=self._identify)

    def save(self) -> None:
        if self._known is not None:
            self._known.save()
