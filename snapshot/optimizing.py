"""Optimize: encode what the store has anew, so that it takes less room and the newest snapshots are restored as fast as ever.

Nothing is changed in place. New blobs are written, then manifests that use them take the place of the old ones in the index by one
rename, and only then the blobs that nobody needs any more are deleted. A snapshot's id does not depend on how its layers
are encoded, and a reader that finds a blob gone looks where its content is now (`tars.Tars`).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from snapshot.arrangement import Group, groups_of
from snapshot.codec import BEST, BETTER, DamagedLayerError
from snapshot.errors import SnapshotError
from snapshot.prefix import THOROUGH
from snapshot.progress import counter
from snapshot.recoding import Pass, Recoder
from snapshot.store.batch import BlobsVanishedError
from snapshot.store.errors import MissingBlobError
from snapshot.store.manifest import DELTA_TYPE, LAYER_TYPE
from snapshot.store.reading import DamagedBlobError
from snapshot.tars import UNREADABLE, bases
from snapshot.threads import pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from snapshot.digest import Descriptor, Digest
    from snapshot.model import Snapshot
    from snapshot.progress import Progress
    from snapshot.store.batch import Batch
    from snapshot.store.manifest import Manifest, Reference
    from snapshot.store.store import Store

#: Bytes of tars after which what was done is published: so much work is lost at most when the command is killed.
_ROUND = 1 << 30


@dataclass(frozen=True, slots=True)
class Optimized:
    """What `optimize` did. `before` and `after` are the bytes of all blobs that snapshots need; `layers` were encoded anew;
    `complete` is false when the time was over, or another process changed the store, before everything was done. `problems` says
    what could not be read and was left as it was.
    """

    before: int
    after: int
    layers: int
    complete: bool
    problems: tuple[str, ...]
    seconds: float

    @property
    def saved(self) -> int:
        return self.before - self.after


#: The first gains most, in little time; the second takes the rest.
_PASSES = (Pass("arrange", 1, BETTER, THOROUGH), Pass("compress", 2, BEST, THOROUGH))


def optimize(
    store: Store,
    *,
    max_time: float | None = None,
    target_size: int | None = None,
    progress: Progress | None = None,
) -> Optimized:
    """Encode the layers of all snapshots anew: the newest ones whole and compressed harder, older ones as deltas against them.

    `max_time` (seconds): begin nothing new after that. `target_size` (bytes of all blobs): stop when the store is no larger.
    It may be interrupted at any moment, and repeated: what was done well before is not done again. Raises StoreError, NoSpaceError, RecodingError.
    """
    begin = time.perf_counter()
    work = _Work(store, None if max_time is None else begin + max_time, target_size)
    before = work.size
    for each in _PASSES:
        work.run(each, work.groups(), progress)
    return Optimized(before, work.size, work.layers, work.complete, tuple(work.problems), time.perf_counter() - begin)


class _Work:
    """The snapshots of a store, and which blob holds each of their layers."""

    def __init__(self, store: Store, deadline: float | None, target: int | None) -> None:
        self._store = store
        self._deadline = deadline
        self._target = target
        self.layers = 0
        self.problems: list[str] = []
        self.complete = True
        self._load()

    def _load(self) -> None:
        self._snapshots: list[tuple[Reference, Manifest, Snapshot]] = []
        for reference in self._store.references():
            # What cannot be read stays as it is; `check` says what is wrong with it.
            with suppress(SnapshotError):
                found = (reference, self._store.manifest(reference), self._store.snapshot(reference))
                self._snapshots.append(found)
        self._blobs: dict[Digest, Descriptor] = {}
        for _, manifest, _ in self._snapshots:
            # Of several encodings that of the newest snapshot.
            self._blobs.update(manifest.content)
        self.size = self._measure()

    def _measure(self) -> int:
        blobs = {blob.digest: blob.size for _, manifest, _ in self._snapshots for blob in manifest.content.values()}
        blobs.update({manifest.config.digest: manifest.config.size for _, manifest, _ in self._snapshots})
        manifests = {reference.manifest.digest: reference.manifest.size for reference, _, _ in self._snapshots}
        return sum(blobs.values()) + sum(manifests.values())

    def groups(self) -> list[Group]:
        return groups_of([snapshot.layers for _, _, snapshot in self._snapshots])

    def run(self, how: Pass, groups: Iterable[Group], progress: Progress | None) -> None:
        """One pass, in rounds: each is published when it is done. A group is done as a whole: half of one would take more
        room than before.
        """
        todo = list(groups)
        advance = counter(how.stage, progress, sum(group.size for group in todo))
        with pools(2) as threads:
            pool, heavy = threads.executors
            while todo and not self._reached():
                taken = _round(todo)
                with self._store.begin() as batch:
                    recoder = Recoder(self._store, self._blobs, batch, how, heavy, threads.watched)
                    whole = self._whole()
                    one = partial(self._group, recoder, whole, advance)
                    changed: dict[Digest, Descriptor] = {}
                    for found in pool.map(one, taken):
                        changed.update(found)
                    self._publish(batch, changed)

    def _group(
        self, recoder: Recoder, whole: set[Digest], advance: Callable[[int], None], group: Group
    ) -> dict[Digest, Descriptor]:
        """What is different for one group. None of it when the time is over, or when something of it cannot be read."""
        if self._deadline is not None and time.perf_counter() > self._deadline:
            self.complete = False
            return {}
        # What was removed since the pass began is nobody's any more.
        left = tuple(layer for layer in group.layers if layer.diff_id in self._blobs)
        advance(group.size - sum(layer.size for layer in left))
        if not left:
            return {}
        try:
            found = recoder.group(Group(left), whole, advance)
        except UNREADABLE as error:
            self._problem(error)
            return {}
        return {diff_id: blob for diff_id, blob in found.items() if blob != self._blobs[diff_id]}

    def _whole(self) -> set[Digest]:
        """Layers of the newest snapshot of each name that are stored whole: they stay so, for their restore."""
        newest = {(reference.name or "").partition("/")[0]: snapshot for reference, _, snapshot in self._snapshots}
        own = {layer.diff_id for snapshot in newest.values() for layer in snapshot.layers}
        return {diff_id for diff_id in own if diff_id in self._blobs and self._blobs[diff_id].media_type != DELTA_TYPE}

    def _publish(self, batch: Batch, changed: Mapping[Digest, Descriptor]) -> None:
        """Write the manifests that `changed` makes different, and look at what the store then has."""
        manifests, problems = renewed(self._store, self._snapshots, {**self._blobs, **changed}, changed.values())
        for problem in problems:
            self._problem(problem)
        if not manifests:
            return
        try:
            if batch.rewrite(manifests):
                self.layers += sum(blob.digest != self._blobs[diff_id].digest for diff_id, blob in changed.items())
        except BlobsVanishedError:
            self.complete = False  # another process has encoded or collected what this one built upon
        self._load()

    def _problem(self, error: SnapshotError) -> None:
        if str(error) not in self.problems:
            self.problems.append(str(error))

    def _reached(self) -> bool:
        return self._target is not None and self.size <= self._target


def _round(todo: list[Group]) -> list[Group]:
    """Take from `todo` what is encoded before the next time that something is published."""
    taken = [todo.pop(0)]
    while todo and sum(group.size for group in taken) + todo[0].size <= _ROUND:
        taken.append(todo.pop(0))
    return taken


def renewed(
    store: Store,
    snapshots: Iterable[tuple[Reference, Manifest, Snapshot]],
    blobs: Mapping[Digest, Descriptor],
    staged: Iterable[Descriptor],
) -> tuple[dict[Digest, Manifest], list[SnapshotError]]:
    """The manifests that are different when the layers are in `blobs`, by the digest of the old ones; and why others, which
    would be too, keep what they have. `staged` are blobs that are not in the store yet.
    """
    manifests: dict[Digest, Manifest] = {}
    problems: list[SnapshotError] = []
    sound = {blob.digest for blob in staged}
    for reference, manifest, snapshot in snapshots:
        try:
            content = _content(manifest, snapshot, blobs)
            if content != manifest.content:
                _check(store, content, sound)
                manifests[reference.manifest.digest] = replace(manifest, content=content)
        except (MissingBlobError, DamagedBlobError, DamagedLayerError) as error:
            problems.append(error)
    return manifests, problems


def _check(store: Store, content: Mapping[Digest, Descriptor], sound: set[Digest]) -> None:
    """See that all of a manifest is there: it is not written anew otherwise. `sound` are blobs of which that is known."""
    for blob in content.values():
        if blob.digest not in sound:
            found = store.backend.size(blob.digest)
            if found != blob.size:
                raise DamagedBlobError(
                    f"blob {blob.digest} in {store} is damaged: it has {found} bytes and not {blob.size}; "
                    "put a good copy in its place, or delete it and capture again"
                )
            sound.add(blob.digest)


def _content(manifest: Manifest, snapshot: Snapshot, blobs: Mapping[Digest, Descriptor]) -> dict[Digest, Descriptor]:
    """What a manifest must list: everything that is no layer as before, its own layers, and the bases that these need."""
    content = {each: blob for each, blob in manifest.content.items() if blob.media_type not in (LAYER_TYPE, DELTA_TYPE)}
    for layer in snapshot.layers:
        for diff_id in (layer.diff_id, *bases(blobs, layer.diff_id)):
            content[diff_id] = blobs[diff_id]
    return content
