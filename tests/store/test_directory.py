"""What is particular to the store on disk: its layout, its locks, its debris, and what users do to it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from snapshot.documents import digest_of
from snapshot.store import Store, StoreError
from snapshot.store.area import STALE, Area, sweep
from snapshot.store.directory import DirectoryBackend
from snapshot.testing.conformance import publish, stage
from snapshot.testing.samples import publish_sample

BLOB = digest_of(b"content")


@pytest.fixture
def backend(tmp_path):
    return DirectoryBackend(tmp_path / "store")


@pytest.fixture
def place(backend):
    """Where BLOB lies."""
    return Path(backend.path) / "blobs" / "sha256" / BLOB.hex


def files_of(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


# Layout


def test_layout_is_the_documented_one(tmp_path):
    store = Store(tmp_path / "store")
    reference = publish_sample(store, "a", ["numpy"]).reference
    root = tmp_path / "store"
    assert (root / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
    manifest = root / "blobs" / "sha256" / reference.manifest.digest.hex
    named = {reference.manifest.digest.hex, *(each["digest"][7:] for each in _blobs(manifest))}
    assert files_of(root) == {"oci-layout", "index.json", "lock", *(f"blobs/sha256/{each}" for each in named)}
    assert list((root / "tmp").iterdir()) == []


def _blobs(manifest: Path) -> list[dict]:
    data = json.loads(manifest.read_bytes())
    return [data["config"], *data["layers"]]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o444), (0o077, 0o400)])
def test_blobs_are_read_only(backend, place, umask, mode):
    before = os.umask(umask)
    try:
        publish(backend, b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == mode


def test_blob_of_another_size_is_replaced(backend, place):
    publish(backend, b"content")
    place.chmod(0o644)
    place.write_bytes(b"cont")
    assert publish(backend, b"content") == 7
    assert place.read_bytes() == b"content"


def test_blob_of_the_right_size_is_left_alone(backend, place):
    publish(backend, b"content")
    before = place.stat()
    assert publish(backend, b"content") == 0
    assert place.stat().st_ino == before.st_ino


def test_large_blobs_are_synchronised_by_their_writer(backend, monkeypatch):
    synced = []
    original = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")) or original(fd))
    publish(backend, b"first")
    synced.clear()
    with backend.staging() as staging:
        stage(staging, b"x" * (1 << 20))
        assert len(synced) == 1
        stage(staging, b"small")
        assert len(synced) == 1
        with backend.lock():
            staging.publish()
    assert len(synced) == 3
    assert synced[-1] == str(Path(backend.path) / "blobs" / "sha256")


def test_blobs_are_on_disk_before_the_index(tmp_path, monkeypatch):
    """The order of what reaches the disk: files, their directory, and only then the index and its directory."""
    store = Store(tmp_path / "store")
    publish_sample(store, "a", ["numpy"])
    steps = []
    fsync, replace = os.fsync, os.replace

    def log_fsync(fd):
        steps.append(("sync", Path(os.readlink(f"/proc/self/fd/{fd}")).relative_to(store.backend.path).parts[0]))
        fsync(fd)

    def log_replace(source, target):
        steps.append(("rename", Path(target).relative_to(store.backend.path).parts[0]))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(os, "replace", log_replace)
    monkeypatch.setattr(Path, "relative_to", _relative)
    publish_sample(store, "b", ["pandas"])
    short = [step for number, step in enumerate(steps) if number == 0 or step != steps[number - 1]]
    assert short == [
        ("sync", "tmp"),
        ("rename", "blobs"),
        ("sync", "blobs"),
        ("sync", "tmp"),
        ("rename", "index.json"),
        ("sync", "."),
    ]


_original_relative = Path.relative_to


def _relative(self, *others):
    """`relative_to`, with '.' for the directory itself."""
    found = _original_relative(self, *others)
    return found if found.parts else type("Here", (), {"parts": (".",)})


# Debris


def test_area_of_a_living_writer_is_left_alone(backend):
    with backend.staging() as staging:
        digest = stage(staging, b"content")
        with backend.staging():
            pass
        assert backend.sweep() == 0
        Store(backend).collect(grace=0)
        with backend.lock():
            assert staging.publish() == 7
    assert backend.has(digest)


def test_debris_is_removed_by_the_next_writer(backend, tmp_path):
    debris = make_debris(backend)
    with backend.staging():
        assert not debris.exists()
        assert len(os.listdir(tmp_path / "store" / "tmp")) == 1
    assert os.listdir(tmp_path / "store" / "tmp") == []


def test_debris_is_removed_by_a_collection(backend):
    debris = make_debris(backend)
    assert Store(backend).collect(grace=0).staging == 1
    assert not debris.exists()


def make_debris(backend: DirectoryBackend) -> Path:
    """What a killed process leaves."""
    publish(backend, b"first")
    debris = Path(backend.path) / "tmp" / "0123456789abcdef"
    debris.mkdir()
    (debris / "lock").touch()
    (debris / "fedcba9876543210").write_bytes(b"half a blob")
    return debris


def test_area_without_a_lock_yet_is_debris(tmp_path):
    (tmp_path / "0123456789abcdef").mkdir()
    (tmp_path / "a file of somebody").touch()
    assert sweep(str(tmp_path)) == 1
    assert os.listdir(tmp_path) == ["a file of somebody"]


def test_area_that_is_swept_while_it_is_made_is_made_again(tmp_path, monkeypatch):
    """Between mkdir and lock a sweeper may come: the maker notices and takes another directory."""
    swept = []
    original = os.mkdir

    def mkdir_and_sweep(path, *arguments):
        original(path, *arguments)
        if len(swept) < 2:
            swept.append(sweep(str(tmp_path)))

    monkeypatch.setattr(os, "mkdir", mkdir_and_sweep)
    area = Area(str(tmp_path))
    assert swept == [1, 1]
    assert os.listdir(tmp_path) == [Path(area.path).name]
    area.remove()
    assert os.listdir(tmp_path) == []


def test_many_makers_and_sweepers(tmp_path):
    """No maker loses its area to a sweeper."""
    failures = []

    def make():
        for _ in range(50):
            area = Area(str(tmp_path))
            try:
                Path(area.file()).write_bytes(b"x")
                sweep(str(tmp_path))
                if len(os.listdir(area.path)) != 2:
                    failures.append(area.path)
            except OSError as error:
                failures.append(error)
            area.remove()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert os.listdir(tmp_path) == []


def test_area_of_another_process_is_left_alone(backend):
    code = (
        "import sys; from snapshot.store.directory import DirectoryBackend\n"
        "with DirectoryBackend(sys.argv[1]).staging() as staging:\n"
        "    staging.blob().write(b'x'); print('ready', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, backend.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        assert backend.sweep() == 0
        process.kill()
        process.wait()
        assert backend.sweep() == 1
    assert os.listdir(Path(backend.path) / "tmp") == []


_ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_age_decides(backend, monkeypatch, number):
    def flock(fd, operation):
        raise OSError(number, os.strerror(number))

    debris = make_debris(backend)
    monkeypatch.setattr(fcntl, "flock", flock)
    with backend.staging() as staging:
        stage(staging, b"content")
        assert debris.exists()
        old = debris.stat().st_mtime - STALE - 1
        os.utime(debris, (old, old))
        with backend.staging():
            assert not debris.exists()
        with backend.lock():
            assert staging.publish() == 7


def test_without_locks_a_file_stands_in(backend, monkeypatch):
    def flock(fd, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr("snapshot.store.locking.PATIENCE", 0.0)
    held = Path(backend.path) / "lock.held"
    with backend.lock():
        assert held.exists()
        with pytest.raises(StoreError, match=f"{held} says that another process is writing.*remove that file"):
            backend.lock().__enter__()
    assert not held.exists()


def test_other_errors_of_locking_are_errors(backend, monkeypatch):
    def flock(fd, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    publish(backend, b"content")
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreError, match=r"cannot lock .*store: Input/output error"):
        backend.lock().__enter__()
    with pytest.raises(StoreError, match=r"cannot write to .*store: Input/output error"):
        backend.staging().__enter__()


def test_path_is_taken_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("store")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    publish_sample(store, "a", ["numpy"])
    assert os.listdir(tmp_path / "elsewhere") == []
    assert str(store) == str(tmp_path / "store")


def test_importing_the_store_imports_nothing_heavy():
    heavy = {
        "urllib",
        "tempfile",
        "random",
        "uuid",
        "shutil",
        "logging",
        "concurrent.futures",
        "threading",
        "pathlib",
        "sqlite3",
    }
    heavy |= {"zstandard", "click", "rich", "importlib.metadata", "importlib_metadata", "subprocess", "datetime"}
    code = "import sys; before = set(sys.modules); import snapshot.store; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT)
    loaded = set(done.stdout.split())
    assert "snapshot.store" in loaded
    assert loaded & heavy == set()


SHARED = {"lock": 0o664, "tmp": 0o2775, "blobs": 0o2775, "blobs/sha256": 0o2775}


def test_one_writer_with_a_closed_umask_shuts_nobody_out(tmp_path):
    """A store of several people: what the first let the others read and write, they can afterwards."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o2775)
    before = os.umask(0o077)
    try:
        publish_sample(Store(tmp_path / "store"), "a", ["one"])
        index = tmp_path / "store" / "index.json"
        assert stat.S_IMODE(index.stat().st_mode) == 0o664
        index.chmod(0o660)
        publish_sample(Store(tmp_path / "store"), "b", ["one"])
        assert stat.S_IMODE(index.stat().st_mode) == 0o660
        modes = {path: stat.S_IMODE((tmp_path / "store" / path).stat().st_mode) for path in SHARED}
        assert modes == SHARED
    finally:
        os.umask(before)
