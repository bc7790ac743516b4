"""The size limit and the budget: what they count, and that nothing is published over them."""

from __future__ import annotations

import pytest

import snapshot
from snapshot import BudgetError, SizeLimitError
from snapshot.pending import pending_name
from snapshot.store import UnknownSnapshotError

MORE = bytes(range(256)) * 40


@pytest.fixture
def site(environment):
    return next(environment.glob("lib/python*/site-packages"))


@pytest.fixture
def take(environment, store):
    """Captures without the interpreter, so that sizes are small."""

    def take(name, **options):
        return snapshot.capture(environment, store, name=name, interpreter=False, **options)

    return take


def blobs(tmp_path):
    return {path.name: path.stat().st_size for path in (tmp_path / "store/blobs/sha256").iterdir()}


def test_the_budget_is_what_all_versions_have_together(take, site, store, tmp_path):
    take("churn/1")
    (site / "thing" / "more.bin").write_bytes(MORE)
    take("churn")
    take("other/1")
    (site / "thing" / "more.bin").write_bytes(MORE + b"!")
    needed = take("churn/3").added_bytes + snapshot.growth("churn", store).versions[1].total_bytes
    assert sum(blobs(tmp_path).values()) == needed  # `other` has nothing of its own
    store.remove("churn/3")
    snapshot.collect(store)
    before = blobs(tmp_path)
    with pytest.raises(BudgetError) as refused:
        take("churn/3", budget=needed - 1)
    assert not isinstance(refused.value, SizeLimitError)
    message = str(refused.value)
    assert message.startswith(
        f"all versions of churn would have {needed / 1e3:,.1f} kB, over the budget of {needed / 1e3:,.1f} kB; nothing"
    )
    assert "Changed most between versions: unowned" in message
    assert "optimize the store, or remove versions that are not needed any more; or raise budget" in message
    assert "\n" not in message
    versions = refused.value.excess.versions
    assert [each.name for each in versions.versions] == ["churn/1", "churn", "churn/3"]
    assert versions.total_bytes == needed
    assert refused.value.excess.problems == (message.partition("; nothing")[0],)
    assert blobs(tmp_path) == before
    assert {each.name for each in store.references()} == {"churn/1", "churn", "other/1"}
    take("churn/3", budget=needed)
    assert snapshot.growth("churn", store).total_bytes == needed


def test_what_is_being_registered_is_no_version_yet(take, site, store):
    """A registration that was killed must not take the room of those that are there."""
    take("churn/1")
    (site / "thing" / "more.bin").write_bytes(MORE)
    pending = pending_name("churn")
    needed = take(pending).added_bytes
    assert [each.name for each in snapshot.growth("churn", store).versions] == ["churn/1"]
    (site / "thing" / "more.bin").write_bytes(MORE[::-1] + b"!")
    room = snapshot.growth("churn", store).total_bytes + 2 * needed - 1
    assert take("churn/2", budget=room)


def test_both_are_reported_together(take, store):
    with pytest.raises(SizeLimitError) as refused:
        take("churn/1", size_limit=1000, budget=2000)
    assert isinstance(refused.value, BudgetError)
    assert isinstance(refused.value, ValueError)
    assert " over the limit of 1.0 kB, and all versions of churn would have " in str(refused.value)
    assert str(refused.value).endswith("or raise size_limit and budget")
    assert len(refused.value.excess.problems) == 2
    assert refused.value.excess.sizes.packed_bytes > 1000
    assert store.references() == ()


def test_without_a_name_there_is_no_budget(take):
    assert take(None, budget=1).name is None


def test_a_name_that_moves_leaves_its_old_snapshot_out_of_the_budget(take, site):
    size = take("prod").packed_bytes
    (site / "thing" / "data.bin").write_bytes(MORE)
    assert take("prod", budget=size).packed_bytes < size


def test_a_version_that_cannot_be_read_does_not_stop_a_capture(take, store, tmp_path):
    take("churn/1")
    manifest = tmp_path / "store/blobs/sha256" / store.resolve("churn/1").manifest.digest.hex
    manifest.unlink()
    take("churn/2")
    with pytest.raises(BudgetError):
        take("churn/2", budget=1)


