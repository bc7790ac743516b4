"""Laws of sizes: parts add up to the whole, versions to what the store holds; what is excluded is nowhere."""

from __future__ import annotations

import os
import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.excluding import Excludes, Matcher
from snapshot.scan import Found
from snapshot.sizing import Version, growth, members, versions_of, weigh
from snapshot.store import Manifest, Store
from snapshot.store.manifest import CONFIG_TYPE, LAYER_TYPE, RECORD_TYPE, TREE_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import publish_sample, sample_snapshot

from .strategies import PATHS

law = settings(deadline=None)
DELTA_TYPE = "application/vnd.envparity.layer.v1.delta+zstd"
LAYERS = st.frozensets(st.sampled_from("uvwxyz"), max_size=4)
#: Few digests, so that one blob is often the blob of several contents.
BLOBS = st.integers(0, 12).map(lambda number: (digest_of(b"%d" % number), number * 100))
KINDS = st.sampled_from([LAYER_TYPE, DELTA_TYPE])


@st.composite
def snapshots(draw):
    """A snapshot and a manifest of it, which has bases that no layer of the config is."""
    snapshot = sample_snapshot(draw(LAYERS))
    content = {digest_of(b"record"): Descriptor(RECORD_TYPE, *draw(BLOBS))}
    for layer in snapshot.layers:
        content[layer.diff_id] = Descriptor(draw(KINDS), *draw(BLOBS))
        content[layer.tree] = Descriptor(TREE_TYPE, *draw(BLOBS))
    for number in range(draw(st.integers(0, 3))):
        content[digest_of(b"base %d" % number)] = Descriptor(draw(KINDS), *draw(BLOBS))
    config = Descriptor(CONFIG_TYPE, digest_of(b"config"), 77)
    return snapshot, Manifest(config, content, 33)


@law
@given(snapshots())
def test_the_parts_of_a_snapshot_sum_to_what_an_empty_node_must_fetch(made):
    snapshot, manifest = made
    found = weigh(None, snapshot, manifest, ())
    assert sum(each.packed_bytes for each in found.layers) + found.base_bytes + found.other_bytes == found.packed_bytes
    assert found.packed_bytes == manifest.packed_bytes
    assert found.other_bytes >= 33 + 77
    assert {each.layer for each in found.layers} == set(snapshot.layers)
    packed = [each.packed_bytes for each in found.layers]
    assert packed == sorted(packed, reverse=True)


@law
@given(st.lists(snapshots(), max_size=4))
def test_every_blob_of_several_versions_is_brought_by_one_of_them(made):
    versions = [
        Version(f"a/{number}", "", digest_of(b"manifest %d" % number), manifest, snapshot)
        for number, (snapshot, manifest) in enumerate(made)
    ]
    sizes = {each.digest: each.manifest.size for each in versions}
    for each in versions:
        sizes[each.manifest.config.digest] = each.manifest.config.size
        sizes.update((blob.digest, blob.size) for blob in each.manifest.content.values())
    grown = versions_of("a", versions)
    assert grown.total_bytes == sum(sizes.values()) == sum(each.added_bytes for each in grown.versions)
    assert all(each.added_bytes <= each.packed_bytes for each in grown.versions)


def test_a_full_layer_counts_for_the_version_that_has_it_and_not_for_the_delta_that_needs_it():
    """As `optimize` leaves it: the newest version is full, and the older one is a delta against it."""
    old, new = (sample_snapshot([name]) for name in "uv")
    full = Descriptor(LAYER_TYPE, digest_of(b"full"), 1000)
    delta = Descriptor(DELTA_TYPE, digest_of(b"delta"), 10)
    content = {old.layers[0].diff_id: delta, new.layers[0].diff_id: full}
    rows = [
        Version(
            f"a/{number}",
            "",
            digest_of(name),
            Manifest(Descriptor(CONFIG_TYPE, digest_of(name + b"config"), 7), found, 3),
            snapshot,
        )
        for number, name, snapshot, found in (
            (1, b"old", old, content),
            (2, b"new", new, {new.layers[0].diff_id: full}),
        )
    ]
    grown = versions_of("a", rows)
    assert [(each.packed_bytes, each.added_bytes) for each in grown.versions] == [(1020, 20), (1010, 1010)]
    assert [(each.name, each.versions, each.added_bytes) for each in grown.growth] == [("v", 1, 1000)]
    weighed = weigh(None, old, rows[0].manifest, ())
    assert (weighed.layers[0].packed_bytes, weighed.layers[0].delta, weighed.base_bytes) == (10, True, 1000)


NAMES = st.sampled_from([None, "a", "a/1", "a/2", "ab/1"])


@law
@given(st.lists(st.tuples(NAMES, LAYERS, st.integers(0, 1)), max_size=6))
def test_the_versions_of_a_name_sum_to_the_union_of_their_blobs(published):
    backend = MemoryBackend()
    store = Store(backend)
    for name, layers, encoding in published:
        publish_sample(store, name, layers, encoding=encoding)
    for name in ("a", "ab"):
        references = members(name, store)
        if not references:
            assert versions_of(name, []).total_bytes == 0
            continue
        manifests = [store.manifest(each) for each in references]
        reached = {each.manifest.digest for each in references}
        reached |= {found.config.digest for found in manifests}
        reached |= {blob.digest for found in manifests for blob in found.content.values()}
        grown = growth(name, store)
        assert grown.total_bytes == sum(len(backend.blobs[digest]) for digest in reached)
        assert [each.packed_bytes for each in grown.versions] == [found.packed_bytes for found in manifests]
        assert grown.versions[0].added_bytes == grown.versions[0].packed_bytes
        running = 0
        for each in grown.versions:
            running += each.added_bytes
            assert each.total_bytes == running
            assert 0 <= each.added_bytes <= each.packed_bytes
        assert running == grown.total_bytes
        later = sum(each.added_bytes for each in grown.versions[1:])
        assert sum(each.added_bytes for each in grown.growth) <= later


FILE = os.stat_result((0o100644, 1, 1, 1, 0, 0, 10, 0, 0, 0))
DIRECTORY = os.stat_result((0o040755, 1, 1, 1, 0, 0, 4096, 0, 0, 0))
PATTERNS = st.lists(
    st.one_of(
        st.sampled_from(["*", "*.py", "a/*", "*/x", "lib", "?", "[ab]*", "*/b/*"]),
        PATHS.filter(lambda path: not path.startswith(("./", "../")) and path.strip("/")),
    ),
    max_size=3,
)


@law
@given(st.frozensets(PATHS, max_size=8), PATTERNS, st.frozensets(PATHS, max_size=2))
def test_what_is_excluded_is_nowhere_and_all_else_stays(paths, patterns, needed):
    leaves = {path for path in paths if not any(other.startswith(path + "/") for other in paths)}
    found = {path: Found(path, FILE) for path in leaves}
    for path in leaves:
        parent = posixpath.dirname(path)
        while parent:
            found[parent] = Found(parent, DIRECTORY)
            parent = posixpath.dirname(parent)
    left = Excludes(patterns).filter("", found, [], lambda path: path in needed).found
    matches = Matcher(patterns)
    files = {path for path in left if left[path].is_file}
    assert files == {path for path in leaves if path in needed or not matches(path)}
    # No directory is left that had something in it and has nothing any more.
    for path in left.keys() - files:
        assert any(other.startswith(path + "/") for other in left)
