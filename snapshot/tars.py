"""A layer's tar out of the store, whatever its blob's encoding: as a stream, or, to make or to read a delta, as a file."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from snapshot.codec import CHUNK, DamagedLayerError, decompress, dictionary_of, read_exactly, read_note, unpack_against
from snapshot.delta import decode_head, decode_segment
from snapshot.digest import Digest, InvalidDigestError
from snapshot.errors import SnapshotError
from snapshot.store.errors import MissingBlobError
from snapshot.store.manifest import BASE, DELTA_TYPE, LAYER_TYPE
from snapshot.store.store import NoCacheError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from snapshot.codec import Dictionary, Piece, Source
    from snapshot.delta import Delta, Range, Segment
    from snapshot.digest import Descriptor
    from snapshot.store.reading import VerifyingReader
    from snapshot.store.store import Store

#: How often a blob may vanish in front of a reader, before it is taken for lost.
_ATTEMPTS = 3

#: Deltas in a row that a reader follows: more is no store of ours.
DEEPEST = 32


class EncodingError(SnapshotError, ValueError):
    """A layer in an encoding that this version cannot read."""


class NoSpaceError(SnapshotError, OSError):
    """What is to be unpacked does not fit."""


class Tar:
    """Bytes at any place of a tar that lies in a file without a name: it is gone with the last who has it open."""

    def __init__(self, directory: str | None) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - closed by `close`
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(data)
        return len(data)

    def reader(self) -> BinaryIO:
        """Its bytes from the beginning, as a stream of its own."""
        return open(f"/proc/self/fd/{self._file.fileno()}", "rb")

    def read(self, *ranges: tuple[int, int]) -> bytearray:
        """The bytes of all ranges (offset and length), which must be there, one after the other."""
        data = bytearray(sum(length for _, length in ranges))
        self.read_into(memoryview(data), *ranges)
        return data

    def read_into(self, view: memoryview, *ranges: tuple[int, int]) -> None:
        """The same, into a buffer that has room for all of them."""
        at = 0
        for offset, length in ranges:
            begin, end = at, at + length
            while at < end:
                got = os.preadv(self._file.fileno(), [view[at:end]], offset + at - begin)
                if not got:
                    raise DamagedLayerError(f"a tar of {self.size} bytes has no {length} at {offset}")
                at += got

    def digest(self) -> Digest:
        hashed = sha256()
        for offset in range(0, self.size, CHUNK):
            hashed.update(self.read((offset, min(CHUNK, self.size - offset))))
        return Digest.of_hex(hashed.hexdigest())

    def free(self) -> int:
        """Bytes that there is room for."""
        status = os.fstatvfs(self._file.fileno())
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Tar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _room(store: Store) -> str | None:
    """Where large files that are soon gone may lie: in the node's cache, or else where the system puts them."""
    # A store may be without a cache, or with one that is not ours to write.
    with suppress(NoCacheError, OSError):
        path = os.fspath(store.cache)
        os.makedirs(path, exist_ok=True)
        if os.access(path, os.W_OK):
            return path
    return None


class Tars:
    """Reads layers. `content` says which blob holds a diff_id (`Manifest.content`, `Store.contents`); bases of deltas are
    written to unnamed files in `directory`.
    """

    def __init__(self, store: Store, content: Mapping[Digest, Descriptor]) -> None:
        self._store = store
        self._content = content
        # Asked first, when something of `content` has turned out to be gone.
        self._now: Mapping[Digest, Descriptor] = {}
        self.directory = _room(store)

    def chunks(self, diff_id: Digest, label: str) -> Iterator[Piece]:
        """The tar in pieces. Its blobs are verified by the time the last piece has come; whether it is the tar of
        `diff_id` is for the reader to see. Raises DamagedLayerError, DamagedBlobError, FormatError, MissingBlobError.
        """
        return self._chunks(diff_id, label, ())

    def file(self, diff_id: Digest, label: str, size: int) -> Tar:
        """The tar as a file, to encode it or something against it: so it is compared with its `diff_id`, and with its `size`
        in bytes. Raises what `chunks` does.
        """
        with ExitStack() as undo:
            tar = undo.enter_context(self._file(diff_id, label, size, ()))
            if tar.digest() != diff_id:
                raise DamagedLayerError(f"layer {label}: its tar is not {diff_id}; capture it again")
            undo.pop_all()
        return tar

    def _file(self, diff_id: Digest, label: str, size: int, above: tuple[Digest, ...]) -> Tar:
        with ExitStack() as undo:
            tar = undo.enter_context(Tar(self.directory))
            if size > tar.free():
                place = self.directory or tempfile.gettempdir()
                raise NoSpaceError(
                    f"layer {label}: the tar of {diff_id} takes {size / 1e6:,.0f} MB, and {place} "
                    f"has {tar.free() / 1e6:,.0f} MB free; make room"
                )
            for chunk in self._chunks(diff_id, label, above):
                if tar.size + len(chunk) > size:
                    raise DamagedLayerError(f"layer {label}: it is larger than {size} bytes; nothing of it is used")
                tar.write(chunk)
            undo.pop_all()
        return tar

    def _chunks(self, diff_id: Digest, label: str, above: tuple[Digest, ...]) -> Iterator[Piece]:
        blob, opened = self._open(diff_id, label)
        what = f"layer {label} (blob {blob.digest})"
        with opened as source:
            # By blob: a layer that was encoded anew while it was read may come again, as another blob.
            if blob.digest in above or len(above) > DEEPEST:
                raise DamagedLayerError(f"{what}: its deltas lead in a circle, or are over {DEEPEST}; capture it again")
            if blob.media_type == LAYER_TYPE:
                yield from decompress(source, what)
            elif blob.media_type == DELTA_TYPE:
                yield from self._delta(source, blob, what, label, (*above, blob.digest))
            else:
                raise EncodingError(f"{what}: {blob.media_type} is unknown to this envparity; install a newer one")
            source.finish()

    def _open(self, diff_id: Digest, label: str) -> tuple[Descriptor, VerifyingReader]:
        """The layer's blob. One that is gone may have been encoded anew meanwhile: then the store knows where."""
        for _ in range(_ATTEMPTS):
            try:
                blob = self._blob(diff_id, label)
                return blob, self._store.open(blob)
            except MissingBlobError:
                self._now = self._store.contents()
        blob = self._blob(diff_id, label)
        return blob, self._store.open(blob)

    def _blob(self, diff_id: Digest, label: str) -> Descriptor:
        return self._now.get(diff_id) or blob_of(self._content, diff_id, label)

    def _delta(
        self, source: VerifyingReader, blob: Descriptor, what: str, label: str, above: tuple[Digest, ...]
    ) -> Iterator[Piece]:
        head = decode_head(read_note(source, what), what)
        if blob.annotations.get(BASE) != head.base:
            raise DamagedLayerError(f"{what}: the manifest names another base than {head.base}; capture it again")
        with self._file(head.base, label, head.base_size, above) as base:
            if base.size != head.base_size:
                raise DamagedLayerError(
                    f"{what}: its base has {base.size} bytes, not {head.base_size}; capture it again"
                )
            yield from segments(source, head, base, what)


