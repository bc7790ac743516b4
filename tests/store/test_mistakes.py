"""What users and their systems do to a store on disk: each gets one clear line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.errors import SnapshotError
from snapshot.store import DamagedBlobError, Store, StoreError
from snapshot.store.directory import DirectoryBackend
from snapshot.testing.conformance import publish
from snapshot.testing.samples import publish_sample

BLOB = digest_of(b"content")


@pytest.fixture
def backend(tmp_path):
    return DirectoryBackend(tmp_path / "store")


@pytest.fixture
def place(backend):
    """Where BLOB lies."""
    return Path(backend.path) / "blobs" / "sha256" / BLOB.hex


def test_path_that_is_a_file(tmp_path):
    (tmp_path / "store").write_bytes(b"")
    store = Store(tmp_path / "store")
    for call in (store.references, store.collect, lambda: publish_sample(store, "a", ["numpy"])):
        with pytest.raises(StoreError, match="a file is in the place of a directory; give the directory of a store"):
            call()


def test_directory_of_something_else_is_not_made_a_store(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"is not a store, and not empty \(there is 'thesis.tex'\); use an empty dir"):
        publish_sample(Store(tmp_path), "a", ["numpy"])
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_unfinished_store_is_finished(tmp_path):
    (tmp_path / "tmp" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    store = Store(tmp_path)
    publish_sample(store, "a", ["numpy"])
    assert store.check() == ()


def test_layout_of_another_version(tmp_path):
    store = Store(tmp_path / "store")
    publish_sample(store, "a", ["numpy"])
    (tmp_path / "store" / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
    for call in (store.references, lambda: publish_sample(store, "a", ["numpy"])):
        with pytest.raises(
            StoreError, match=r"of version '2\.0\.0', and this envparity knows 1\.0\.0; install a newer"
        ):
            call()


def test_layout_that_is_none(tmp_path):
    store = Store(tmp_path / "store")
    publish_sample(store, "a", ["numpy"])
    (tmp_path / "store" / "oci-layout").write_text("hello")
    with pytest.raises(StoreError, match="is not an OCI image layout: oci-layout is not JSON"):
        store.references()


def test_missing_layout_is_mended_by_a_writer(tmp_path):
    store = Store(tmp_path / "store")
    publish_sample(store, "a", ["numpy"])
    (tmp_path / "store" / "oci-layout").unlink()
    assert [each.name for each in store.references()] == ["a"]
    publish_sample(store, "b", ["pandas"])
    assert (tmp_path / "store" / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_errors_of_the_system_are_explained(backend, monkeypatch, number):
    expected = {
        errno.EACCES: "Permission denied; use a store that you may write to",
        errno.EROFS: "Read-only file system; use a store that you may write to",
        errno.ENOSPC: r"the disk is full \(No space left on device\); nothing was published; make room",
        errno.EDQUOT: r"the disk is full \(Disk quota exceeded\); nothing was published; make room",
        errno.EIO: "Input/output error",
    }[number]

    def fail(*arguments, **keywords):
        raise OSError(number, os.strerror(number), "PATH")

    monkeypatch.setattr(os, "mkdir", fail)
    with pytest.raises(StoreError, match=f"^cannot write to {backend.path}: {expected}") as caught:
        backend.staging().__enter__()
    assert caught.value.errno == number
    assert isinstance(caught.value, SnapshotError)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_no_write_permission(tmp_path):
    (tmp_path / "store").mkdir(mode=0o555)
    with pytest.raises(StoreError, match="Permission denied; use a store that you may write to"):
        publish_sample(Store(tmp_path / "store"), "a", ["numpy"])


def test_pipe_in_the_place_of_a_blob(backend, place):
    publish(backend, b"other")
    os.mkfifo(place)
    assert not backend.has(BLOB)
    with pytest.raises(StoreError, match="not a regular file"):
        backend.open(BLOB)


def test_link_in_the_place_of_a_blob_is_verified(backend, place, tmp_path):
    publish(backend, b"other")
    (tmp_path / "secret").write_bytes(b"secret!")
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(DamagedBlobError):
        Store(backend).read(Descriptor("a/b", BLOB, 7))
