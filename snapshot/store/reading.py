"""Reads from a backend that trust nothing: every byte is checked against the digest and the size that were asked for."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, final

from snapshot.store.errors import StoreError
from snapshot.store.manifest import Index, Row, decode_index, identify

if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO, NoReturn

    from snapshot.digest import Descriptor, Digest
    from snapshot.store.backend import Backend

#: At most this is asked of the file at once, so that a size that lies cannot claim memory.
_CHUNK = 1 << 20


class DamagedBlobError(StoreError, ValueError):
    """A blob whose bytes are not those that its digest or its descriptor promises."""


class DamagedIndexError(StoreError, ValueError):
    """An index.json that cannot be read."""


@final
class VerifyingReader:
    """A blob as a stream. The last byte is handed out only when size and digest are right.

    Whoever stops before the end has bytes that nobody verified: call `finish` then.
    """

    def __init__(self, raw: BinaryIO, descriptor: Descriptor, where: str) -> None:
        self._raw = raw
        self._descriptor = descriptor
        self._where = where
        self._left = descriptor.size
        self._hash = sha256()
        self._verified = False
        self._damage: DamagedBlobError | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all that is left when negative; empty only at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        if self._damage:
            raise self._damage
        try:
            data = self._raw.read(min(size, self._left, _CHUNK))
        except OSError as error:  # a bad sector
            self._damaged(f"cannot be read ({error.strerror})")
        if size:
            self._account(data)
        return data

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def finish(self) -> None:
        """Read what is left, for its digest."""
        while self.read(_CHUNK):
            pass

    def close(self) -> None:
        self._raw.close()

    def __enter__(self) -> VerifyingReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _account(self, data: bytes) -> None:
        if self._verified:
            return
        if self._left and not data:
            self._damaged(f"ends after {self._descriptor.size - self._left} of {self._descriptor.size} bytes")
        self._hash.update(data)
        self._left -= len(data)
        if self._left:
            return
        if self._raw.read(1):
            self._damaged(f"is longer than the {self._descriptor.size} bytes that it should have")
        if self._hash.hexdigest() != self._descriptor.digest.hex:
            self._damaged(f"has the content sha256:{self._hash.hexdigest()}")
        self._verified = True

    def _damaged(self, what: str) -> NoReturn:
        self._damage = DamagedBlobError(
            f"blob {self._descriptor.digest} in {self._where} is damaged: it {what}; put a good copy in its place, "
            "or delete it and capture again"
        )
        raise self._damage


def open_blob(backend: Backend, descriptor: Descriptor) -> VerifyingReader:
    return VerifyingReader(backend.open(descriptor.digest), descriptor, str(backend))


def read_blob(backend: Backend, descriptor: Descriptor) -> bytes:
    with open_blob(backend, descriptor) as reader:
        return reader.read()


def load_index(backend: Backend) -> Index | None:
    """The index, None when nothing was published yet."""
    data = backend.read_index()
    if data is None:
        return None
    try:
        return decode_index(data)
    except ValueError as error:
        raise DamagedIndexError(
            f"the index of {backend} is damaged: {error}; put a copy of index.json in its place (the blobs are "
            "not affected)"
        ) from error


def snapshot_of(backend: Backend, row: Row) -> Digest | None:
    """The id of the snapshot that `row` refers to, None when it is something else.

    Tools that copy single snapshots leave our annotation out of the index they write: then the manifest tells.
    """
    if row.foreign or row.descriptor is None:
        return None
    return row.snapshot or identify(read_blob(backend, row.descriptor), f"manifest {row.descriptor.digest}")
