"""What a place for blobs must do. Each implementation passes the suite in `snapshot.testing.conformance`.

The protocol is narrow on purpose: bytes by digest, one index and few documents beside it, one lock. What they mean is `snapshot.store.store`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from snapshot.digest import Digest


class StagedBlob(Protocol):
    """A blob on its way in. Bytes go in by `write`, from one thread; its digest is known after `close`."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...

    def close(self) -> tuple[Digest, int]:
        """Finish it; return its digest and size in bytes. It is not in the store before `Staging.publish`."""
        ...

    def abandon(self) -> None:
        """Forget it, and give back what it holds. Only for one that was not closed."""
        ...


class Staging(Protocol):
    """A set of blobs that come into the store together, or not at all. Threads may call `blob` at the same time."""

    def blob(self) -> StagedBlob: ...

    def publish(self) -> int:
        """Make every closed blob part of the store, durably; return how many bytes were not there before.

        Idempotent for a digest that the store has: success means that the content *is* stored. Call it with the
        backend's lock held, so that no collection comes between this and the index.
        """
        ...


class Backend(Protocol):
    def has(self, digest: Digest) -> bool: ...

    def size(self, digest: Digest) -> int:
        """Bytes of a blob. Raises MissingBlobError."""
        ...

    def modified(self, digest: Digest) -> float:
        """When the blob was written, in seconds since the epoch. Raises MissingBlobError."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """A raw reader: verification is the caller's. Raises MissingBlobError."""
        ...

    def delete(self, digest: Digest) -> None:
        """Remove a blob; one that is not there is no error."""
        ...

    def digests(self) -> Iterator[Digest]: ...

    def staging(self) -> AbstractContextManager[Staging]:
        """A new staging area; what was not published is gone when the context ends."""
        ...

    def read_index(self) -> bytes | None:
        """The bytes of index.json, None when there is none yet."""
        ...

    def replace_index(self, data: bytes) -> None:
        """Replace index.json atomically and durably. Call it with the lock held."""
        ...

    def read_document(self, name: str) -> bytes | None:
        """The bytes of a small document beside the index, None when there is none of that name."""
        ...

    def replace_document(self, name: str, data: bytes) -> None:
        """Replace it atomically and durably. Call it with the lock held."""
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Exclusive among writers, across processes. Readers never take it."""
        ...
