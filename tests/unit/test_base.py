"""Which of the layers that the store has a delta is made against."""

from __future__ import annotations

from types import SimpleNamespace

from snapshot.encoding import Base, Encoder
from snapshot.model import Kind


def layer(name, size=1_000_000):
    return SimpleNamespace(diff_id=name, kind=Kind.DISTRIBUTION, name="thing", size=size)


def tree(**sizes):
    return [SimpleNamespace(sha256=sha256, size=size) for sha256, size in sizes.items()]


def base(name, row=(), own=500_000, size=1_000_000, **files):
    """`row`: the layers at the end of which there is a full blob; `own`: bytes of the blob."""
    sizes = [own, *([200_000] * len(row))]
    blobs = {each: SimpleNamespace(size=bytes_) for each, bytes_ in zip((name, *row), sizes, strict=True)}
    return Base(layer(name, size), tree(**files), blobs)


def chosen(monkeypatch, candidates, files, size=1_000_000):
    found = {each.layer.diff_id: each for each in candidates}
    lineage = SimpleNamespace(earlier=lambda kind, name: [each.layer for each in candidates], similar=lambda tree: [])
    monkeypatch.setattr(Encoder, "__init__", lambda self: None)
    monkeypatch.setattr(Encoder, "_usable", lambda self, each: found[each.diff_id])
    encoder = Encoder()
    monkeypatch.setattr(encoder, "_lineage", lineage, raising=False)
    best = encoder._base(layer("new", size), tree(**files))
    return best and best.layer.diff_id


def test_the_one_with_the_most_equal_files_and_of_equals_the_newest(monkeypatch):
    candidates = [base("c", small=10), base("b", big=900), base("a", big=900)]
    assert chosen(monkeypatch, candidates, {"big": 900}) == "b"
    assert chosen(monkeypatch, candidates, {"other": 900}) == "c"
    assert chosen(monkeypatch, [], {"big": 900}) is None


def test_one_that_is_nearly_its_base_leads_to_that(monkeypatch):
    """Also where the base's own files have less in common with the new ones, or it is far down the list."""
    first = base("first", old=800)
    second = base("second", ["first"], own=2_000, new=900)
    third = base("third", ["second", "first"], own=3_000, new=900)
    others = [base(name, small=1) for name in ("x", "y", "z")]
    assert chosen(monkeypatch, [others[0], third, second, *others[1:], first], {"new": 900}) == "first"


def test_one_that_is_another_stays(monkeypatch):
    first = base("first", old=800)
    assert chosen(monkeypatch, [base("second", ["first"], own=100_000, new=900), first], {"new": 900}) == "second"
    # As small as its blob is, it is most of what there is: the layer before it had fifty times the bytes.
    small = base("small", ["first"], own=2_000, size=20_000, new=900)
    assert chosen(monkeypatch, [small, first], {"new": 900}, size=20_000) == "small"
    # Its base cannot be used.
    assert chosen(monkeypatch, [base("second", ["gone"], own=2_000, new=900)], {"new": 900}) == "second"
