"""The node's cache: whoever is first wins, and nothing half done is ever taken for done."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from snapshot.blueprint import Blueprint
from snapshot.cache import LayerCache
from snapshot.documents import digest_of
from snapshot.flattening import blueprint_of
from snapshot.serialize import decode_tree
from tests.building import built, file, snapshot_of

LAYER, ID = digest_of(b"layer"), digest_of(b"snapshot")


def blueprint():
    part = built(file("a", b"1"))
    return blueprint_of(ID, snapshot_of([part.layer]), {part.layer.tree: decode_tree(part.tree)})


def filled(directory):
    with open(os.path.join(directory, "a"), "wb") as opened:
        opened.write(b"1")


def test_a_layer_is_there_when_it_is_whole(tmp_path):
    cache = LayerCache(tmp_path / "cache")
    assert not cache.has(LAYER)

    def unpack(directory):
        filled(directory)
        assert not cache.has(LAYER)

    cache.add(LAYER, unpack)
    assert cache.has(LAYER)
    assert os.listdir(cache.layer(LAYER)) == ["a"]
    assert os.listdir(tmp_path / "cache/layers") == [LAYER.hex]


def test_forgetting_a_layer_takes_no_room(tmp_path, monkeypatch):
    cache = LayerCache(tmp_path)
    cache.add(LAYER, filled)
    environment = tmp_path / "linked"
    os.link(os.path.join(cache.layer(LAYER), "a"), environment)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("mkdir", "open"):
        monkeypatch.setattr(f"snapshot.store.area.os.{name}", full)
    assert cache.forget(()) == 1
    assert os.listdir(tmp_path / "layers") == []
    assert environment.exists()


def test_what_was_put_aside_by_a_killed_process_is_swept(tmp_path, monkeypatch):
    cache = LayerCache(tmp_path)
    cache.add(LAYER, filled)

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("snapshot.cache.remove", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.forget(())
    assert not cache.has(LAYER)
    assert cache.sweep() == 1
    assert os.listdir(tmp_path / "layers") == []


def test_a_layer_that_could_not_be_unpacked_is_not_there(tmp_path):
    cache = LayerCache(tmp_path)

    def unpack(directory):
        filled(directory)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.add(LAYER, unpack)
    assert not cache.has(LAYER)
    assert os.listdir(tmp_path / "layers") == []


def test_whoever_is_first_wins(tmp_path):
    cache = LayerCache(tmp_path)

    def unpack(directory):
        LayerCache(tmp_path).add(LAYER, filled)
        filled(directory)
        with open(os.path.join(directory, "second"), "wb"):
            pass

    cache.add(LAYER, unpack)
    assert os.listdir(cache.layer(LAYER)) == ["a"]
    assert os.listdir(tmp_path / "layers") == [LAYER.hex]


def test_a_blueprint_is_found_again(tmp_path):
    cache = LayerCache(tmp_path)
    assert cache.blueprint(ID) is None
    cache.keep(blueprint())
    assert cache.blueprint(ID).encode() == blueprint().encode()
    assert os.listdir(tmp_path / "blueprints") == [f"{ID.hex}.json"]


def test_two_threads_may_keep_one_blueprint(tmp_path, monkeypatch):
    """Two restores of one snapshot in one process."""
    barrier = threading.Barrier(2, timeout=10)
    encode = Blueprint.encode
    failed = []

    def slow(self):
        data = encode(self)
        barrier.wait()
        return data

    monkeypatch.setattr(Blueprint, "encode", slow)

    def keep():
        try:
            LayerCache(tmp_path).keep(blueprint())
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=keep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(tmp_path / "blueprints") == [f"{ID.hex}.json"]
