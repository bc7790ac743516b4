"""A store of small layers in several versions, and what must hold of it however it is encoded."""

from __future__ import annotations

import random

from snapshot import verify
from snapshot.model import Kind
from snapshot.tars import Tars
from tests.building import built, file, publish
from tests.deltas import as_delta

NOISE = random.Random(5).randbytes(40_000)


def version(name, number):
    """A layer of 40 kB, of which each version has another hundred bytes."""
    data = NOISE[: number * 200] + bytes([number]) * 100 + NOISE[number * 200 :]
    rows = [file(f"{name}.so", data + name.encode()), file(f"{name}.txt", str(number).encode())]
    return built(*rows, kind=Kind.DISTRIBUTION, name=name, version=str(number))


def fill(store, count=4, *, deltas=True):
    """Snapshots m/0, m/1 …, each captured as deltas against the one before: two layers that change, one that does not."""
    before, beside = [], []
    for number in range(count):
        parts = [version(name, number) for name in ("a", "b")]
        own = [as_delta(*pair) for pair in zip(before, parts, strict=True)] if before and deltas else parts
        publish(store, *own, version("same", 0), name=f"m/{number}", beside=beside)
        before, beside = parts, [*own, *beside] if deltas else []
    return store


def tars(store):
    """Everything that the store holds for each snapshot: what no encoding may change."""
    found = {}
    for reference in store.references():
        manifest, snapshot = store.manifest(reference), store.snapshot(reference)
        reader = Tars(store, manifest.content)
        found[reference.name, reference.snapshot, snapshot.parity_root] = {
            layer.diff_id: b"".join(map(bytes, reader.chunks(layer.diff_id, layer.label))) for layer in snapshot.layers
        }
    return found


def sound(store):
    """Every snapshot verifies, and nothing is there that nobody needs."""
    assert store.check() == ()
    for reference in store.references():
        assert verify(reference.snapshot, store).problems == ()
    return True
