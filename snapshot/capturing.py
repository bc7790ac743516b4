"""Capture: environment to plans, plans to layers, layers to blobs, blobs into the store. Orchestration only."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from snapshot import assemble
from snapshot.beside import check_notes, plan_model, plan_notes
from snapshot.codec import Compressor, pack_small
from snapshot.compiling import compile_missing
from snapshot.encoding import Encoder
from snapshot.errors import SnapshotError
from snapshot.facts.collect import collect
from snapshot.facts.document import encode_facts
from snapshot.facts.memory import Memory
from snapshot.importing import check_imports, keep_only, sources_of
from snapshot.limiting import BUDGET, SIZE_LIMIT, check
from snapshot.lineage import Lineage
from snapshot.model import BESIDE, Descriptor, Digest
from snapshot.pack import Packed, items_by_size, pack
from snapshot.progress import cores, counter
from snapshot.scratch import scratch
from snapshot.serialize import digest_of, encode_record, encode_snapshot
from snapshot.stamps import TICK, Stamps, stamp
from snapshot.store.manifest import CONTENT, FACTS_TYPE, LAYER_TYPE, RECORD_TYPE, TREE_TYPE, check_name
from snapshot.store.store import BlobsVanishedError
from snapshot.survey import survey
from snapshot.tars import Tar, bases

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from snapshot.facts.model import Facts
    from snapshot.model import Finding, Layer
    from snapshot.pack import Context
    from snapshot.plan import Plan, Survey
    from snapshot.progress import Progress
    from snapshot.store.backend import StagedBlob
    from snapshot.store.store import Batch, Store

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
    variables: Mapping[str, str] | None = None,
    fingerprint: bool = False,
    model: str | os.PathLike[str] | None = None,
    notes: Mapping[str, bytes] | None = None,
    imports: Collection[str] | None = None,
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

    The environment is only read. Raises SizeLimitError and BudgetError before anything is published, NoEnvironmentError,
    InterpreterError, UnreadableError, InvalidPatternError, ChangedError, StoreError, and for what lies beside the environment
    ModelFilesError, NoteError and ImportsError.
    """
    begin = time.perf_counter()
    if name is not None:
        check_name(name)  # now, and not when everything is packed
    if imports is not None:
        check_imports(imports, bytecode)
    check_notes(notes or {})
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
        notes=dict(notes or {}),
        imports=None if imports is None else frozenset(imports),
    )
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
    variables: Mapping[str, str] | None
    fingerprint: bool
    model: str | os.PathLike[str] | None
    notes: Mapping[str, bytes]
    imports: frozenset[str] | None


def _capture(prefix: str | os.PathLike[str], store: Store, wanted: _Wanted, progress: Progress | None) -> Captured:
    started = time.time()
    keep = wanted.bytecode != "drop"
    found = survey(
        prefix, python=wanted.python, interpreter=wanted.interpreter, keep_bytecode=keep, exclude=wanted.exclude
    )
    findings = list(found.findings)
    with ExitStack() as stack:
        batch = stack.enter_context(store.begin())
        findings += _compile(found, store, wanted, stack, progress)
        beside, noticed = _beside(store, wanted, stack)
        findings += noticed
        layers = _Layers(found, beside, store, batch, wanted.name, started, progress, deltas=wanted.deltas)
        packed = layers.pack_all()
        findings += [finding for _, noticed in packed for finding in noticed]
        done = wanted.bytecode if wanted.imports is None else "imported"
        snapshot = assemble.snapshot_of(
            found, [layer for layer, _ in packed], interpreter=wanted.interpreter, bytecode=done
        )
        content = dict(layers.content)
        facts, more = layers.facts(packed, findings, wanted)
        findings += more
        layers.note(content, FACTS_TYPE, encode_facts(facts))
        layers.note(content, RECORD_TYPE, encode_record(assemble.record_of(found, findings)))
        config = encode_snapshot(snapshot)
        packed_bytes = len(config) + sum(descriptor.size for descriptor in content.values())
        check(found, store, snapshot, config, content, wanted.name, size_limit=wanted.size_limit, budget=wanted.budget)
        published = batch.publish(config, content, wanted.name)
        layers.save()
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


