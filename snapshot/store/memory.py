"""A store that lasts as long as its object: for tests, and for captures that are only looked at."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from snapshot.documents import digest_of
from snapshot.store.errors import MissingBlobError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.digest import Digest


class MemoryBackend:
    """Blobs in a dictionary. `blobs`, `index` and the others may be looked at, and changed to do harm."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.index: bytes | None = None
        self.documents: dict[str, bytes] = {}
        #: When each blob was written; one that a test put there by itself is as old as time.
        self.times: dict[Digest, float] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return "memory"

    def has(self, digest: Digest) -> bool:
        return digest in self.blobs

    def size(self, digest: Digest) -> int:
        return len(self._blob(digest))

    def modified(self, digest: Digest) -> float:
        self._blob(digest)
        return self.times.get(digest, 0.0)

    def open(self, digest: Digest) -> BinaryIO:
        return BytesIO(self._blob(digest))

    def delete(self, digest: Digest) -> None:
        self.blobs.pop(digest, None)

    def digests(self) -> Iterator[Digest]:
        yield from sorted(self.blobs)

    @contextmanager
    def staging(self) -> Iterator[MemoryStaging]:
        yield MemoryStaging(self)

    def read_index(self) -> bytes | None:
        return self.index

    def replace_index(self, data: bytes) -> None:
        self.index = data

    def read_document(self, name: str) -> bytes | None:
        return self.documents.get(name)

    def replace_document(self, name: str, data: bytes) -> None:
        self.documents[name] = data

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._lock:
            yield

    def _blob(self, digest: Digest) -> bytes:
        if digest not in self.blobs:
            raise MissingBlobError(f"blob {digest} is not in {self}; capture again")
        return self.blobs[digest]


class MemoryStaging:
    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend
        self._closed: list[bytes] = []

    def blob(self) -> MemoryStagedBlob:
        return MemoryStagedBlob(self._closed)

    def publish(self) -> int:
        added = 0
        for data in self._closed:
            digest = digest_of(data)
            there = self._backend.blobs.get(digest)
            if there is None or len(there) != len(data):
                self._backend.blobs[digest] = data
                self._backend.times[digest] = time.time()
                added += len(data)
        self._closed.clear()
        return added


class MemoryStagedBlob:
    def __init__(self, closed: list[bytes]) -> None:
        self._closed = closed
        self._data = bytearray()
        self._done: tuple[Digest, int] | None = None

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        if self._done is not None:
            raise ValueError("the blob is closed")
        self._data += data
        return memoryview(data).nbytes

    def close(self) -> tuple[Digest, int]:
        if self._done is None:
            data = bytes(self._data)
            self._closed.append(data)
            self._done = digest_of(data), len(data)
        return self._done

    def abandon(self) -> None:
        self._data.clear()
