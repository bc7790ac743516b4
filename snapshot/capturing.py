"""Capture: environment to plans, plans to layers, layers to blobs, blobs into the store. Orchestration only."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from snapshot import assemble
from snapshot.beside import check_notes, plan_model, plan_notes
from snapshot.compiling import compile_missing
from snapshot.facts.collect import Ahead
from snapshot.facts.document import encode_facts
from snapshot.facts.memory import Memory
from snapshot.importing import check_imports, keep_only, sources_of
from snapshot.layering import Layers
from snapshot.limiting import BUDGET, SIZE_LIMIT, check
from snapshot.model import Kind
from snapshot.progress import cores, counter
from snapshot.scratch import scratch
from snapshot.serialize import encode_record, encode_snapshot
from snapshot.stamps import TICK
from snapshot.store.batch import BlobsVanishedError
from snapshot.store.manifest import FACTS_TYPE, RECORD_TYPE, check_name
from snapshot.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import TypeAlias, TypeVar

    from snapshot.digest import Digest
    from snapshot.model import Finding, Layer
    from snapshot.plan import Survey
    from snapshot.progress import Progress
    from snapshot.store.batch import Batch
    from snapshot.store.store import Store

    _T = TypeVar("_T")
    #: What is known, or a function that gives it.
    Late: TypeAlias = _T | Callable[[], _T]

#: How often a capture begins: `optimize` may publish several times while it runs.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Captured:
    """What a capture made. `packed_bytes`: what an empty node must fetch; `added_bytes`: what the store grew."""

    snapshot: Digest
    name: str | None
    parity_root: Digest
    files: int
    distributions: int
    layers: int
    raw_bytes: int
    packed_bytes: int
    added_bytes: int
    findings: tuple[Finding, ...]
    seconds: float


def capture(
    prefix: str | os.PathLike[str],
    store: Store,
    *,
    python: str | os.PathLike[str] | None = None,
    name: str | None = None,
    size_limit: int = SIZE_LIMIT,
    budget: int = BUDGET,
    exclude: Sequence[str] = (),
    interpreter: bool = True,
    bytecode: Literal["keep", "drop", "compile"] = "keep",
    deltas: bool = True,
    variables: Late[Mapping[str, str]] | None = None,
    fingerprint: bool = False,
    model: str | os.PathLike[str] | None = None,
    notes: Late[Mapping[str, bytes]] | None = None,
    imports: Late[Collection[str]] | None = None,
    progress: Progress | None = None,
) -> Captured:
    """Capture the environment at `prefix` into `store`.

    `python` is its interpreter (default: `bin/python` in it); `name` the reference to publish it under, `NAME` or
    `NAME/VERSION`; `size_limit` the most packed bytes that a snapshot may have, `budget` the most bytes that all versions
    of the name may have in the store together, each blob counted once; `exclude` patterns of what is left out: as in
    `fnmatch`, on paths relative to the environment, `dist:NAME` for a distribution; `interpreter` whether the base interpreter
    is stored too; `bytecode` whether valid `.pyc` files are kept, dropped, or kept and completed; `deltas` whether a layer that
    resembles one of an earlier snapshot is stored as the difference from it.

    `variables` are those of the process that the environment serves (None: not known; no secret is stored, see
    `snapshot.facts.variables`); `fingerprint`: whether to run the numeric probe in the environment, which takes half a second and runs
    its start-up hooks and libraries. Both go into the facts of the snapshot and do not change its id.

    `model` is a directory to keep with the environment, restored at `.envparity/model`; `notes` are small files (at most 16 MiB)
    by name, restored beside it, in `.envparity`. They are part of the snapshot's id, size and budget, but not of its parity root:
    the environment is the same whatever model lies in it. `exclude` does not concern them.
    `imports`: dotted names of modules, such as those that the model imports. Only their bytecode is kept then, and what of it is
    missing is compiled, whether `bytecode` is keep or compile.

    Each of `variables`, `notes` and `imports` may be a function that gives it, for what is still being found out: it is called when
    everything else has been packed, and nothing published. What it raises ends the capture; it may be called again.

    The environment is only read. Raises SizeLimitError and BudgetError before anything is published, NoEnvironmentError,
    InterpreterError, UnreadableError, InvalidPatternError, ChangedError, InvalidNameError, NameTakenError, StoreError,
    NoSpaceError, NoCacheError, and for what lies beside the environment ModelFilesError, NoteError and ImportsError.
    """
    begin = time.perf_counter()
    if name is not None:
        check_name(name)  # now, and not when everything is packed
    wanted = _Wanted(
        python=python,
        name=name,
        size_limit=size_limit,
        budget=budget,
        exclude=exclude,
        interpreter=interpreter,
        bytecode=bytecode,
        deltas=deltas,
        variables=variables,
        fingerprint=fingerprint,
        model=model,
        notes={} if notes is None else notes,
        imports=imports,
    )
    wanted.check()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            done = _capture(prefix, store, wanted, progress)
        except BlobsVanishedError:
            # A collection took a blob that this capture counted on, or `optimize` put another in its place: now that is known.
            if attempt == _ATTEMPTS:
                raise
        else:
            break
    return replace(done, seconds=time.perf_counter() - begin)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What `capture` was asked for."""

    python: str | os.PathLike[str] | None
    name: str | None
    size_limit: int
    budget: int
    exclude: Sequence[str]
    interpreter: bool
    bytecode: Literal["keep", "drop", "compile"]
    deltas: bool
    variables: Late[Mapping[str, str]] | None
    fingerprint: bool
    model: str | os.PathLike[str] | None
    notes: Late[Mapping[str, bytes]]
    imports: Late[Collection[str]] | None

    def check(self) -> None:
        """Refuse what cannot be wanted, as far as it is known. Raises ImportsError, NoteError."""
        if self.imports is not None:
            check_imports(() if callable(self.imports) else self.imports, self.bytecode)
        check_notes({} if callable(self.notes) else self.notes)

    def answers(self) -> _Answers:
        """What was left to be found out: this asks, and waits. Raises as `check`."""
        found = _Answers(
            variables=None if self.variables is None else _now(self.variables),
            notes=_now(self.notes),
            imports=None if self.imports is None else _now(self.imports),
        )
        replace(self, notes=found.notes, imports=found.imports).check()
        return found


