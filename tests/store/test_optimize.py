"""`optimize` on stores of small layers: what every snapshot is stays the same, whatever is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snapshot import encoding, optimize, verify
from snapshot.encoding import DEPTH
from snapshot.recoding import RecodingError
from snapshot.store import Store
from snapshot.store.manifest import DELTA_TYPE, EFFORT, LAYER_TYPE
from snapshot.tars import Tars, bases
from tests.building import publish
from tests.deltas import as_delta
from tests.versions import fill, sound, tars, version


def depth(store):
    rows = [
        bases(store.manifest(each).content, layer.diff_id)
        for each in store.references()
        for layer in store.snapshot(each).layers
    ]
    return max(map(len, rows))


@pytest.fixture
def store(tmp_path):
    return fill(Store(tmp_path / "store"))


def test_nothing_but_the_encoding_changes(store):
    before = tars(store)
    done = optimize(store)
    assert tars(store) == before
    assert sound(store)
    assert done.complete
    assert done.problems == ()
    assert done.layers > 0


def test_what_was_whole_takes_less_room(tmp_path):
    store = fill(Store(tmp_path / "store"), deltas=False)
    done = optimize(store)
    stored = sum(store.backend.size(digest) for digest in store.backend.digests())
    assert stored == done.after < done.before / 2
    assert done.saved == done.before - done.after


def test_the_newest_is_whole_and_the_others_are_not(store):
    optimize(store)
    newest = store.manifest("m/3")
    layers = {layer.diff_id for layer in store.snapshot("m/3").layers}
    assert {newest.content[diff_id].media_type for diff_id in layers} == {LAYER_TYPE}
    assert not layers ^ {each for each, blob in newest.content.items() if blob.media_type == LAYER_TYPE}
    oldest = store.manifest("m/0")
    for layer in store.snapshot("m/0").layers:
        assert oldest.content[layer.diff_id].media_type == (LAYER_TYPE if layer.name == "same" else DELTA_TYPE)


def test_a_manifest_lists_what_its_deltas_need_and_no_more(store):
    optimize(store)
    for reference in store.references():
        content = store.manifest(reference).content
        layers = {layer.diff_id for layer in store.snapshot(reference).layers}
        needed = layers.union(*(bases(content, each) for each in layers))
        assert needed == {each for each, blob in content.items() if blob.media_type in {LAYER_TYPE, DELTA_TYPE}}


def test_many_versions_make_no_row_that_is_too_long(tmp_path):
    store = fill(Store(tmp_path / "store"), DEPTH + 4)
    before = tars(store)
    optimize(store)
    assert depth(store) == DEPTH
    assert tars(store) == before


def test_the_second_time_nothing_is_done(store):
    optimize(store)
    index, after = store.backend.read_index(), sorted(store.backend.digests())
    done = optimize(store)
    assert (done.layers, done.saved, done.complete) == (0, 0, True)
    assert store.backend.read_index() == index
    assert sorted(store.backend.digests()) == after


def test_what_is_captured_later_is_taken_in(store):
    optimize(store)
    publish(store, version("a", 9), version("b", 9), version("same", 0), name="m/9")
    before = tars(store)
    assert optimize(store).layers >= 2
    assert tars(store) == before
    newest = store.manifest("m/9").content
    assert {newest[layer.diff_id].media_type for layer in store.snapshot("m/9").layers} == {LAYER_TYPE}
    assert sound(store)


def test_no_time_changes_nothing(store):
    index, before = store.backend.read_index(), sorted(store.backend.digests())
    done = optimize(store, max_time=0)
    assert not done.complete
    assert (done.layers, done.saved) == (0, 0)
    assert store.backend.read_index() == index
    assert sorted(store.backend.digests()) == before


def test_a_target_that_is_reached_stops(tmp_path):
    store = fill(Store(tmp_path / "store"), deltas=False)
    size = optimize(store, target_size=1 << 40)
    assert (size.layers, size.saved) == (0, 0)
    done = optimize(store, target_size=size.before - 1)
    assert done.after <= size.before - 1
    assert sound(store)


def test_an_empty_store(tmp_path):
    store = Store(tmp_path / "store")
    done = optimize(store)
    assert (done.before, done.after, done.layers, done.complete) == (0, 0, 0, True)
    assert store.references() == ()


def blob_file(store, digest):
    return Path(store.backend.path, "blobs", "sha256", digest.hex)


HARM = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: (path.chmod(0o644), path.write_bytes(path.read_bytes()[:-1])),
    "flipped": lambda path: (path.chmod(0o644), path.write_bytes(path.read_bytes()[:-1] + b"\xff")),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_damaged_blob_leaves_its_group_alone(store, harm):
    content = store.manifest("m/0").content
    label = {layer.name: layer for layer in store.snapshot("m/0").layers}
    broken = content[label["a"].diff_id]
    harm(blob_file(store, broken.digest))
    done = optimize(store)
    assert any(broken.digest in problem for problem in done.problems)
    for reference in store.references():
        now = store.manifest(reference).content
        mine = {layer.name: layer for layer in store.snapshot(reference).layers}
        # What was damaged is still what it was: a good copy of the blob mends it.
        assert EFFORT not in now[mine["a"].diff_id].annotations
        reader = Tars(store, now)
        assert len(b"".join(map(bytes, reader.chunks(mine["b"].diff_id, "b")))) == mine["b"].size
    flipped = broken.digest in {problem.path for problem in store.check()}
    assert flipped


def test_a_blob_that_holds_another_tar_spoils_no_sound_layer(tmp_path):
    """What is wrong stays wrong, and what is right stays right: neither is encoded against the other."""
    store = Store(tmp_path / "store")
    right, wrong = version("a", 1), version("a", 2)
    wrong.blob = None
    lying = replace(wrong, tar=version("a", 3).tar)
    publish(store, right, name="m/1")
    publish(store, lying, name="m/2")
    done = optimize(store)
    assert any("is not " + wrong.layer.diff_id in problem for problem in done.problems)
    assert verify("m/1", store).problems == ()
    assert verify("m/2", store).problems


def test_a_damaged_manifest_hinders_no_other(store):
    before = tars(store)
    broken = publish(store, version("c", 1), name="broken")
    blob_file(store, store.resolve("broken").manifest.digest).unlink()
    assert broken.id
    assert optimize(store).layers > 0
    store.remove("broken")
    assert tars(store) == before
    store.collect()
    assert sound(store)


@pytest.mark.parametrize("effort", ["", "x", "-1", "9" * 400, "\u0663", "1.5"])
def test_annotations_of_others(tmp_path, effort):
    store = Store(tmp_path / "store")
    part = version("a", 1)
    part.notes[EFFORT] = effort
    publish(store, part, name="m/1")
    assert optimize(store).problems == ()
    assert sound(store)


def test_a_delta_that_names_no_base(store):
    before = tars(store)
    lying = as_delta(version("a", 1), version("c", 2))
    lying.notes.clear()
    publish(store, lying, name="broken", beside=[version("a", 1)])
    done = optimize(store)
    assert any("does not say what" in problem for problem in done.problems)
    store.remove("broken")
    assert tars(store) == before


def test_a_new_blob_that_does_not_give_its_layer_back_changes_nothing(store, monkeypatch):
    """Before the old blob goes the new one is read: here a compressor that takes the last byte for another."""
    before = store.backend.read_index()
    original = encoding.Prefix.pack

    def lying(prefix, data, effort):
        return original(prefix, bytes(data)[:-1] + b"?", effort)

    monkeypatch.setattr(encoding.Prefix, "pack", lying)
    with pytest.raises(RecodingError, match="what was written does not give it back, so the store was left as it is"):
        optimize(store)
    assert store.backend.read_index() == before
    assert sound(store)
