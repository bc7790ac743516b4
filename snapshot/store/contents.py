"""Which content the store holds in which blob, over all manifests, without reading them all each time.

The answer is kept in a file of the cache directory. A manifest never changes under its digest, so the file says which
manifests it covers: those that are new are read, and what only manifests held that are gone is dropped.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from snapshot.model import Descriptor, Digest
from snapshot.serialize import FormatError, Reader, canonical, parse
from snapshot.store.cached import replace_cached
from snapshot.store.manifest import CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from snapshot.store.manifest import Manifest

FILE = "contents.json"
_SCHEMA = 1

#: (content, media type, blob, size, further annotations)
_Row = tuple[str, str, str, int, "tuple[tuple[str, str], ...]"]


class Covered:
    """The rows of a set of manifests, each row once."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.manifests: dict[str, list[int]] = {}

    def update(self, wanted: Iterable[Digest], read: Callable[[Digest], Manifest | None]) -> bool:
        """Make it cover exactly the manifests `wanted` that can be read; tell whether anything changed."""
        wanted = set(wanted)
        gone = self.manifests.keys() - wanted
        new = [(digest, found) for digest in sorted(wanted - self.manifests.keys()) if (found := read(digest))]
        if gone:
            self._drop(gone)
        numbers = {row: number for number, row in enumerate(self.rows)}
        for digest, manifest in new:
            members = []
            for content, blob in manifest.content.items():
                row = _row(content, blob)
                if row not in numbers:
                    numbers[row] = len(self.rows)
                    self.rows.append(row)
                members.append(numbers[row])
            self.manifests[digest] = members
        return bool(gone or new)

    def mapping(self) -> dict[Digest, Descriptor]:
        """Content to blob. Of two blobs for the same content the smaller one, so that the choice is always the same."""
        found: dict[Digest, Descriptor] = {}
        for content, media_type, digest, size, further in self.rows:
            blob = Descriptor(media_type, Digest(digest), size, {**dict(further), CONTENT: content})
            other = found.get(Digest(content))
            if other is None or (blob.size, blob.digest) < (other.size, other.digest):
                found[Digest(content)] = blob
        return found

    def encode(self) -> bytes:
        return canonical({"schema": _SCHEMA, "rows": self.rows, "manifests": self.manifests})

    def _drop(self, gone: Iterable[str]) -> None:
        for digest in gone:
            del self.manifests[digest]
        live = sorted(set().union(*self.manifests.values()))
        places = {number: place for place, number in enumerate(live)}
        self.rows = [self.rows[number] for number in live]
        self.manifests = {digest: [places[number] for number in rows] for digest, rows in self.manifests.items()}


def decode(data: bytes) -> Covered:
    """Read what `encode` wrote. Raises FormatError for anything else."""
    reader = Reader(parse(data, FILE), FILE)
    if reader.count("schema") != _SCHEMA:
        raise FormatError(f"{FILE}: of another schema")
    covered = Covered()
    try:
        covered.rows = [_checked(row) for row in reader.items("rows")]
        for digest, members in reader.inner("manifests").value.items():
            if not all(type(number) is int and 0 <= number < len(covered.rows) for number in members):
                raise FormatError(f"{FILE}.manifests.{digest}: rows that are not there")
            covered.manifests[Digest(digest)] = members
    except (TypeError, ValueError) as error:
        raise FormatError(f"{FILE}: {error}") from error
    return covered


def contents(
    wanted: Iterable[Digest], read: Callable[[Digest], Manifest | None], cache: str | None
) -> Mapping[Digest, Descriptor]:
    """Content digest to blob, over the manifests `wanted`; `read` returns None for one that cannot be read."""
    path = None if cache is None else os.path.join(cache, FILE)
    covered = Covered() if path is None else _load(path)
    if covered.update(wanted, read) and path is not None:
        # The file saves time and nothing else: who cannot write it does without.
        with suppress(OSError):
            replace_cached(path, covered.encode())
    return covered.mapping()


def _row(content: Digest, blob: Descriptor) -> _Row:
    further = tuple(sorted((key, value) for key, value in blob.annotations.items() if key != CONTENT))
    return (content, blob.media_type, blob.digest, blob.size, further)


def _checked(row: Any) -> _Row:
    content, media_type, digest, size, further = row
    pairs = tuple((key, value) for key, value in further)
    texts = [media_type, *(text for pair in pairs for text in pair)]
    if type(size) is not int or size < 0 or not all(isinstance(text, str) for text in texts):
        raise FormatError("a row of other types")
    return (Digest(content), media_type, Digest(digest), size, pairs)


def _load(path: str) -> Covered:
    try:
        with open(path, "rb") as file:
            return decode(file.read())
    except (OSError, FormatError):
        return Covered()  # missing or damaged: it is made anew from the manifests
