"""A backend that fails at a chosen moment, to see what the others make of it."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Literal

from snapshot.store.errors import StoreError
from snapshot.store.scrub import Housekeeping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.digest import Digest
    from snapshot.store.backend import Backend, StagedBlob, Staging

#: `full`: each operation that writes fails from then on, as on a disk without space. `crash`: everything does, with a
#: SimulatedCrash.
Fault = Literal["full", "crash"]


class SimulatedCrash(BaseException):
    """The process is gone at this point. No `except Exception` sees it, as no handler runs in a killed process."""


class FaultyBackend:
    """Wraps `inner`, counts the operations on it, and from the `fail_at`-th on (the first is 1) lets them fail.

    `fail_at` of None never fails: then `operations` tells how many there are. A crash comes before an operation has any
    effect; what the operating system would do for a dead process (release its lock) still happens.
    """

    def __init__(self, inner: Backend, fail_at: int | None, fault: Fault = "full") -> None:
        self.inner = inner
        self.operations = 0
        self._fail_at = fail_at
        self._fault = fault
        self._counting = threading.Lock()

    def __str__(self) -> str:
        return str(self.inner)

    def has(self, digest: Digest) -> bool:
        self.step(writes=False)
        return self.inner.has(digest)

    def size(self, digest: Digest) -> int:
        self.step(writes=False)
        return self.inner.size(digest)

    def modified(self, digest: Digest) -> float:
        self.step(writes=False)
        return self.inner.modified(digest)

    def open(self, digest: Digest) -> BinaryIO:
        self.step(writes=False)
        return self.inner.open(digest)

    def delete(self, digest: Digest) -> None:
        # A full disk lets one delete.
        self.step(writes=False)
        self.inner.delete(digest)

    def digests(self) -> Iterator[Digest]:
        self.step(writes=False)
        return self.inner.digests()

    @contextmanager
    def staging(self) -> Iterator[Staging]:
        self.step()
        with self.inner.staging() as staging:
            yield _FaultyStaging(self, staging)

    def read_index(self) -> bytes | None:
        self.step(writes=False)
        return self.inner.read_index()

    def replace_index(self, data: bytes) -> None:
        self.step()
        self.inner.replace_index(data)

    def read_document(self, name: str) -> bytes | None:
        self.step(writes=False)
        return self.inner.read_document(name)

    def replace_document(self, name: str, data: bytes) -> None:
        self.step()
        self.inner.replace_document(name, data)

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.step(writes=False)
        with self.inner.lock():
            yield

    def sweep(self) -> int:
        self.step(writes=False)
        return self.inner.sweep() if isinstance(self.inner, Housekeeping) else 0

    def oddities(self) -> Iterator[tuple[str, str, str]]:
        self.step(writes=False)
        return self.inner.oddities() if isinstance(self.inner, Housekeeping) else iter(())

    def step(self, *, writes: bool = True) -> None:
        with self._counting:
            self.operations += 1
            failing = self._fail_at is not None and self.operations >= self._fail_at
        if not failing:
            return
        if self._fault == "crash":
            raise SimulatedCrash(f"at operation {self.operations}")
        if writes:
            error = StoreError(f"cannot write to {self}: the disk is full; nothing was published")
            error.errno = errno.ENOSPC
            raise error


class _FaultyStaging:
    def __init__(self, backend: FaultyBackend, inner: Staging) -> None:
        self._backend = backend
        self._inner = inner

    def blob(self) -> _FaultyStagedBlob:
        self._backend.step()
        return _FaultyStagedBlob(self._backend, self._inner.blob())

    def publish(self) -> int:
        self._backend.step()
        return self._inner.publish()


class _FaultyStagedBlob:
    def __init__(self, backend: FaultyBackend, inner: StagedBlob) -> None:
        self._backend = backend
        self._inner = inner

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._backend.step()
        return self._inner.write(data)

    def close(self) -> tuple[Digest, int]:
        self._backend.step()
        return self._inner.close()

    def abandon(self) -> None:
        self._inner.abandon()
