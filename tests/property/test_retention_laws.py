"""Laws of retention: whatever is captured, tagged, removed, retained and collected, in whatever order and at whatever time,
every snapshot that is referred to is whole, nothing goes before its time, and all goes after it.
"""

from __future__ import annotations

import time
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import snapshot
from snapshot.retention import is_tag
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import publish_sample, sample_snapshot

NAMES = st.sampled_from([None, "a", "a/1", "a/2", "a/v3", "a/live", "b/1"])
LAYERS = st.frozensets(st.sampled_from("uvwxyz"), max_size=3)
GRACES = st.sampled_from([0, 0.5, 60, 3600])


class Retention(RuleBasedStateMachine):
    """`needed` has, for each blob, the last time at which the index needed it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_700_000_000.0
        self._gmtime = time.gmtime
        self._patches = [
            mock.patch.object(time, "time", self._time),
            mock.patch.object(time, "gmtime", lambda *given: self._gmtime(*(given or [self.now]))),
        ]
        for patch in self._patches:
            patch.start()
        self.backend = MemoryBackend()
        self.store = snapshot.Store(self.backend)
        self.layers = {}
        self.needed = {}
        self.known = []

    def _time(self) -> float:
        return self.now

    def teardown(self) -> None:
        for patch in self._patches:
            patch.stop()

    @rule(seconds=st.sampled_from([0.25, 1, 59, 600, 3600, 90_000]))
    def wait(self, seconds):
        self.now += seconds

    @rule(name=NAMES, layers=LAYERS, encoding=st.integers(0, 1))
    def capture(self, name, layers, encoding):
        found = publish_sample(self.store, name, layers, encoding=encoding).reference
        self.layers[found.snapshot] = layers

    @rule()
    def look_what_is_there(self):
        self.known.append((self.now, dict(self.store.contents())))

    @precondition(lambda self: self.known)
    @rule(name=NAMES, layers=LAYERS)
    def capture_with_what_was_there(self, name, layers):
        found = publish_sample(self.store, name, layers, reuse=self.known.pop(0)[1]).reference
        self.layers[found.snapshot] = layers

    @precondition(lambda self: self.store.references())
    @rule(data=st.data())
    def remove(self, data):
        reference = data.draw(st.sampled_from(self.store.references()))
        same = [each for each in self.store.references() if each.snapshot == reference.snapshot]
        if reference.name or len(same) == 1:
            self.store.remove(reference.name or reference.snapshot)

    @precondition(lambda self: self.store.references())
    @rule(data=st.data(), name=NAMES.filter(lambda name: name is not None))
    def tag(self, data, name):
        before = {each.snapshot for each in self.store.references()}
        reference = data.draw(st.sampled_from(self.store.references()))
        assert self.store.tag(reference.snapshot, name).snapshot == reference.snapshot
        assert {each.snapshot for each in self.store.references()} == before

    @precondition(lambda self: any((each.name or "").startswith("a") for each in self.store.references()))
    @rule(
        keep_last=st.none() | st.integers(1, 3),
        older_than=st.none() | st.sampled_from([0, 600, 86400]),
        keep_tagged=st.booleans(),
    )
    def retain(self, keep_last, older_than, keep_tagged):
        if keep_last is None and older_than is None:
            older_than = 0
        before = self.store.references()
        done = snapshot.retain(self.store, "a", keep_last=keep_last, older_than=older_than, keep_tagged=keep_tagged)
        after = self.store.references()
        assert [each for each in before if each not in done.removed] == list(after)
        assert {each.name for each in done.removed} <= {"a", "a/1", "a/2", "a/v3", "a/live"}
        assert any((each.name or "").startswith("a") for each in after)
        if keep_last:
            versions = [each for each in before if each.name in {"a", "a/1", "a/2", "a/v3"}]
            assert set(map(id, versions[-keep_last:])) & set(map(id, done.removed)) == set()
            assert all(each in after for each in versions[-keep_last:])
        if keep_tagged:
            assert {each.name for each in before if is_tag(each.name)} <= {each.name for each in after}

    @rule(grace=GRACES, dry_run=st.booleans())
    def collect(self, grace, dry_run):
        before = dict(self.backend.blobs)
        done = snapshot.collect(self.store, grace=grace, dry_run=dry_run)
        gone = before.keys() - self.backend.blobs.keys()
        if dry_run:
            assert not gone
            return
        assert done.blobs == len(gone)
        assert done.bytes == sum(len(before[each]) for each in gone)
        assert all(self.now - self.needed[each] >= grace for each in gone)
        # The time of removal is rounded up to whole seconds, and so is the time that is told.
        left = [each for each in self.backend.blobs if self.needed[each] < self.now]
        assert all(grace > 0 and self.now - self.needed[each] < grace + 1 for each in left)
        assert (done.kept_until is None) == (done.kept_blobs == 0)
        assert done.kept_until is None or self.now < done.kept_until < self.now + grace + 2

    @invariant()
    def every_snapshot_is_whole(self):
        assert self.store.check() == ()
        for reference in self.store.references():
            assert self.store.snapshot(reference) == sample_snapshot(self.layers[reference.snapshot])
            manifest = self.store.manifest(reference)
            for each in (reference.manifest, manifest.config, *manifest.content.values()):
                self.needed[each.digest] = self.now


TestRetention = Retention.TestCase
TestRetention.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
