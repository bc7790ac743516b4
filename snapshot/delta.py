"""Deltas, as values: which bytes of a layer's tar are copied from another layer's tar, and against what the others are
compressed. Pure.

Files that both layers have are copied. What is new is cut into segments, and each is compressed with those files of the
base as its dictionary that resemble it and are gone from the new layer: a dictionary costs as much time as what is
compressed with it, so nothing goes in that was copied anyway. Both parts of a segment are bounded, and with them the
memory that writing and reading it takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from snapshot import archive
from snapshot.documents import FormatError, Reader, canonical, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from snapshot.digest import Digest
    from snapshot.model import Entry, Tree

SCHEMA = 1

#: Most new bytes in one segment, and most bytes in its dictionary. A reader holds both in memory.
SEGMENT = 24 << 20
DICTIONARY = 48 << 20

#: What a reader accepts, so that others may choose larger ones.
LARGEST = 64 << 20

#: Most operations of a segment, and most parts of its dictionary: the note that has them is read as a whole.
MOST = 100_000

#: How many files of the base with a similar name one new file is compared with.
_SIMILAR = 4

_VARIABLE = re.compile(r"[0-9a-f]{8,}|\d+")


class Range(NamedTuple):
    """Bytes of a tar."""

    offset: int
    length: int


class Operation(NamedTuple):
    """The next `length` bytes of the layer's tar: from `offset` in the base's, or, when that is None, the next new ones."""

    length: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the layer's tar. `dictionary` are ranges of the base's tar, put one after the other."""

    dictionary: tuple[Range, ...]
    operations: tuple[Operation, ...]

    @property
    def new(self) -> int:
        """Bytes that are not copied."""
        return sum(step.length for step in self.operations if step.offset is None)

    @property
    def length(self) -> int:
        return sum(step.length for step in self.operations)


@dataclass(frozen=True, slots=True)
class Delta:
    """A layer's tar of `size` bytes in terms of the tar of `base_size` bytes whose diff_id is `base`."""

    base: Digest
    base_size: int
    size: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """An entry, and where it lies in the tar: its header at `start`, its bytes at `data`, the next entry at `end`."""

    entry: Entry
    start: int
    data: int
    end: int


def _layout(tree: Tree) -> Iterator[_Placed]:
    at = 0
    for entry in tree:
        data = at + archive.header_size(entry)
        end = data + entry.size + -entry.size % archive.BLOCK
        yield _Placed(entry, at, data, end)
        at = end


class Planner:
    """Makes deltas against one base."""

    def __init__(self, base: Digest, tree: Tree) -> None:
        self._base = base
        self._placed = list(_layout(tree))
        self._size = archive.tar_size(tree)
        self._paths = {placed.entry.path: placed for placed in self._placed}
        self._content = {
            placed.entry.sha256: placed for placed in self._placed if placed.entry.type == "f" and placed.entry.size
        }

    def plan(self, tree: Tree) -> Delta:
        """How to make the layer of `tree` out of the base."""
        steps = _merged(self._steps(tree))
        kept = {entry.sha256 for entry in tree}
        gone = [each for each in self._content.values() if each.entry.sha256 not in kept]
        # A content that several files have lies where the last of them does, and came when the first of them did.
        chooser = _Dictionaries(sorted(gone, key=lambda placed: placed.data), self._paths)
        segments = tuple(
            Segment(chooser.choose(pieces), tuple(Operation(piece.length, piece.offset) for piece in pieces))
            for pieces in _cut(steps)
        )
        return Delta(self._base, self._size, archive.tar_size(tree), segments)

    def _steps(self, tree: Tree) -> Iterator[_Piece]:
        for placed in _layout(tree):
            entry, header = placed.entry, placed.data - placed.start
            same = self._paths.get(entry.path)
            if same is not None and _same_header(same.entry, entry):
                if entry.type != "f" or same.entry.sha256 == entry.sha256:
                    yield _Piece(placed.end - placed.start, same.start, None, 0)
                    continue
                yield _Piece(header, same.start, None, 0)
            else:
                yield _Piece(header, None, None, 0)
            if entry.size:
                equal = self._content.get(entry.sha256)
                length = placed.end - placed.data
                if equal is not None and equal.entry.size == entry.size:
                    yield _Piece(length, equal.data, None, 0)
                else:
                    yield _Piece(length, None, entry, 0)
        yield _Piece(len(archive.END), self._size - len(archive.END), None, 0)


