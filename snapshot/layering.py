"""Plans to layers in the store: what the store has is taken, the rest is packed and encoded. The middle of a capture."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot import assemble
from snapshot.codec import Frames, pack_small
from snapshot.digest import Descriptor, Digest
from snapshot.documents import digest_of
from snapshot.encoding import Encoder
from snapshot.errors import SnapshotError
from snapshot.facts.collect import collect
from snapshot.lineage import Lineage
from snapshot.model import BESIDE, Kind
from snapshot.pack import Packed, items_by_size, pack
from snapshot.stamps import Stamps, stamp
from snapshot.store.manifest import CONTENT, LAYER_TYPE, TREE_TYPE
from snapshot.tars import Tar, bases
from snapshot.threads import pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from snapshot.facts.collect import Ahead
    from snapshot.facts.model import Facts
    from snapshot.model import Finding, Layer
    from snapshot.pack import Context
    from snapshot.plan import Plan, Survey
    from snapshot.store.backend import StagedBlob
    from snapshot.store.batch import Batch
    from snapshot.store.store import Store


def _small(batch: Batch, data: bytes, media_type: str, content: Digest) -> Descriptor:
    digest, size = batch.put(pack_small(data))
    return Descriptor(media_type, digest, size, {CONTENT: content})


class Layers:
    """Packs plans. `content` maps each content digest to its blob. As a context manager: its threads end with the block."""

    def __init__(
        self,
        found: Survey,
        store: Store,
        batch: Batch,
        name: str | None,
        *,
        newest: float,
        deltas: bool,
        advance: Callable[[int], None],
        ahead: Ahead,
    ) -> None:
        """`newest`: files with a change time from here on (seconds) are too young for a stamp; `deltas` as in `capture`; `ahead` is
        what the facts have already.
        """
        self._survey = found
        self._store = store
        self._batch = batch
        self._newest = newest
        self._have: Mapping[Digest, Descriptor] = store.contents()
        self._lineage = Lineage(store, name, self._have)
        self._facts = assemble.facts_of(found)
        self._hasher = assemble.SourceHasher(found.python)
        self._advance = advance
        # In an empty store there is nothing to make a delta against, and a layer is compressed while it is read.
        self._deltas = deltas and bool(store.references())
        self._encoder: Encoder | None = None
        self._stamps = Stamps(store.cache, found.prefix)
        self._ahead = ahead
        self._stack = ExitStack()
        #: Those of the plans whose files the facts are made from.
        self._marks: list[str | None] = []
        self.content: dict[Digest, Descriptor] = {}

    def __enter__(self) -> Layers:
        with ExitStack() as stack:
            stack.enter_context(self._hasher)
            self._pool, segments = stack.enter_context(pools(2)).executors
            if self._deltas:
                self._encoder = Encoder(self._store, self._have, self._lineage, segments)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def pack(self, plans: Iterable[Plan]) -> list[tuple[Layer, tuple[Finding, ...]]]:
        """The layer of each plan, in the store, and what was noticed."""
        return list(self._pool.map(self._one, items_by_size(list(plans))))

    def _one(self, plan: Plan) -> tuple[Layer, tuple[Finding, ...]]:
        key = f"{plan.kind}|{plan.name}|{plan.version}|{plan.mount}"
        mark = stamp(plan, self._facts, self._newest)
        if plan.kind not in BESIDE:
            self._marks.append(mark)
        if (
            plan.kind is Kind.ENVIRONMENT
        ):  # compared with files of the base, which the stamp does not cover; it is little
            mark = None
        before = self._stamps.find(key, mark)
        if before is not None and self._take(plan, before[0]):
            self._advance(plan.bytes)
            return before
        packed = self._pack(plan)
        self._stamps.add(key, mark, packed.layer, packed.findings)
        return packed.layer, packed.findings

    def facts(
        self,
        packed: Sequence[Layer],
        findings: Sequence[Finding],
        *,
        variables: Mapping[str, str] | None,
        fingerprint: bool,
    ) -> tuple[Facts, tuple[Finding, ...]]:
        """What is known of the environment beyond its files, once all of them are packed; and what of it could not be found out."""
        return collect(
            self._survey,
            packed,
            findings,
            variables=variables,
            key=None if variables is None else self._store.variables_key(make=True),
            fingerprint=fingerprint,
            stamps=self._marks,
            memory=self._ahead.memory,
            probe=self._ahead.probe,
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
            # Reading twice what did change costs less than compressing what did not. The tar follows from the tree: where the
            # tree is known, so is the tar's digest.
            packed = pack(plan, replace(context, advance=lambda _: None), None)
            known = self._lineage.same(packed.layer)
            if known is not None and self._take(plan, known):
                self._advance(plan.bytes)
                return replace(packed, layer=known)
        return self._delta(plan, context) if self._encoder else self._full(plan, context)

    def _full(self, plan: Plan, context: Context) -> Packed:
        """Compress a layer while it is read."""
        blobs: list[StagedBlob] = []

        def sink() -> Frames:
            blobs.append(self._batch.blob())
            return Frames(blobs[-1], plan.bytes)

        try:
            packed = pack(plan, context, sink)
            if not self._take(plan, packed.layer):
                diff_id = packed.layer.diff_id
                self._enter(packed, {diff_id: Descriptor(LAYER_TYPE, *blobs.pop().close(), {CONTENT: diff_id})})
        finally:
            for blob in blobs:  # begun before a file changed, or of a layer that the store has after all
                blob.abandon()
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
