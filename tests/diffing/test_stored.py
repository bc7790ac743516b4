"""Two stored snapshots compare as their descriptions in memory do, and only the trees of layers that differ are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing import compare
from diffing.errors import MissingTreeError
from diffing.observing import observe
from snapshot import Description, Store, load
from snapshot.documents import FormatError, canonical
from snapshot.model import Kind
from snapshot.serialize import decode_tree
from tests.building import as_given, built, file, link, publish

SAME = built(file("same.py", b"1"), kind=Kind.DISTRIBUTION, name="same")
TRAIN = (
    SAME,
    built(file("click/a.py", b"1"), file("click/b.py", b"1"), kind=Kind.DISTRIBUTION, name="click", version="1"),
    built(file("gone", b"1"), file("kept", b"1"), link("bin/x", "kept")),
)
SERVE = (
    SAME,
    built(file("click/a.py", b"1"), file("click/b.py", b"2"), kind=Kind.DISTRIBUTION, name="click", version="1"),
    built(file("kept", b"1", 0o755), file("new", b"1"), link("bin/x", "new")),
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def in_memory(stored, parts):
    return Description(stored.snapshot, {part.layer.tree: decode_tree(part.tree) for part in parts})


def test_stored_snapshots_compare_like_any_other(store):
    one, other = publish(store, *TRAIN, name="one"), publish(store, *SERVE, name="other")
    plain = in_memory(one, TRAIN), in_memory(other, SERVE)
    stored = load("one", store), load("other", store)
    diff = compare(*stored)
    assert diff == compare(*plain)
    assert len(diff.files) == 5
    assert observe(*stored, diff) == observe(*plain, compare(*plain))


def test_trees_of_equal_layers_are_not_read(store):
    publish(store, *TRAIN, name="one", without={SAME.layer.tree})
    publish(store, *SERVE, name="other", without={SAME.layer.tree})
    stored = load("one", store), load("other", store)
    assert observe(*stored, compare(*stored)).normalised == ()


def test_a_row_that_differs_and_is_wrong_is_refused(store):
    good = built(file("a", b"1"))
    bad = as_given((), b"", encoded=canonical({"schema": 1, "entries": [["../a", "f", 0o644, 1, "0" * 64]]}))
    bad.layer = replace(bad.layer, parity=good.layer.diff_id)
    publish(store, good, name="one")
    publish(store, bad, name="other")
    with pytest.raises(FormatError, match=r"entries\[0\]: unsafe path '\.\./a'"):
        compare(load("one", store), load("other", store))


def test_a_tree_that_is_not_there_is_named(store):
    one = publish(store, *TRAIN, name="one")
    other = publish(store, *SERVE, name="other")
    sides = in_memory(one, TRAIN), in_memory(other, SERVE[:1])
    with pytest.raises(MissingTreeError, match=r"^the description says that click 1 has the tree sha256:"):
        compare(*sides)
