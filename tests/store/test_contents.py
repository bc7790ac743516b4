"""The answer of `Store.contents` is right whatever became of the database that it keeps."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.serialize import encode_snapshot
from snapshot.store import Store
from snapshot.store import contents as module
from snapshot.store.manifest import BASE, CONTENT, LAYER_TYPE
from snapshot.store.memory import MemoryBackend
from snapshot.testing.samples import blob_of, content_of, publish_sample, sample_snapshot

DELTA_TYPE = "application/vnd.example.delta"
OWN = [f"own{number}" for number in range(4)]
_ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    for number in range(4):
        publish_sample(store, f"m/{number}", ["common", f"own{number}"], reuse=store.contents())
    return store


@pytest.fixture
def used(store):
    """The store, its database made."""
    assert right(store)
    return store


def database(store) -> Path:
    (path,) = store.cache.glob("contents*.sqlite")
    return path


def right(store) -> bool:
    """Whether a process that comes to the store finds each layer where it is, and no other."""
    known = Store(store.backend.path, cache=store.cache).contents()
    for name in ["common", *OWN]:
        found = known[content_of(name, "tar")]
        if store.read(found) != blob_of(name, "tar") or found.media_type != LAYER_TYPE:
            return False
    return content_of("unknown", "tar") not in known


def manifests_read(store, monkeypatch) -> list[str]:
    """Find one layer in a new process's stead; return the names of the manifests that were read for it."""
    names = {each.manifest.digest: each.name for each in store.references()}
    read = []
    original = store.backend.open

    def noted(digest):
        if digest in names:
            read.append(names[digest])
        return original(digest)

    fresh = Store(store.backend.path, cache=store.cache)
    monkeypatch.setattr(fresh.backend, "open", noted)
    assert content_of("own0", "tar") in fresh.contents()
    return read


def test_manifests_are_read_once(used, monkeypatch):
    """Then only the one is read that has what was asked for."""
    assert manifests_read(used, monkeypatch) == ["m/0"]
    publish_sample(used, "m/new", ["common", "new"])
    assert manifests_read(used, monkeypatch) == ["m/new", "m/0"]
    assert manifests_read(used, monkeypatch) == ["m/0"]


def test_equal_blobs_are_found_in_the_newest_manifest(used, monkeypatch):
    publish_sample(used, "m/new", ["common", "own0"])
    assert manifests_read(used, monkeypatch) == ["m/new"]


def test_what_only_removed_snapshots_had_goes(used):
    assert content_of("own1", "tar") in used.contents()
    used.remove("m/1")
    known = used.contents()
    assert content_of("own1", "tar") not in known
    assert content_of("own2", "tar") in known
    assert content_of("common", "tar") in known
    with closing(sqlite3.connect(database(used))) as connection:
        kept = {row[0] for row in connection.execute("SELECT digest FROM contents")}
    assert bytes.fromhex(content_of("own2", "tar").hex) in kept
    assert bytes.fromhex(content_of("own1", "tar").hex) not in kept


def test_what_was_collected_meanwhile_is_not_found(used):
    known = used.contents()
    used.remove("m/1")
    used.collect(grace=0)
    assert content_of("own1", "tar") not in known
    assert content_of("own2", "tar") in known


def test_it_is_a_mapping(used):
    known = used.contents()
    assert set(known) == {content_of(name, what) for name in ["common", *OWN] for what in ("tar", "tree")} | {
        digest_of(b"record of 0")
    }
    assert len(known) == 11
    assert dict(known) == known
    assert known.get(content_of("unknown", "tar")) is None
    with pytest.raises(KeyError):
        known[content_of("unknown", "tar")]


def test_threads_ask_at_the_same_time(used):
    known = used.contents()
    with ThreadPoolExecutor(8) as pool:
        asked = [content_of(name, "tar") for name in OWN * 50]
        assert list(pool.map(known.__getitem__, asked)) == [known[each] for each in asked]


# Which blob


def publish_blob(store, name, data, media_type, **annotations):
    tar = content_of("numpy", "tar")
    with store.begin() as batch:
        blob = Descriptor(media_type, *batch.put(data), annotations)
        batch.publish(encode_snapshot(sample_snapshot(["numpy"])), {tar: blob}, name)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("where", ["directory", "memory"])
