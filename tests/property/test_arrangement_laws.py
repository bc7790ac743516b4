"""Laws of the arrangement: whatever snapshots a store has, every layer can be read, and the newest at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snapshot.arrangement import Group, bases_of, groups_of
from snapshot.documents import digest_of
from snapshot.model import Kind, Layer

NAMES = st.sampled_from(["numpy", "scipy", "pandas"])
CONTENTS = st.integers(0, 12)


def layer(name, content):
    digest = digest_of(str(content).encode())
    return Layer(Kind.DISTRIBUTION, name, "1.0", "", digest, digest, 1, content * 1000, None)


#: Snapshots, the oldest first: layers by name, and some with the content that another name has.
STORES = st.lists(st.dictionaries(NAMES, CONTENTS).map(lambda rows: [layer(*row) for row in rows.items()]), max_size=14)


def chosen(group, draw):
    return set(draw(st.sets(st.sampled_from([layer.diff_id for layer in group.layers]))))


@given(STORES)
def test_each_content_is_in_one_group_and_the_newest_is_first(snapshots):
    groups = groups_of(snapshots)
    members = [layer.diff_id for group in groups for layer in group.layers]
    assert sorted(members) == sorted({layer.diff_id for layers in snapshots for layer in layers})
    assert [group.size for group in groups] == sorted((group.size for group in groups), reverse=True)
    for group in groups:
        assert len({layer.name for layer in group.layers}) == 1
        assert group.size == sum(layer.size for layer in group.layers)
        last = [newest_use(snapshots, layer) for layer in group.layers]
        assert last == sorted(last, reverse=True)


def newest_use(snapshots, wanted):
    return max(number for number, layers in enumerate(snapshots) if wanted in layers)


@given(STORES, st.integers(1, 4), st.data())
def test_every_row_of_deltas_is_bounded_and_ends_at_a_whole_layer(snapshots, depth, data):
    for group in groups_of(snapshots):
        whole = chosen(group, data.draw)
        pairs = list(bases_of(group, whole, depth))
        assert [layer for layer, _ in pairs] == list(group.layers)
        assert pairs[0] == (group.layers[0], None)
        rows = {}
        for layer, base in pairs:
            # A base comes before what needs it: so there is no circle.
            rows[layer.diff_id] = 0 if base is None else rows[base.diff_id] + 1
            assert rows[layer.diff_id] <= depth
            if layer.diff_id in whole:
                assert base is None


@given(STORES, st.integers(1, 4), st.data())
def test_what_is_arranged_once_stays_so(snapshots, depth, data):
    """A layer that an arrangement made whole may be in `whole` the next time: that changes nothing."""
    for group in groups_of(snapshots):
        whole = chosen(group, data.draw)
        first = list(bases_of(group, whole, depth))
        again = whole | {layer.diff_id for layer, base in first if base is None}
        assert list(bases_of(group, again, depth)) == first


def test_a_row_that_is_full_begins_again_at_the_whole_layer():
    group = Group(tuple(layer("numpy", content) for content in range(6)))
    numbers = {each.diff_id: number for number, each in enumerate(group.layers)}
    found = [None if base is None else numbers[base.diff_id] for _, base in bases_of(group, (), 2)]
    assert found == [None, 0, 1, 0, 3, 0]
