"""The law of the budget: whatever is remembered of earlier captures, it is over when the union of all blobs is, and only then."""

from __future__ import annotations

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.budgeting import together
from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.sizing import Version
from snapshot.store import Manifest, Store
from snapshot.store.manifest import CONFIG_TYPE, LAYER_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import publish_sample, sample_snapshot

law = settings(deadline=None)
NAMES = st.sampled_from([None, "a", "a/1", "a/2", "a/3", "ab/1", "b"])
LAYERS = st.frozensets(st.sampled_from("uvwxyz"), max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("publish"), NAMES, LAYERS, st.integers(0, 1)),
    st.tuples(st.just("remove"), NAMES.filter(bool), st.just(frozenset()), st.just(0)),
    st.tuples(st.just("ask"), st.sampled_from(["a", "a/1", "a/4", "b"]), LAYERS, st.sampled_from([0, 2500, 10**6])),
)


def version_of(store, layers):
    """A version that is not published. Layers that are stored have the blobs that they have there."""
    snapshot = sample_snapshot(layers)
    known = store.contents()
    content = {}
    for layer in snapshot.layers:
        unknown = Descriptor(LAYER_TYPE, digest_of(b"new " + layer.name.encode()), 300)
        content[layer.diff_id] = known.get(layer.diff_id, unknown)
    manifest = Manifest(Descriptor(CONFIG_TYPE, digest_of(repr(sorted(layers)).encode()), 50), content, 20)
    return Version("new", "", digest_of(b"manifest"), manifest, snapshot)


def union(store, name, new):
    family = name.partition("/")[0]
    blobs = {blob.digest: blob.size for blob in new.blobs()}
    for each in store.references():
        if each.name and each.name != name and each.name.partition("/")[0] == family:
            manifest = store.manifest(each)
            blobs[each.manifest.digest] = manifest.size
            blobs.update((blob.digest, blob.size) for blob in (manifest.config, *manifest.content.values()))
    return sum(blobs.values())


@law
@given(st.lists(STEPS, max_size=12))
def test_what_is_remembered_never_changes_the_answer(steps):
    with tempfile.TemporaryDirectory() as cache:
        store = Store(MemoryBackend(), cache=cache)
        for what, name, layers, number in steps:
            if what == "publish":
                publish_sample(store, name, layers, encoding=number, size=number * 200 + 100)
            elif what == "remove" and any(each.name == name for each in store.references()):
                store.remove(name)
            elif what == "ask":
                new = version_of(store, layers)
                exact = union(store, name, new)
                for budget in (number, exact - 1, exact):
                    found = together(store, name, new, budget)
                    assert (found > budget) is (exact > budget)
                    assert found >= exact
                    assert found == exact or found <= budget
                # Without anything to remember it with, it is the same.
                assert together(Store(store.backend), name, new, 0) == exact