def test_a_full_blob_is_preferred_then_the_newest(tmp_path, order, where):
    store = Store(tmp_path / "store" if where == "directory" else MemoryBackend())
    blobs = [(b"delta", DELTA_TYPE), (b"a full blob", LAYER_TYPE), (b"a larger full blob", LAYER_TYPE)]
    for number in order:
        publish_blob(store, f"a/{number}", *blobs[number])
    first, second = sorted((1, 2), key=order.index, reverse=True)
    assert store.read(store.contents()[content_of("numpy", "tar")]) == blobs[first][0]
    store.remove(f"a/{first}")
    assert store.read(store.contents()[content_of("numpy", "tar")]) == blobs[second][0]
    store.remove(f"a/{second}")
    assert store.read(store.contents()[content_of("numpy", "tar")]) == b"delta"
    store.remove("a/0")
    assert content_of("numpy", "tar") not in store.contents()


def test_deltas_of_two_encodings_make_no_circle(tmp_path):
    """One manifest has b as a delta against a, the other a as a delta against b: whichever is smaller, they do not mix."""
    store = Store(tmp_path / "store")
    a, b, c = (content_of(name, "tar") for name in ("a", "b", "c"))
    for name, rows in (("x/1", ((a, c, b"12"), (b, a, b"1"))), ("x/2", ((a, b, b"1"), (b, c, b"12")))):
        with store.begin() as batch:
            content = {
                diff_id: Descriptor("application/vnd.example.delta", *batch.put(data + diff_id.encode()), {BASE: base})
                for diff_id, base, data in rows
            }
            content[c] = Descriptor(LAYER_TYPE, *batch.put(b"full"), {})
            batch.publish(encode_snapshot(sample_snapshot([name[2:]])), content, name)
    known = store.contents()
    assert (known[a].annotations[BASE], known[b].annotations[BASE]) == (b, c)


def test_annotations_of_blobs_are_kept(tmp_path):
    store = Store(tmp_path / "store")
    publish_blob(store, "a", b"delta", DELTA_TYPE, **{"vnd.example.base": "x"})
    expected = {CONTENT: content_of("numpy", "tar"), "vnd.example.base": "x"}
    for _ in range(2):
        assert Store(tmp_path / "store").contents()[content_of("numpy", "tar")].annotations == expected


# The database


def execute(path, *statements):
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:4096]),
        lambda path: path.write_bytes(b"nonsense" * 4096),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40000),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\x00" * 40000),
        lambda path: execute(path, "DROP TABLE held"),
        lambda path: execute(path, "ALTER TABLE held RENAME COLUMN encoded TO length"),
        lambda path: execute(path, "UPDATE contents SET digest = x'00' || substr(digest, 2)"),
        lambda path: execute(path, "UPDATE manifests SET number = number + 100"),
        # Each content is said to be in a manifest that may not have it.
        lambda path: execute(path, "UPDATE OR REPLACE held SET recency = -1"),
        lambda path: execute(path, "UPDATE held SET content = content + 2 WHERE content > 5"),
    ],
)
def test_a_wrong_database_never_misleads(used, damage):
    """At worst it hides what there is: then a layer is stored again, under the same digest."""
    damage(database(used))
    known = Store(used.backend.path).contents()
    for name in ["common", *OWN]:
        found = known.get(content_of(name, "tar"))
        assert found is None or used.read(found) == blob_of(name, "tar")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b"nonsense" * 4096),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40000),
        lambda path: execute(path, "DROP TABLE held"),
        lambda path: execute(path, "UPDATE OR REPLACE held SET recency = -1"),
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_database_is_made_anew(used, damage, monkeypatch):
    damage(database(used))
    assert right(used)
    assert right(used)
    assert manifests_read(used, monkeypatch) == ["m/0"]
    database(used)  # one is left


def test_a_database_of_another_store_is_not_trusted(used, tmp_path):
    other = Store(tmp_path / "other", cache=used.cache)
    publish_sample(other, "x", ["elsewhere"])
    assert content_of("common", "tar") not in other.contents()
    assert content_of("elsewhere", "tar") in other.contents()
    assert right(used)