def _compile(
    found: Survey, store: Store, wanted: _Wanted, stack: ExitStack, progress: Progress | None
) -> list[Finding]:
    """Complete the plans' bytecode, or reduce it to what was asked for and complete that."""
    sources = None
    if wanted.imports is not None:
        sources = sources_of(found, wanted.imports)
        keep_only(found, sources)
    elif wanted.bytecode != "compile":
        return []
    total = _sources(found) if sources is None else len(sources)
    return compile_missing(found, _directory(store, stack), cores(), counter("compile", progress, total), sources)


def _beside(store: Store, wanted: _Wanted, stack: ExitStack) -> tuple[list[Plan], list[Finding]]:
    """Plans for what is captured with the environment and is no part of it."""
    plans: list[Plan] = []
    findings: list[Finding] = []
    if wanted.model is not None:
        plan, findings = plan_model(wanted.model)
        plans.append(plan)
    if wanted.notes:
        plans.append(plan_notes(wanted.notes, _directory(store, stack)))
    return plans, findings


def _directory(store: Store, stack: ExitStack) -> str:
    """An empty directory that lasts as long as the capture."""
    os.makedirs(store.cache, exist_ok=True)
    return stack.enter_context(scratch(os.fspath(store.cache)))


def _sources(found: Survey) -> int:
    return sum(item.path.endswith(".py") for plan in found.plans if plan.stored for item in plan.items)


def _small(batch: Batch, data: bytes, media_type: str, content: Digest) -> Descriptor:
    digest, size = batch.put(pack_small(data))
    return Descriptor(media_type, digest, size, {CONTENT: content})


