"""A layer's tar out of the store, whatever its blob's encoding: as a stream, or, to make or to read a delta, as a file."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Protocol

from snapshot.codec import CHUNK, DamagedLayerError, decompress, dictionary_of, read_exactly, read_note, unpack_against
from snapshot.delta import Range, decode_head, decode_segment
from snapshot.digest import Digest, InvalidDigestError
from snapshot.documents import FormatError
from snapshot.errors import SnapshotError
from snapshot.space import NoSpaceError, room_in
from snapshot.store.errors import MissingBlobError
from snapshot.store.manifest import BASE, DELTA_TYPE, LAYER_TYPE
from snapshot.store.reading import DamagedBlobError
from snapshot.store.store import NoCacheError
from snapshot.stretches import Laid, Log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from snapshot.codec import Dictionary, Piece, Source
    from snapshot.delta import Delta, Segment
    from snapshot.digest import Descriptor
    from snapshot.memory import Spare
    from snapshot.store.reading import VerifyingReader
    from snapshot.store.store import Store

#: How often a blob may vanish in front of a reader, before it is taken for lost.
_ATTEMPTS = 3

#: Deltas in a row that a reader follows: more is no store of ours.
DEEPEST = 32


class EncodingError(SnapshotError, ValueError):
    """A layer in an encoding that this version cannot read."""


#: Why a layer cannot be had from the store: it stays as it is, and others do not wait for it.
UNREADABLE = (MissingBlobError, DamagedBlobError, DamagedLayerError, FormatError, EncodingError)


class Tar:
    """Bytes at any place of a tar that lies in a file without a name: it is gone with the last who has it open."""

    def __init__(self, directory: str | None) -> None:
        self._place = directory or tempfile.gettempdir()
        with room_in(self._place):
            self._file: BinaryIO = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - closed by `close`
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        view = memoryview(data)
        with room_in(self._place):
            while view:
                view = view[self._file.write(view) :]
        self.size += len(data)
        return len(data)

    def write_at(self, offset: int, data: bytes | bytearray | memoryview, /) -> None:
        """Put `data` at `offset`; what was never written is zeros, and takes no room."""
        self.size = max(self.size, offset + len(data))
        view = memoryview(data)
        with room_in(self._place):
            while view:
                written = os.pwrite(self._file.fileno(), view, offset)
                offset, view = offset + written, view[written:]

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

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """The bytes of a range, which must be there."""
        for done in range(0, length, CHUNK):
            yield self.read((offset + done, min(CHUNK, length - done)))

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
    """Reads layers. `content` says which blob holds a diff_id (`Manifest.content`, `Store.contents`); bases of deltas lie
    in memory and in unnamed files in `directory`. A reader of many layers, one after the other, brings the `log` for them.
    """

    def __init__(self, store: Store, content: Mapping[Digest, Descriptor], log: Log | None = None) -> None:
        self._store = store
        self._content = content
        self._log = log
        # Asked first, when something of `content` has turned out to be gone.
        self._now: Mapping[Digest, Descriptor] = {}
        self.directory = _room(store)

    def chunks(self, diff_id: Digest, label: str) -> Iterator[Piece]:
        """The tar in pieces; each is there until the next is asked for. Its blobs are verified by the time the last piece has
        come; whether it is the tar of `diff_id` is for the reader to see. Raises DamagedLayerError, DamagedBlobError,
        FormatError, MissingBlobError.
        """
        with ExitStack() as undo:
            if self._log is None:
                log = undo.enter_context(Log(self.directory))
            else:
                log = self._log
                undo.callback(log.clear)
            source, blob, what = undo.enter_context(self._reading(diff_id, label, ()))
            if blob.media_type == LAYER_TYPE:
                yield from decompress(source, what)
            else:
                head, base = self._base(source, blob, label, log, (blob.digest,))
                yield from segments(source, head, base, what, log.spare)

    def file(self, diff_id: Digest, label: str, size: int, wanted: Sequence[Range] | None = None) -> Tar:
        """The tar as a file, to encode it or something against it: so it is compared with its `diff_id`, and with its `size`
        in bytes. With `wanted`, ranges in order, only these are in the file, where they lie in the tar. Raises what `chunks` does.
        """
        parts = [Range(0, size)] if wanted is None else wanted
        self._check_space(diff_id, label, sum(part.length for part in parts))
        left = iter(parts)
        part, hashed, at = next(left, None), sha256(), 0
        with ExitStack() as undo:
            tar = undo.enter_context(Tar(self.directory))
            for chunk in self.chunks(diff_id, label):
                view, begin = memoryview(chunk), at
                at += len(chunk)
                if at > size:
                    raise DamagedLayerError(f"layer {label}: it is larger than {size} bytes; nothing of it is used")
                hashed.update(view)
                while part is not None and part.offset < at:
                    end = part.offset + part.length
                    tar.write_at(max(part.offset, begin), view[max(part.offset - begin, 0) : end - begin])
                    if end > at:
                        break
                    part = next(left, None)
            if hashed.hexdigest() != diff_id.hex:
                raise DamagedLayerError(f"layer {label}: its tar is not {diff_id}; {self._mend(diff_id)}")
            undo.pop_all()
        return tar

    def _mend(self, diff_id: Digest) -> str:
        """What to do about a blob that is what its own digest says, and not what it is there for."""
        blob = self._now.get(diff_id) or self._content.get(diff_id)
        return f"delete blob {blob.digest} and capture again" if blob else "capture it again"

    def _check_space(self, diff_id: Digest, label: str, size: int) -> None:
        place = self.directory or tempfile.gettempdir()
        status = os.statvfs(place)
        free = status.f_bavail * status.f_frsize
        if size > free:
            raise NoSpaceError(
                f"layer {label}: the tar of {diff_id} takes {size / 1e6:,.0f} MB, and {place} "
                f"has {free / 1e6:,.0f} MB free; make room"
            )

    @contextmanager
    def _reading(
        self, diff_id: Digest, label: str, above: tuple[Digest, ...]
    ) -> Iterator[tuple[VerifyingReader, Descriptor, str]]:
        """A layer's blob, which is read to its end; `above` are those that it is read for."""
        blob, opened = self._open(diff_id, label)
        what = f"layer {label} (blob {blob.digest})"
        with opened as source:
            # By blob: a layer that was encoded anew while it was read may come again, as another blob.
            if blob.digest in above or len(above) > DEEPEST:
                raise DamagedLayerError(
                    f"{what}: its deltas lead in a circle, or are over {DEEPEST}; delete that blob and capture again"
                )
            if blob.media_type not in (LAYER_TYPE, DELTA_TYPE):
                raise EncodingError(f"{what}: {blob.media_type} is unknown to this envparity; install a newer one")
            yield source, blob, what
            source.finish()

    def _base(
        self, source: VerifyingReader, blob: Descriptor, label: str, log: Log, above: tuple[Digest, ...]
    ) -> tuple[Delta, Laid]:
        """The head of a delta, and its base, laid in `log`."""
        what = f"layer {label} (blob {blob.digest})"
        head = decode_head(read_note(source, what), what)
        if blob.annotations.get(BASE) != head.base:
            raise DamagedLayerError(
                f"{what}: the manifest names another base than {head.base}; delete that blob and capture again"
            )
        self._check_space(head.base, label, head.base_size)
        base = self._laid(head, label, log, above)
        if base.size != head.base_size:
            raise DamagedLayerError(
                f"{what}: its base has {base.size} bytes, not {head.base_size}; delete that blob and capture again"
            )
        return head, base

    def _laid(self, wanted: Delta, label: str, log: Log, above: tuple[Digest, ...]) -> Laid:
        """The base of `wanted`. No more of it is read than there should be."""
        made = Laid(log)
        larger = f"layer {label}: it is larger than {wanted.base_size} bytes; nothing of it is used"
        with self._reading(wanted.base, label, above) as (source, blob, what):
            if blob.media_type == LAYER_TYPE:
                for piece in decompress(source, what):
                    if made.size + len(piece) > wanted.base_size:
                        raise DamagedLayerError(larger)
                    made.extend([(log.add(piece), len(piece))])
            else:
                head, base = self._base(source, blob, label, log, (*above, blob.digest))
                if head.size > wanted.base_size:
                    raise DamagedLayerError(larger)
                _lay(source, head, base, made, what)
        return made

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


