"""What `collect` gives back, and what it leaves."""

import os

import snapshot
from snapshot.cache import LayerCache


def test_layers_are_forgotten_and_what_was_restored_stays_whole(environment, store, tmp_path):
    captured = snapshot.capture(environment, store, interpreter=False, name="thing")
    destination = tmp_path / "restored"
    snapshot.restore("thing", destination, store, link="hardlink")
    layers = {layer.tree for layer in store.snapshot("thing").layers}
    cache = LayerCache(store.cache)
    kept = {layer for layer in layers if cache.has(layer)}
    assert kept
    assert snapshot.collect(store, grace=0) == snapshot.Collection(0, 0, 0, 0)
    assert {layer for layer in layers if cache.has(layer)} == kept

    store.remove("thing")
    done = snapshot.collect(store, grace=0)
    assert (done.blobs, done.layers, done.leftovers) == (2 * len(layers) + 3, len(kept), 0)
    assert done.bytes == captured.packed_bytes
    assert not any(cache.has(layer) for layer in layers)
    source = next(destination.glob("lib/python*/site-packages/thing/__init__.py"))
    assert source.read_text() == "answer = 42\n"

    again = snapshot.capture(environment, store, interpreter=False, name="thing")
    assert again.snapshot == captured.snapshot
    assert again.added_bytes == captured.added_bytes
    assert snapshot.verify(destination, store).ok


def test_what_a_killed_process_left_is_removed(environment, store):
    snapshot.capture(environment, store, interpreter=False)
    left = store.cache / ".envparity-0123456789abcdef"
    (left / "tree").mkdir(parents=True)
    (left / "lock").touch()
    (left / "tree" / "half").write_text("a layer")
    assert snapshot.collect(store, grace=0).leftovers == 1
    assert not left.exists()


def test_nothing_is_forgotten_while_a_snapshot_cannot_be_read(environment, store, tmp_path):
    captured = snapshot.capture(environment, store, interpreter=False, name="thing")
    snapshot.restore("thing", tmp_path / "restored", store)
    config = tmp_path / "store" / "blobs" / "sha256" / captured.snapshot[7:]
    os.chmod(config, 0o644)
    config.write_bytes(b"damaged")
    assert snapshot.collect(store, grace=0).layers == 0
    assert os.listdir(store.cache / "layers")