class _Piece(NamedTuple):
    """An operation on its way: new bytes of a file know of which, and from where in it."""

    length: int
    offset: int | None
    entry: Entry | None
    start: int


def _same_header(one: Entry, other: Entry) -> bool:
    return (one.type, one.mode, one.size, one.target) == (other.type, other.mode, other.size, other.target)


def _merged(steps: Iterable[_Piece]) -> Iterator[_Piece]:
    """Copies that follow each other in both tars become one."""
    last: _Piece | None = None
    for step in steps:
        if last is not None and last.offset is not None and step.offset == last.offset + last.length:
            last = last._replace(length=last.length + step.length)
            continue
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield last


def _cut(steps: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Segments with at most SEGMENT new bytes. A file that does not fit in what is left begins a new one; larger ones are cut."""
    pieces: list[_Piece] = []
    room = SEGMENT
    for step in steps:
        if len(pieces) == MOST or (step.offset is None and step.length > room and room < SEGMENT):
            yield pieces
            pieces, room = [], SEGMENT
        rest = step
        while rest.offset is None and rest.length > room:
            # In parts of equal size, so that none is too small to be worth its dictionary.
            parts = -(-rest.length // SEGMENT)
            part = -(-rest.length // parts)
            pieces.append(rest._replace(length=part))
            yield pieces
            pieces, room = [], SEGMENT
            rest = rest._replace(length=rest.length - part, start=rest.start + part)
        pieces.append(rest)
        room -= rest.length if rest.offset is None else 0
    if pieces:
        yield pieces


class _Dictionaries:
    """Chooses, for each segment, the parts of the base that its new bytes resemble. `gone`: as it lies in the base."""

    def __init__(self, gone: list[_Placed], paths: Mapping[str, _Placed]) -> None:
        self._gone = gone
        self._paths = paths
        self._total = sum(placed.entry.size for placed in gone)
        self._alike: dict[str, list[_Placed]] = {}
        for placed in gone:
            self._alike.setdefault(_stem(placed.entry.path), []).append(placed)

    def choose(self, pieces: list[_Piece]) -> tuple[Range, ...]:
        """Ranges of the base's tar, in order; none when nothing is new."""
        if not any(piece.offset is None for piece in pieces):
            return ()
        if self._total <= DICTIONARY and len(self._gone) <= MOST:
            return _joined(Range(placed.data, placed.entry.size) for placed in self._gone)
        chosen: dict[int, Range] = {}
        room = DICTIONARY
        partners = [(piece, partner) for piece in pieces if piece.entry for partner in self._partners(piece.entry)]
        for piece, partner in partners:
            found = _opposite(piece, partner, room)
            known = chosen.get(partner.data)
            if len(chosen) < MOST and found.length and (known is None or known.length < found.length):
                room -= found.length - (known.length if known else 0)
                chosen[partner.data] = found
        new = sum(piece.length for piece in pieces if piece.offset is None)
        room = min(room, new - sum(each.length for each in chosen.values()))
        for placed in self._nearest(pieces):
            if len(chosen) < MOST and placed.data not in chosen and placed.entry.size <= room:
                chosen[placed.data] = Range(placed.data, placed.entry.size)
                room -= placed.entry.size
        return _joined(sorted(chosen.values()))

    def _partners(self, entry: Entry) -> list[_Placed]:
        """What the base has in place of a file: that of the same path, or those whose name differs in digits only."""
        same = self._paths.get(entry.path)
        if same is not None and same.entry.type == "f":
            return [same]
        alike = self._alike.get(_stem(entry.path), [])
        return sorted(alike, key=lambda placed: abs(placed.entry.size - entry.size))[:_SIMILAR]

    def _nearest(self, pieces: list[_Piece]) -> list[_Placed]:
        """What is gone, beginning with what lay where the segment's files lie: trees are sorted by path."""
        paths = [piece.entry.path for piece in pieces if piece.entry]
        if not paths:
            return self._gone
        first, last = paths[0], paths[-1]

        def distance(number: int) -> int:
            path = self._gone[number].entry.path
            return 0 if first <= path <= last else min(abs(number - low), abs(number - high))

        low = sum(placed.entry.path < first for placed in self._gone)
        high = sum(placed.entry.path <= last for placed in self._gone)
        return [self._gone[number] for number in sorted(range(len(self._gone)), key=distance)]


def _stem(path: str) -> str:
    """A path without what versions and build hashes change in it."""
    return _VARIABLE.sub("#", path)


def _opposite(piece: _Piece, partner: _Placed, room: int) -> Range:
    """The part of `partner` that a piece of a file is likely to resemble: as far from its beginning, with as much around
    it as there is room for.
    """
    entry, size = piece.entry, partner.entry.size
    most = min(size, room, max(piece.length + piece.length // 2, DICTIONARY // 2) if entry else size)
    if entry is None or most == size:
        return Range(partner.data, most)
    middle = (piece.start + piece.length // 2) * size // max(entry.size, 1)
    start = min(max(0, middle - most // 2), size - most)
    return Range(partner.data + start, most)


def _joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """What ranges in order cover, with nothing between two that touch or overlap."""
    found: list[Range] = []
    for each in ranges:
        if found and each.offset <= found[-1].offset + found[-1].length:
            last = found.pop()
            end = max(last.offset + last.length, each.offset + each.length)
            found.append(Range(last.offset, end - last.offset))
        else:
            found.append(each)
    return tuple(found)


def read_by(delta: Delta) -> tuple[Range, ...]:
    """The bytes of the base that are read to write `delta`: in order, and none of them twice."""
    return _joined(sorted({part for segment in delta.segments for part in segment.dictionary}))


def encode_head(delta: Delta) -> bytes:
    """Canonical JSON: what a delta blob begins with (docs/format.md, "Delta")."""
    return canonical({"schema": SCHEMA, "base": delta.base, "base_size": delta.base_size, "size": delta.size})


def decode_head(data: bytes, what: str) -> Delta:
    """Read what `encode_head` wrote; the segments are still to come. Raises FormatError."""
    reader = Reader(parse(data, what), what)
    if reader.count("schema") != SCHEMA:
        raise FormatError(f"{what}.schema: want {SCHEMA}, found {reader.value['schema']}; install a newer envparity")
    return Delta(reader.digest("base"), reader.count("base_size"), reader.count("size"), ())


def encode_segment(segment: Segment, packed: int) -> bytes:
    """Canonical JSON of a segment whose new bytes take `packed` bytes compressed."""
    operations = [[step.length] if step.offset is None else [step.length, step.offset] for step in segment.operations]
    return canonical({"packed": packed, "dictionary": segment.dictionary, "operations": operations})


def decode_segment(data: bytes, base_size: int, what: str) -> tuple[Segment, int]:
    """Read what `encode_segment` wrote. Raises FormatError for anything that reads outside of the base, or takes more memory
    than LARGEST for its new bytes or for its dictionary.
    """
    reader = Reader(parse(data, what), what)
    dictionary = []
    for value in reader.items("dictionary"):
        offset, length = _numbers(value, (2,), what)
        dictionary.append(Range(offset, length))
    operations = []
    for value in reader.items("operations"):
        length, *offsets = _numbers(value, (1, 2), what)
        operations.append(Operation(length, offsets[0] if offsets else None))
    segment, packed = Segment(tuple(dictionary), tuple(operations)), reader.count("packed")
    copied = [Range(step.offset, step.length) for step in operations if step.offset is not None]
    for each in (*dictionary, *copied):
        if each.offset + each.length > base_size:
            raise FormatError(f"{what}: {list(each)} lies outside of the base, which has {base_size} bytes")
    if max(segment.new, packed, sum(each.length for each in dictionary)) > LARGEST:
        raise FormatError(f"{what}: new bytes and dictionary may have {LARGEST:,} bytes each, not more")
    if bool(segment.new) != bool(packed) or not segment.length:
        raise FormatError(f"{what}: {packed} packed bytes for {segment.new} new ones")
    return segment, packed


def _numbers(value: object, counts: tuple[int, ...], what: str) -> list[int]:
    if (
        not isinstance(value, list)
        or len(value) not in counts
        or any(type(each) is not int or each < 0 for each in value)
    ):
        raise FormatError(f"{what}: {str(value)[:60]} is no range of bytes")
    return value