def segments(source: Source, head: Delta, base: Tar, what: str) -> Iterator[Piece]:
    """The tar that a delta makes, from behind its head in `source`. Raises DamagedLayerError, FormatError."""
    made = 0
    dictionaries = _Dictionaries(base)
    while made < head.size:
        segment, packed = decode_segment(read_note(source, what), head.base_size, what)
        made += segment.length
        if made > head.size:
            raise DamagedLayerError(f"{what}: it makes more than the {head.size} bytes that it declares")
        new = memoryview(b"")
        if packed:
            frame = read_exactly(source, packed, what)
            new = memoryview(unpack_against(dictionaries.get(segment.dictionary), frame, segment.new, what))
            del frame
        yield from _pieces(segment, new, base)
    if source.read(1):
        raise DamagedLayerError(f"{what}: it goes on after the {head.size} bytes that it declares")


class _Dictionaries:
    """The dictionaries of one delta's segments, the last of which is kept: the next segment often has the same."""

    def __init__(self, base: Tar) -> None:
        self._base = base
        self._ranges: tuple[Range, ...] = ()
        self._made: Dictionary | None = None
        self._buffer = bytearray()

    def get(self, ranges: tuple[Range, ...]) -> Dictionary | None:
        if ranges != self._ranges:
            self._made = None  # not two at a time
            size = sum(each.length for each in ranges)
            if size > len(self._buffer):
                self._buffer = bytearray()
                self._buffer = bytearray(size)
            with memoryview(self._buffer)[:size] as view:
                self._base.read_into(view, *ranges)
                self._made = dictionary_of(view)
            self._ranges = ranges
        return self._made


def _pieces(segment: Segment, new: memoryview, base: Tar) -> Iterator[Piece]:
    for step in segment.operations:
        if step.offset is None:
            yield new[: step.length]
            new = new[step.length :]
        else:
            for done in range(0, step.length, CHUNK):
                yield base.read((step.offset + done, min(CHUNK, step.length - done)))


def blob_of(content: Mapping[Digest, Descriptor], diff_id: Digest, label: str) -> Descriptor:
    """The blob that holds a layer. Raises MissingBlobError."""
    found = content.get(diff_id)
    if found is None:
        raise MissingBlobError(f"the manifest has no blob for layer {label}; copy or capture the snapshot again")
    return found


def bases(content: Mapping[Digest, Descriptor], diff_id: Digest) -> list[Digest]:
    """The diff_ids of the bases that a layer's blob needs, its own first. Raises MissingBlobError, DamagedLayerError."""
    found: list[Digest] = []
    blob = blob_of(content, diff_id, diff_id)
    while blob.media_type == DELTA_TYPE:
        base = _base_of(blob, diff_id)
        if base in found or base == diff_id:
            raise DamagedLayerError(f"the deltas of {diff_id} lead in a circle; capture it again")
        found.append(base)
        blob = blob_of(content, base, base)
    return found


def _base_of(blob: Descriptor, diff_id: Digest) -> Digest:
    try:
        return Digest(blob.annotations.get(BASE, ""))
    except InvalidDigestError as error:
        raise DamagedLayerError(f"the manifest does not say what {diff_id} is a delta against: {error}") from error
