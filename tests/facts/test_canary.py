"""No secret is in anything that a capture writes: every blob and every other file of the store is looked through, unpacked."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import zstandard

import snapshot
from snapshot.facts.model import PYTHON
from snapshot.store import Store
from snapshot.store.memory import MemoryBackend
from tests.handmade import HandMade

CANARY = "wJa1rXUtnFEM1K7MDENGbPxRf1CYc4n4ryKEYx9z"
VARIABLES = {
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "DATABASE_URL": f"postgresql://me:{CANARY}@database/name",
    "PIP_INDEX_URL": f"https://me:{CANARY}@index/simple",
    "SOMETHING_ELSE": f"x{CANARY}x",
    # Pasted into variables whose values are kept where they look as they should.
    "OMP_NUM_THREADS": CANARY,
    "OPENBLAS_CORETYPE": CANARY,
    "PYTHONPATH": f"/opt/x:https://me:{CANARY}@host/",
    "TZ": CANARY,
    "LANG": f"C.{CANARY}",
    "LD_LIBRARY_PATH": f"/opt/{CANARY}/lib",
    "GLIBC_TUNABLES": CANARY,
    "PYTHONHASHSEED": CANARY,
}


@pytest.fixture
def env(tmp_path):
    env = HandMade(Path(tmp_path) / "env").make()
    url = f"https://me:{CANARY}@host/one.git"
    env.note.joinpath("direct_url.json").write_text(
        json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": "0"}})
    )
    (env.path / "pip.conf").write_text(f"[global]\nindex-url = {url}\n")
    return env


def unpacked(data):
    """What is in a file, with every zstd frame in it decompressed."""
    yield data
    if data[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().decompressobj().decompress(data)


def holding(directory, canary):
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            for content in unpacked(Path(path).read_bytes()):
                if canary.encode() in content:
                    yield os.path.relpath(path, directory)


def test_no_secret_is_in_the_store(env, tmp_path):
    store = Store(tmp_path / "store")
    for number in (1, 2):  # the second time much is taken from what the first has left in the cache
        snapshot.capture(env.path, store, name=f"env/{number}", variables=VARIABLES, fingerprint=True)
    assert sorted(holding(store.backend.path, CANARY)) == []
    facts = snapshot.load("env/2", store).facts
    assert {item.name for item in facts.variables.items} == VARIABLES.keys()
    assert {item.name: item.value for item in facts.variables.items if item.value is not None} == {}
    assert all(item.digest for item in facts.variables.items)
    assert CANARY not in repr(facts)
    (source,) = [each.source for each in facts.distributions if each.source is not None]
    assert source.url == "https://****@host/one.git"
    assert PYTHON in {each.owner for each in facts.modules}


def test_the_canary_would_be_found(env, tmp_path):
    store = Store(tmp_path / "store")
    (env.site / "one.py").write_text(f"password = {CANARY!r}\n")
    snapshot.capture(env.path, store, interpreter=False, name="env")
    assert len(list(holding(store.backend.path, CANARY))) == 1


def test_the_key_is_the_stores_own(env, tmp_path):
    store = Store(tmp_path / "store")
    path = Path(store.backend.path) / "variables.key"
    snapshot.capture(env.path, store, interpreter=False, name="env")
    assert not path.exists()  # nothing needed it
    assert store.variables_key() is None
    snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == store.variables_key() == Store(store.backend.path).variables_key(make=True)
    assert len(path.read_bytes()) == 32
    assert sorted(each.name for each in Path(store.backend.path).iterdir() if each.name.startswith("variables")) == [
        "variables.key"
    ]
    assert path.read_bytes().hex() not in repr(snapshot.load("env", store).facts)
    assert store.check() == ()


def test_two_stores_have_two_keys(env, tmp_path):
    digests = []
    for name in ("one", "other"):
        store = Store(tmp_path / name)
        snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)
        digests.append(snapshot.load("env", store).facts.variables)
    assert digests[0].key != digests[1].key
    assert {item.digest for item in digests[0].items}.isdisjoint(item.digest for item in digests[1].items)


def test_a_store_in_memory_keeps_no_digests(env, tmp_path):
    store = Store(MemoryBackend(), cache=tmp_path / "cache")
    snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)
    variables = snapshot.load("env", store).facts.variables
    assert variables.key == ""
    assert {(item.value, item.digest) for item in variables.items} == {(None, None)}


def test_a_damaged_key_is_an_error(env, tmp_path):
    store = Store(tmp_path / "store")
    snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)
    (Path(store.backend.path) / "variables.key").write_bytes(b"short")
    with pytest.raises(snapshot.SnapshotError, match=r"variables\.key is damaged: a key has 32 bytes; delete it"):
        snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)


def test_a_directory_with_nothing_but_a_key_may_become_a_store(env, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "variables.key").write_bytes(bytes(32))
    store = Store(tmp_path / "store")
    snapshot.capture(env.path, store, interpreter=False, name="env", variables=VARIABLES)
    assert store.variables_key() == bytes(32)
