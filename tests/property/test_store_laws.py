"""Laws of the store: publishing is idempotent, nothing that a reference reaches is ever lost, ids are found by prefix."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.store import AmbiguousSnapshotError, InvalidNameError, Store, UnknownSnapshotError, check_name
from snapshot.store.manifest import (
    CONFIG_TYPE,
    CONTENT,
    EMPTY,
    MANIFEST_TYPE,
    Index,
    Reference,
    Row,
    decode_index,
    decode_manifest,
    encode_manifest,
    encode_reference,
    reference_of,
    with_reference,
)
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import publish_sample, sample_snapshot

#: How long an example takes says more about the machine than about the store.
law = settings(deadline=None)

NAMES = st.sampled_from([None, "a", "a/1", "a/2", "b"])
LAYERS = st.frozensets(st.sampled_from("uvwxyz"), max_size=3)
DIGESTS = st.binary(max_size=4).map(digest_of)
# Any text that JSON can hold, lone surrogates among it.
TEXT = st.text(st.characters(), max_size=12)
DESCRIPTORS = st.builds(
    Descriptor, TEXT, DIGESTS, st.integers(0, 2**63), st.dictionaries(TEXT.filter(lambda key: key != CONTENT), TEXT)
)
REFERENCES = st.builds(
    Reference,
    st.none() | st.from_regex(r"[a-z]{1,3}(/[0-9])?", fullmatch=True),
    DIGESTS,
    st.builds(Descriptor, st.just(MANIFEST_TYPE), DIGESTS, st.integers(0, 2**40)),
    st.sampled_from(["", "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"]),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FOREIGN_ROWS = st.builds(
    lambda beside, digest, size: {**beside, "mediaType": "text/plain", "digest": digest, "size": size},
    st.dictionaries(TEXT.filter(lambda key: key != "annotations"), ANYTHING, max_size=3),
    DIGESTS | st.just("sha512:00"),
    st.integers(0, 2**40),
)


def by_annotation(row: Row):
    return row.snapshot


@law
@given(NAMES, LAYERS, st.lists(st.tuples(NAMES, LAYERS), max_size=4))
def test_publishing_is_idempotent(name, layers, others):
    backend = MemoryBackend()
    store = Store(backend)
    for other, more in others:
        publish_sample(store, other, more)
    first = publish_sample(store, name, layers)
    blobs, index = dict(backend.blobs), backend.index
    again = publish_sample(store, name, layers)
    assert again.added_bytes == 0
    assert again.reference == first.reference
    assert (backend.blobs, backend.index) == (blobs, index)


@law
@given(
    DESCRIPTORS.map(lambda each: Descriptor(CONFIG_TYPE, each.digest, each.size)), st.dictionaries(DIGESTS, DESCRIPTORS)
)
def test_manifest_round_trip(config, content):
    data = encode_manifest(config, content)
    manifest = decode_manifest(data)
    assert manifest.config == config
    assert manifest.content.keys() == content.keys()
    assert encode_manifest(manifest.config, manifest.content) == data


@law
@given(
    st.dictionaries(TEXT.filter(lambda key: key not in ("schemaVersion", "manifests")), ANYTHING, max_size=3),
    st.lists(REFERENCES.map(lambda each: dict(encode_reference(each).raw)) | FOREIGN_ROWS, max_size=5),
)
def test_index_round_trip(beside, rows):
    index = Index({**beside, "schemaVersion": 2}, tuple(Row(row, None) for row in rows))
    decoded = decode_index(index.encode())
    assert decoded.encode() == index.encode()
    assert [row.raw for row in decoded.rows] == rows


@law
@given(REFERENCES)
def test_reference_round_trip(reference):
    (row,) = decode_index(Index(EMPTY.raw, (encode_reference(reference),)).encode()).rows
    found = reference_of(row, row.snapshot)
    assert (found.name, found.snapshot, found.created) == (reference.name, reference.snapshot, reference.created)
    assert found.manifest.digest == reference.manifest.digest


@law
@given(st.lists(REFERENCES, max_size=8))
def test_taking_a_name_loses_no_snapshot(references):
    index = EMPTY
    for number, reference in enumerate(references, 1):
        index, found = with_reference(index, reference, by_annotation)
        assert {row.snapshot for row in index.rows} == {each.snapshot for each in references[:number]}
        assert found.snapshot == reference.snapshot
        assert found.manifest.digest == reference.manifest.digest
        names = [row.name for row in index.rows if row.name]
        assert len(names) == len(set(names))
        unnamed = [row.snapshot for row in index.rows if not row.name]
        assert len(unnamed) == len(set(unnamed))


@law
@given(st.lists(REFERENCES, max_size=8), FOREIGN_ROWS)
def test_publishing_keeps_the_rows_of_others(references, foreign):
    index = decode_index(Index(EMPTY.raw, (Row(foreign, None),)).encode())
    for reference in references:
        index, _ = with_reference(index, reference, lambda row: None if row.foreign else row.snapshot)
    assert index.rows[0].raw == foreign
    assert sum(row.foreign for row in index.rows) == 1


@law
@given(st.sets(LAYERS, min_size=1, max_size=6), st.data())
def test_prefix_means_one_snapshot_or_none(environments, data):
    store = Store(MemoryBackend())
    ids = [publish_sample(store, None, each).reference.snapshot for each in sorted(environments, key=sorted)]
    whole = data.draw(st.sampled_from(ids))
    text = whole.hex[: data.draw(st.integers(0, 64))]
    matching = {each for each in ids if each.hex.startswith(text)}
    asked = data.draw(st.sampled_from(["", "sha256:"])) + text
    if len(text) < 4:
        with pytest.raises(UnknownSnapshotError):
            store.resolve(asked)
    elif len(matching) > 1:
        with pytest.raises(AmbiguousSnapshotError):
            store.resolve(asked)
    else:
        assert store.resolve(asked).snapshot == whole


@law
@given(st.text(st.sampled_from("ab1-._:@+/ é"), max_size=8))
def test_name_is_accepted_or_refused_for_good(name):
    """A name that is accepted publishes, resolves to itself and can be removed."""
    try:
        check_name(name)
    except InvalidNameError:
        return
    store = Store(MemoryBackend())
    publish_sample(store, name, ["x"])
    assert store.resolve(name).name == name
    assert store.remove(name).name == name


class Interleaving(RuleBasedStateMachine):
    """Any order of captures (some begun before and published after others), removals and collections."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = MemoryBackend()
        self.store = Store(self.backend)
        self.expected = {}
        self.running = []

    @rule(name=NAMES, layers=LAYERS, encoding=st.integers(0, 1))
    def capture(self, name, layers, encoding):
        self._published(publish_sample(self.store, name, layers, encoding=encoding).reference, layers)

    @rule()
    def look_what_is_there(self):
        """A capture begins, and learns what it need not store."""
        self.running.append(self.store.contents())

    @precondition(lambda self: self.running)
    @rule(name=NAMES, layers=LAYERS)
    def capture_with_what_was_there(self, name, layers):
        published = publish_sample(self.store, name, layers, reuse=self.running.pop(0))
        self._published(published.reference, layers)

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def remove(self, data):
        snapshot = data.draw(st.sampled_from(sorted(self.expected)))
        for reference in self.store.references():
            if reference.snapshot == snapshot and reference.name:
                self.store.remove(reference.name)
        if any(each.snapshot == snapshot for each in self.store.references()):
            self.store.remove(snapshot)
        del self.expected[snapshot]

    @rule()
    def collect(self):
        self.store.collect(grace=0)

    @rule()
    def collect_when_everything_is_published(self):
        self.store.collect(grace=0)
        needed = set()
        for reference in self.store.references():
            manifest = self.store.manifest(reference)
            needed |= {reference.manifest.digest, manifest.config.digest}
            needed |= {each.digest for each in manifest.content.values()}
        if self.backend.index is not None:
            assert self.backend.blobs.keys() == needed

    @invariant()
    def every_snapshot_is_whole(self):
        assert {each.snapshot for each in self.store.references()} == self.expected.keys()
        for snapshot, layers in self.expected.items():
            assert self.store.snapshot(snapshot) == sample_snapshot(layers)
        assert self.store.check() == ()

    @invariant()
    def contents_are_there(self):
        for content, blob in self.store.contents().items():
            assert self.store.has(blob.digest)
            assert blob.annotations[CONTENT] == content

    def _published(self, reference, layers):
        self.expected[reference.snapshot] = layers


TestInterleaving = Interleaving.TestCase
TestInterleaving.settings = settings(law, max_examples=40, stateful_step_count=25)