@dataclass(frozen=True, slots=True)
class _Answers:
    """What of it may come late."""

    variables: Mapping[str, str] | None
    notes: Mapping[str, bytes]
    imports: Collection[str] | None


def _now(value: Late[_T]) -> _T:
    return value() if callable(value) else value


def _capture(prefix: str | os.PathLike[str], store: Store, wanted: _Wanted, progress: Progress | None) -> Captured:
    started = time.time()
    keep = wanted.bytecode != "drop"
    with ExitStack() as stack:
        variables = None if callable(wanted.variables) else wanted.variables
        memory = Memory(store.cache, os.path.abspath(prefix))
        ahead = stack.enter_context(Ahead(prefix, variables, memory))
        found = survey(
            prefix,
            python=wanted.python,
            interpreter=wanted.interpreter,
            keep_bytecode=keep,
            exclude=wanted.exclude,
            begin=ahead.begin if wanted.fingerprint and not callable(wanted.variables) else None,
        )
        findings = list(found.findings)
        batch = stack.enter_context(store.begin())
        layers, packed, known = _packed(found, store, batch, wanted, ahead, started - TICK, findings, stack, progress)
        done = wanted.bytecode if wanted.imports is None else "imported"
        snapshot = assemble.snapshot_of(found, packed, interpreter=wanted.interpreter, bytecode=done)
        content = dict(layers.content)
        facts, more = layers.facts(packed, findings, variables=known.variables, fingerprint=wanted.fingerprint)
        findings += more
        layers.note(content, FACTS_TYPE, encode_facts(facts))
        layers.note(content, RECORD_TYPE, encode_record(assemble.record_of(found, findings)))
        config = encode_snapshot(snapshot)
        packed_bytes = len(config) + sum(descriptor.size for descriptor in content.values())
        check(found, store, snapshot, config, content, wanted.name, size_limit=wanted.size_limit, budget=wanted.budget)
        published = batch.publish(config, content, wanted.name)
        layers.save()
        memory.save()
    return Captured(
        snapshot=published.reference.snapshot,
        name=published.reference.name,
        parity_root=snapshot.parity_root,
        files=snapshot.files,
        distributions=len(snapshot.distributions),
        layers=len(snapshot.layers),
        raw_bytes=snapshot.raw_bytes,
        packed_bytes=packed_bytes + published.reference.manifest.size,
        added_bytes=published.added_bytes,
        findings=tuple(sorted(set(findings))),
        seconds=0.0,
    )


def _packed(
    found: Survey,
    store: Store,
    batch: Batch,
    wanted: _Wanted,
    ahead: Ahead,
    newest: float,
    findings: list[Finding],
    stack: ExitStack,
    progress: Progress | None,
) -> tuple[Layers, list[Layer], _Answers]:
    """All layers, with what was noticed among the `findings`; and the answers that were waited for."""
    late = wanted.imports is not None  # which bytecode is kept
    if not late and wanted.bytecode == "compile":
        findings += _compile(found, store, None, stack, progress)
    beside = []
    if wanted.model is not None:
        plan, noticed = plan_model(wanted.model)
        beside.append(plan)
        findings += noticed
    total = sum(plan.bytes for plan in (*found.plans, *beside))
    advance = counter("capture", progress, total)
    made = Layers(found, store, batch, wanted.name, newest=newest, deltas=wanted.deltas, advance=advance, ahead=ahead)
    layers = stack.enter_context(made)
    first = [plan for plan in found.plans if not (late and plan.kind is Kind.BYTECODE)]
    packed = layers.pack([*first, *beside])
    known = wanted.answers()
    rest = []
    if known.imports is not None:
        findings += _compile(found, store, known.imports, stack, progress)
        rest = [plan for plan in found.plans if plan.kind is Kind.BYTECODE]
    if known.notes:
        rest.append(plan_notes(known.notes, _directory(store, stack)))
    packed += layers.pack(rest)
    advance(total)  # templates have other sizes than their files: the last step is the whole
    findings += [finding for _, more in packed for finding in more]
    return layers, [layer for layer, _ in packed], known


def _compile(
    found: Survey, store: Store, imports: Collection[str] | None, stack: ExitStack, progress: Progress | None
) -> list[Finding]:
    """Complete the plans' bytecode, or reduce it to that of the modules `imports` and complete that."""
    sources = None
    if imports is not None:
        sources = sources_of(found, imports)
        keep_only(found, sources)
    total = _sources(found) if sources is None else len(sources)
    return compile_missing(found, _directory(store, stack), cores(), counter("compile", progress, total), sources)


def _directory(store: Store, stack: ExitStack) -> str:
    """An empty directory that lasts as long as the capture."""
    os.makedirs(store.cache, exist_ok=True)
    return stack.enter_context(scratch(os.fspath(store.cache)))


def _sources(found: Survey) -> int:
    return sum(item.path.endswith(".py") for plan in found.plans if plan.stored for item in plan.items)