class Base(Protocol):
    """The tar that a delta is against."""

    def read_into(self, view: memoryview, *ranges: tuple[int, int]) -> None: ...

    def pieces(self, offset: int, length: int) -> Iterator[Piece]: ...


def segments(source: Source, head: Delta, base: Base, what: str, spare: Spare) -> Iterator[Piece]:
    """The tar that a delta makes, from behind its head in `source`; each piece is there until the next is asked for.
    Raises DamagedLayerError, FormatError.
    """
    for segment, dictionary, frame in _segments(source, head, base, what, spare):
        new = spare.get(segment.new)
        if frame:
            unpack_against(dictionary, frame, new, what)
        del dictionary, frame  # not two of them at a time
        for step in segment.operations:
            if step.offset is None:
                yield new[: step.length]
                new = new[step.length :]
            else:
                yield from base.pieces(step.offset, step.length)


def _lay(source: Source, head: Delta, base: Laid, made: Laid, what: str) -> None:
    """The same, at the end of `made`, a tar in the same log."""
    log = made.log
    for segment, dictionary, frame in _segments(source, head, base, what, log.spare):
        place = log.fill(segment.new, partial(_unpack, dictionary, frame, what)) if frame else 0
        del dictionary, frame  # not two of them at a time
        parts = []
        for step in segment.operations:
            if step.offset is None:
                parts.append((place, step.length))
                place += step.length
            else:
                parts += base.stretches(step.offset, step.length)
        made.extend(parts)


def _unpack(dictionary: Dictionary | None, frame: bytes, what: str, view: memoryview) -> None:
    unpack_against(dictionary, frame, view, what)


def _segments(
    source: Source, head: Delta, base: Base, what: str, spare: Spare
) -> Iterator[tuple[Segment, Dictionary | None, bytes]]:
    """What a delta says: each segment, its dictionary, and the frame of its new bytes."""
    made = 0
    ranges: tuple[Range, ...] = ()
    dictionary = None
    while made < head.size:
        segment, packed = decode_segment(read_note(source, what), head.base_size, what)
        made += segment.length
        if made > head.size:
            raise DamagedLayerError(f"{what}: it makes more than the {head.size} bytes that it declares")
        # The next segment often has the same.
        if packed and segment.dictionary != ranges:
            ranges, dictionary = segment.dictionary, None
            view = spare.get(sum(each.length for each in ranges))
            base.read_into(view, *ranges)
            dictionary = dictionary_of(view)
        yield segment, dictionary, read_exactly(source, packed, what)
    if source.read(1):
        raise DamagedLayerError(f"{what}: it goes on after the {head.size} bytes that it declares")


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