def test_what_may_be_needed_by_something_is_not_called_needless(take, site, store):
    """A distribution without METADATA may require anything."""
    with pytest.raises(SizeLimitError) as refused:
        take("churn/1", size_limit=1)
    assert [each.what for each in refused.value.excess.sizes.savings if each.kind == "leaf"] == ["thing"]
    (site / "odd-1.0.dist-info").mkdir()
    (site / "odd-1.0.dist-info" / "RECORD").write_text("odd-1.0.dist-info/RECORD,,\n")
    with pytest.raises(SizeLimitError) as refused:
        take("churn/1", size_limit=1)
    assert refused.value.excess.sizes.savings == ()
    take("churn/1")
    assert snapshot.sizes("churn/1", store).savings == ()


def test_not_all_versions_are_read_for_every_capture(store, tmp_path, monkeypatch):
    """The cost of the budget does not grow with the number of versions, until it is used up."""
    from snapshot.budgeting import together
    from snapshot.sizing import version
    from snapshot.testing.samples import publish_sample

    read = []
    manifest = snapshot.Store.manifest
    monkeypatch.setattr(snapshot.Store, "manifest", lambda self, each: read.append(each) or manifest(self, each))
    counts = []
    for number in range(12):
        reference = publish_sample(store, f"churn/{number}", ["always", f"only in {number}"]).reference
        new = version(store, reference)
        read.clear()
        total = together(store, reference.name, new, 10**9)
        counts.append(len(read))
    assert counts[2:] == [2] * 10  # the one before it, which is new, and the one before that
    assert total == snapshot.growth("churn", store).total_bytes
    read.clear()
    assert together(store, "churn/11", new, total - 1) == total
    assert len(read) == 11 + 1
    damaged = tmp_path / "store/cache/budgets/churn.json"
    for content in (
        b"",
        b"[]",
        b'{"bytes":-1,"covered":[]}',
        b'{"bytes":1,"covered":[1]}',
        b'{"bytes":true,"covered":[]}',
    ):
        damaged.write_bytes(content)
        assert together(store, "churn/11", new, 10**9) == total


def test_sizes_of_a_snapshot(take, store):
    captured = take("churn/1")
    found = snapshot.sizes("churn", store)
    manifest = store.manifest("churn/1")
    assert (found.name, found.snapshot) == ("churn/1", captured.snapshot)
    assert found.packed_bytes == captured.packed_bytes == manifest.packed_bytes
    assert found.raw_bytes == captured.raw_bytes
    assert {each.layer.name: each.packed_bytes for each in found.layers}["thing"] == next(
        manifest.content[layer.diff_id].size for layer in store.snapshot("churn").distributions
    )
    assert found.base_bytes == 0
    assert not any(each.delta for each in found.layers)
    # The requirements were read from the stored layer.
    assert [(each.kind, each.what) for each in found.savings] == [("leaf", "thing")]


def test_growth_of_a_name(take, site, store):
    first = take("churn/1")
    (site / "thing" / "more.bin").write_bytes(MORE)
    second = take("churn/2")
    again = take("churn/3")
    grown = snapshot.growth("churn", store)
    assert snapshot.growth("churn/2", store) == grown
    assert [(each.name, each.packed_bytes, each.added_bytes) for each in grown.versions] == [
        ("churn/1", first.packed_bytes, first.packed_bytes),
        ("churn/2", second.packed_bytes, second.added_bytes),
        ("churn/3", again.packed_bytes, 0),
    ]
    (thing,) = [each for each in grown.growth if each.name == "unowned"]
    assert thing.versions == 1


def test_growth_of_what_is_no_name(take, store):
    captured = take(None)
    with pytest.raises(UnknownSnapshotError, match=r"is a snapshot in .*, and not the name of any; it has no versions"):
        snapshot.growth(captured.snapshot, store)
    with pytest.raises(UnknownSnapshotError, match="no snapshot 'nope' in"):
        snapshot.growth("nope", store)