def test_no_directory_for_it_does_no_harm(used, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    fresh = Store(used.backend.path, cache=tmp_path / "file")
    assert fresh.contents() == used.contents()


def test_reading_makes_no_directory(tmp_path):
    assert content_of("numpy", "tar") not in Store(tmp_path / "store").contents()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("new", [False, True])
def test_a_cache_that_is_read_only_still_helps(used, new, monkeypatch, tmp_path):
    """`mode=ro` is what a read-only file system makes of an open file."""
    if new:
        publish_sample(used, "m/new", ["common", "new"])
    before = database(used).read_bytes()
    original = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda path, **options: original(path if path == ":memory:" else f"file:{path}?mode=ro", uri=True, **options),
    )
    assert manifests_read(used, monkeypatch) == (["m/new", "m/0"] if new else ["m/0"])
    assert right(used)
    assert database(used).read_bytes() == before


def test_a_database_that_is_locked_for_long_is_done_without(used, monkeypatch):
    publish_sample(used, "m/new", ["common", "new"])
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    other = sqlite3.connect(database(used), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert right(used)
    assert content_of("new", "tar") in used.contents()
    other.execute("ROLLBACK")
    other.close()
    assert right(used)


def test_a_file_system_without_locks(used, monkeypatch):
    """As sqlite reports it from NFS without a lock daemon."""
    original = sqlite3.connect

    class Unlocked(sqlite3.Connection):
        def execute(self, statement, *parameters):
            if statement.startswith(("SELECT", "BEGIN")):
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(statement, *parameters)

        def backup(self, target, **options):
            raise sqlite3.OperationalError("locking protocol")

    def connect(path, **options):
        return original(path, **options) if path == ":memory:" else original(path, factory=Unlocked, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert right(used)


def test_what_an_earlier_envparity_kept_is_removed(used):
    (used.cache / "contents.json").write_bytes(b"{}")
    (used.cache / "contents2-0.sqlite").rename(used.cache / "contents2-7.sqlite")
    (used.cache / "contents2-6.sqlite").write_bytes(b"")
    assert right(used)
    assert [path.name for path in used.cache.iterdir()] == ["contents2-7.sqlite"]


_BUSY = """
import sys
from snapshot.store import Store
from snapshot.testing.samples import content_of
print("ready", flush=True)
while True:
    for cache in sys.argv[2:]:
        assert content_of("own1", "tar") in Store(sys.argv[1], cache=cache).contents()
"""


def test_processes_that_are_killed_and_processes_at_once(used, tmp_path):
    """Two stores share the cache, so each of these writes all the time; they are killed wherever they are."""
    other = Store(tmp_path / "other", cache=used.cache)
    publish_sample(other, "x", ["own1"])
    for turn in range(8):
        with ExitStack() as stack:
            for path in (used.backend.path, other.backend.path):
                process = stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", _BUSY, path, str(used.cache)], stdout=subprocess.PIPE, cwd=_ROOT
                    )
                )
                stack.callback(process.kill)
                assert process.stdout.readline() == b"ready\n"
            for _ in range(turn):
                assert right(used)
            assert process.poll() is None
        assert right(used)
        assert content_of("own1", "tar") in Store(tmp_path / "other", cache=used.cache).contents()


@pytest.fixture
def other(used, tmp_path):
    """A store with the same cache: whoever looks into it takes out what `used` had there, and the other way round."""
    other = Store(tmp_path / "other", cache=used.cache)
    publish_sample(other, "x", ["elsewhere"])
    return other


def drop(other) -> None:
    assert content_of("elsewhere", "tar") in Store(other.backend.path, cache=other.cache).contents()


def test_taken_out_as_soon_as_it_was_there(used, other, monkeypatch):
    original = module._cover
    drop(other)

    def covered(*arguments):
        result = original(*arguments)
        monkeypatch.undo()
        drop(other)
        return result

    monkeypatch.setattr(module, "_cover", covered)
    assert content_of("own1", "tar") in Store(used.backend.path, cache=used.cache).contents()


def test_taken_out_and_put_back_while_it_was_looked_for(used, other, monkeypatch):
    known = Store(used.backend.path, cache=used.cache).contents()
    assert content_of("own0", "tar") in known
    drop(other)
    original = module.Contents._unchanged

    def unchanged(contents):
        monkeypatch.undo()
        assert right(used)
        return original(contents)

    monkeypatch.setattr(module.Contents, "_unchanged", unchanged)
    assert content_of("own1", "tar") in known


def test_a_cache_is_never_needed(used):
    shutil.rmtree(used.cache)
    assert right(used)
