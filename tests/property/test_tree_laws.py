"""Laws of the JSON forms: what is written is read back, equal values have equal bytes, anything else is refused as a whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot.documents import FormatError, canonical, digest_of
from snapshot.errors import SnapshotError
from snapshot.model import Finding, Record
from snapshot.serialize import decode_record, decode_snapshot, decode_tree, encode_record, encode_snapshot, encode_tree
from snapshot.testing.samples import sample_snapshot

from .strategies import NAMES, TREES

law = settings(deadline=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=4) | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@law
@given(TREES)
def test_a_tree_is_read_back_as_it_was_written(tree):
    assert decode_tree(encode_tree(tree)) == tree


@law
@given(TREES)
def test_a_tree_has_one_form(tree):
    data = encode_tree(tree)
    assert encode_tree(decode_tree(data)) == data
    assert data.isascii()


@law
@given(TREES, TREES)
def test_two_trees_have_the_same_bytes_only_when_they_are_the_same(one, other):
    assert (encode_tree(one) == encode_tree(other)) == (one == other)


@law
@given(JSON)
def test_canonical_json_does_not_depend_on_the_order_of_keys(value):
    data = canonical(value)
    assert json.loads(data) == value
    assert canonical(_reversed(value)) == data
    assert canonical(json.loads(data)) == data


def _reversed(value):
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_has_no_infinities(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(value)


def read_or_error(read, data):
    """What was read, or the message of our own error."""
    try:
        return read(data), ""
    except FormatError as error:
        return None, str(error)


@law
@given(TREES.filter(len), st.data())
def test_any_other_json_in_place_of_a_tree_is_a_tree_or_an_error_of_ours(tree, data):
    """Whatever is put in place of a part, the reader either refuses it by its own error or has a tree that it would write."""
    document = json.loads(encode_tree(tree))
    entry = data.draw(st.sampled_from(document["entries"]))
    entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(JSON)
    altered = json.dumps(document).encode("ascii")
    read, error = read_or_error(decode_tree, altered)
    if read is None:
        assert error.startswith("tree")
    else:
        assert decode_tree(encode_tree(read)) == read


@law
@given(st.sets(st.sampled_from(["numpy", "scipy", "pandas"])), st.data())
def test_any_other_json_in_place_of_a_config_is_a_config_or_an_error_of_ours(names, data):
    document = json.loads(encode_snapshot(sample_snapshot(names)))
    target = document
    while True:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if not isinstance(target[key], (dict, list)) or data.draw(st.booleans()):
            target[key] = data.draw(JSON)
            break
        target = target[key]
    read, error = read_or_error(decode_snapshot, json.dumps(document).encode("ascii"))
    if read is None:
        assert error.startswith("config")
    else:
        assert decode_snapshot(encode_snapshot(read)) == read


@law
@given(st.binary(max_size=60))
def test_any_bytes_in_place_of_json_are_an_error_of_ours(data):
    for read in (decode_tree, decode_snapshot, decode_record):
        with pytest.raises(SnapshotError):
            read(data)


@law
@given(st.sets(st.text("abcdef", min_size=1, max_size=5), max_size=4))
def test_a_config_is_read_back_as_it_was_written(names):
    snapshot = sample_snapshot(names)
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


@law
@given(st.lists(st.builds(Finding, NAMES, NAMES, st.text(max_size=5))), NAMES, NAMES)
def test_a_record_is_read_back_as_it_was_written(findings, prefix, base):
    record = Record(tuple(findings), prefix, base, "tool")
    assert decode_record(encode_record(record)) == record


def test_the_digest_is_the_one_of_the_bytes():
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
