"""What every backend must do. Subclass BackendConformance in a test module, with a `backend` fixture."""
# ruff: noqa: S101 - tests assert, and their names say what

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from snapshot.documents import digest_of
from snapshot.store.errors import MissingBlobError

if TYPE_CHECKING:
    from snapshot.digest import Digest
    from snapshot.store.backend import Backend, Staging

ABSENT = digest_of(b"never stored")


def stage(staging: Staging, data: bytes) -> Digest:
    blob = staging.blob()
    blob.write(data)
    return blob.close()[0]


def publish(backend: Backend, *blobs: bytes) -> int:
    with backend.staging() as staging:
        for data in blobs:
            stage(staging, data)
        with backend.lock():
            return staging.publish()


def read(backend: Backend, digest: Digest) -> bytes:
    with backend.open(digest) as file:
        return file.read()


class BackendConformance:
    """The suite. `backend` is a fixture that gives a new, empty backend."""

    def test_new_backend_is_empty(self, backend: Backend) -> None:
        assert backend.read_index() is None
        assert list(backend.digests()) == []
        assert not backend.has(ABSENT)

    def test_missing_blob_is_named(self, backend: Backend) -> None:
        publish(backend, b"another")
        for ask in (backend.size, backend.modified, backend.open):
            with pytest.raises(MissingBlobError, match=ABSENT):
                ask(ABSENT)

    def test_delete_of_a_missing_blob_is_no_error(self, backend: Backend) -> None:
        backend.delete(ABSENT)
        assert not backend.has(ABSENT)

    def test_published_blob_is_there(self, backend: Backend) -> None:
        assert publish(backend, b"content") == 7
        digest = digest_of(b"content")
        assert backend.has(digest)
        assert backend.size(digest) == 7
        assert read(backend, digest) == b"content"
        assert list(backend.digests()) == [digest]

    def test_close_tells_digest_and_size(self, backend: Backend) -> None:
        with backend.staging() as staging:
            blob = staging.blob()
            assert blob.write(b"con") == 3
            assert blob.write(memoryview(b"tent")) == 4
            assert blob.close() == (digest_of(b"content"), 7)
            assert blob.close() == (digest_of(b"content"), 7)

    def test_bytes_of_other_types_count_as_bytes(self, backend: Backend) -> None:
        with backend.staging() as staging:
            blob = staging.blob()
            wide = memoryview(bytes(range(8))).cast("I")
            assert blob.write(wide) == 8
            assert blob.write(bytearray(b"x")) == 1
            assert blob.close() == (digest_of(bytes(range(8)) + b"x"), 9)

    def test_empty_blob(self, backend: Backend) -> None:
        assert publish(backend, b"") == 0
        assert backend.has(digest_of(b""))
        assert read(backend, digest_of(b"")) == b""

    def test_staged_blob_is_not_in_the_store(self, backend: Backend) -> None:
        with backend.staging() as staging:
            digest = stage(staging, b"content")
            assert not backend.has(digest)
            assert list(backend.digests()) == []
        assert not backend.has(digest)

    def test_unclosed_blob_is_not_published(self, backend: Backend) -> None:
        with backend.staging() as staging:
            staging.blob().write(b"half")
            stage(staging, b"whole")
            with backend.lock():
                assert staging.publish() == 5
        assert list(backend.digests()) == [digest_of(b"whole")]

    def test_abandoned_blob_is_not_published(self, backend: Backend) -> None:
        with backend.staging() as staging:
            blob = staging.blob()
            blob.write(b"half")
            blob.abandon()
            stage(staging, b"whole")
            with backend.lock():
                assert staging.publish() == 5
        assert list(backend.digests()) == [digest_of(b"whole")]

    def test_failure_within_staging_publishes_nothing(self, backend: Backend) -> None:
        def fail() -> None:
            with backend.staging() as staging:
                stage(staging, b"content")
                raise KeyError("from the caller")

        with pytest.raises(KeyError, match="from the caller"):
            fail()
        assert list(backend.digests()) == []

    def test_write_after_close_is_refused(self, backend: Backend) -> None:
        with backend.staging() as staging:
            blob = staging.blob()
            blob.close()
            with pytest.raises(ValueError, match="closed"):
                blob.write(b"more")

    def test_publishing_again_adds_nothing(self, backend: Backend) -> None:
        assert publish(backend, b"one", b"two") == 6
        assert publish(backend, b"two", b"three") == 5
        assert publish(backend, b"one", b"two") == 0
        assert sorted(backend.digests()) == sorted(map(digest_of, (b"one", b"two", b"three")))

    def test_same_blob_twice_in_one_staging(self, backend: Backend) -> None:
        assert publish(backend, b"same", b"same") == 4
        assert read(backend, digest_of(b"same")) == b"same"

    def test_staging_can_publish_more_than_once(self, backend: Backend) -> None:
        with backend.staging() as staging:
            for data in (b"first", b"other"):
                stage(staging, data)
                with backend.lock():
                    assert staging.publish() == 5
        assert len(list(backend.digests())) == 2

    def test_two_stagings_do_not_disturb_each_other(self, backend: Backend) -> None:
        with backend.staging() as outer:
            first = stage(outer, b"outer")
            with backend.staging() as inner, backend.lock():
                stage(inner, b"inner")
                inner.publish()
            assert list(backend.digests()) == [digest_of(b"inner")]
            with backend.lock():
                outer.publish()
        assert backend.has(first)

    def test_threads_stage_at_the_same_time(self, backend: Backend) -> None:
        data = [bytes([number]) * 5000 for number in range(40)]
        with backend.staging() as staging:
            with ThreadPoolExecutor(4) as pool:
                digests = list(pool.map(lambda each: stage(staging, each), data))
            with backend.lock():
                assert staging.publish() == 40 * 5000
        assert digests == [digest_of(each) for each in data]
        assert all(read(backend, digest) == each for digest, each in zip(digests, data, strict=True))

    def test_deleted_blob_is_gone_and_can_come_back(self, backend: Backend) -> None:
        publish(backend, b"content")
        backend.delete(digest_of(b"content"))
        assert not backend.has(digest_of(b"content"))
        assert publish(backend, b"content") == 7
        assert backend.has(digest_of(b"content"))

    def test_open_blob_outlives_its_deletion(self, backend: Backend) -> None:
        publish(backend, b"content")
        with backend.open(digest_of(b"content")) as file:
            backend.delete(digest_of(b"content"))
            assert file.read() == b"content"

    def test_index_is_replaced_as_a_whole(self, backend: Backend) -> None:
        for data in (b'{"first": true}', b"{}"):
            with backend.lock():
                backend.replace_index(data)
            assert backend.read_index() == data

    def test_documents_are_replaced_as_a_whole(self, backend: Backend) -> None:
        assert backend.read_document("removed.json") is None
        for data in (b'{"first": true}', b"{}"):
            with backend.lock():
                backend.replace_document("removed.json", data)
            assert backend.read_document("removed.json") == data
        assert backend.read_index() is None

    def test_a_blob_knows_when_it_was_written(self, backend: Backend) -> None:
        before = time.time()
        publish(backend, b"content")
        # File systems keep coarser times, and have them from another clock.
        assert before - 60 <= backend.modified(digest_of(b"content")) <= time.time() + 60

    def test_lock_excludes_others(self, backend: Backend) -> None:
        entered = threading.Event()
        order = []

        def other() -> None:
            entered.set()
            with backend.lock():
                order.append("other")

        with backend.lock():
            thread = threading.Thread(target=other)
            thread.start()
            entered.wait()
            thread.join(0.1)  # time for a lock that does not hold to show it
            order.append("first")
        thread.join()
        assert order == ["first", "other"]

    def test_lock_is_free_after_a_failure(self, backend: Backend) -> None:
        with pytest.raises(KeyError, match="from the caller"), backend.lock():
            raise KeyError("from the caller")
        with backend.lock():
            assert backend.read_index() is None