class _Layers:
    """Packs all plans, taking what the store has. `content` maps each content digest to its blob."""

    def __init__(
        self,
        found: Survey,
        beside: Sequence[Plan],
        store: Store,
        batch: Batch,
        name: str | None,
        started: float,
        progress: Progress | None,
        *,
        deltas: bool,
    ) -> None:
        self._survey = found
        self._plans = [*found.plans, *beside]
        self._store = store
        self._batch = batch
        self._newest = started - TICK
        self._have: Mapping[Digest, Descriptor] = store.contents()
        self._lineage = Lineage(store, name, self._have)
        self._facts = assemble.facts_of(found)
        self._hasher = assemble.SourceHasher(found.python)
        self._total = sum(plan.bytes for plan in self._plans)
        self._advance = counter("capture", progress, self._total)
        # In an empty store there is nothing to make a delta against, and a layer is compressed while it is read.
        self._deltas = deltas and bool(store.references())
        self._encoder: Encoder | None = None
        self._stamps = Stamps(store.cache, found.prefix)
        self._memory = Memory(store.cache, found.prefix)
        #: Those of the plans whose files the facts are made from.
        self._marks: list[str | None] = []
        self.content: dict[Digest, Descriptor] = {}

    def pack_all(self) -> list[tuple[Layer, tuple[Finding, ...]]]:
        with ThreadPoolExecutor(cores()) as segments, ThreadPoolExecutor(cores()) as pool, self._hasher:
            if self._deltas:
                self._encoder = Encoder(self._store, self._have, self._lineage, segments)
            packed = list(pool.map(self._one, items_by_size(self._plans)))
        self._advance(self._total)  # templates have other sizes than their files: the last step is the whole
        return packed

    def _one(self, plan: Plan) -> tuple[Layer, tuple[Finding, ...]]:
        key = f"{plan.kind}|{plan.name}|{plan.version}|{plan.mount}"
        mark = stamp(plan, self._facts, self._newest)
        if plan.kind not in BESIDE:
            self._marks.append(mark)
        before = self._stamps.find(key, mark)
        if before is not None and self._take(plan, before[0]):
            self._advance(plan.bytes)
            return before
        packed = self._pack(plan)
        self._stamps.add(key, mark, packed.layer, packed.findings)
        return packed.layer, packed.findings

    def facts(
        self, packed: Sequence[tuple[Layer, object]], findings: Sequence[Finding], wanted: _Wanted
    ) -> tuple[Facts, tuple[Finding, ...]]:
        """What is known of the environment beyond its files, once all of them are packed; and what of it could not be found out."""
        return collect(
            self._survey,
            [layer for layer, _ in packed],
            findings,
            variables=wanted.variables,
            key=None if wanted.variables is None else self._store.variables_key(make=True),
            fingerprint=wanted.fingerprint,
            stamps=self._marks,
            memory=self._memory,
        )

    def note(self, content: dict[Digest, Descriptor], media_type: str, data: bytes) -> None:
        """Add a document that is no layer's to the blobs of the snapshot; one that the store has is not written again."""
        digest = digest_of(data)
        known = self._have.get(digest)
        if known is None or known.media_type != media_type or not self._store.has(known.digest):
            known = _small(self._batch, data, media_type, digest)
        content[digest] = known

    def save(self) -> None:
        """Keep what the next capture can use."""
        self._stamps.save()
        self._memory.save()

    def _take(self, plan: Plan, layer: Layer) -> bool:
        """Whether the store has the layer, with what its deltas need: then its blobs are used."""
        if not plan.stored or layer.tree == assemble.EMPTY_TREE:
            return True
        try:
            needed = [layer.diff_id, layer.tree, *bases(self._have, layer.diff_id)]
            blobs = {content: self._have[content] for content in needed}
        except (KeyError, SnapshotError):
            return False  # not all of it is there: it is packed anew
        if not all(self._store.has(blob.digest) for blob in blobs.values()):
            return False
        self.content.update(blobs)
        return True

    def _pack(self, plan: Plan) -> Packed:
        context = assemble.context_of(self._survey, self._hasher, self._advance)
        if not plan.stored:
            return pack(plan, context, lambda: None)
        if self._lineage.knows(plan.kind, plan.name, plan.version):
            # Reading twice what did change costs less than compressing what did not.
            packed = pack(plan, replace(context, advance=lambda _: None), lambda: None)
            if self._take(plan, packed.layer):
                self._advance(plan.bytes)
                return packed
        return self._delta(plan, context) if self._encoder else self._full(plan, context)

    def _full(self, plan: Plan, context: Context) -> Packed:
        """Compress a layer while it is read."""
        blobs: list[tuple[StagedBlob, Compressor]] = []

        def sink() -> Compressor:
            blob = self._batch.blob()
            blobs.append((blob, Compressor(blob, plan.bytes)))
            return blobs[-1][1]

        packed = pack(plan, context, sink)
        if not self._take(plan, packed.layer):
            blob, compressor = blobs[-1]
            compressor.close()
            diff_id = packed.layer.diff_id
            self._enter(packed, {diff_id: Descriptor(LAYER_TYPE, *blob.close(), {CONTENT: diff_id})})
        return packed

    def _delta(self, plan: Plan, context: Context) -> Packed:
        """Keep a layer's tar at hand until it is known what it is to be compared with."""
        encoder = self._encoder
        assert encoder is not None  # noqa: S101
        with ExitStack() as tars:
            made: list[Tar] = []

            def sink() -> Tar:
                made.append(tars.enter_context(Tar(encoder.directory)))
                return made[-1]

            packed = pack(plan, context, sink)
            if not self._take(plan, packed.layer):
                self._enter(packed, encoder.encode(packed.layer, packed.tree, made[-1], self._batch))
        return packed

    def _enter(self, packed: Packed, blobs: Mapping[Digest, Descriptor]) -> None:
        """Note a new layer's blobs, and store its tree."""
        tree = packed.layer.tree
        self.content.update(blobs)
        self.content[tree] = _small(self._batch, packed.encoded_tree, TREE_TYPE, tree)
