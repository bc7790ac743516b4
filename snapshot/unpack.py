"""Tar to files: compare a layer's framing with the tree's, and write what the tree says. Nothing else.

The headers are not parsed but expected (`archive.header`), so a layer cannot name, link or size anything that its tree
does not have; and a tree was checked when it was read. Every file's digest is compared while it is written.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot import archive
from snapshot.blueprint import file_time
from snapshot.codec import DamagedLayerError
from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from snapshot.codec import Piece
    from snapshot.model import Entry, Layer, Tree

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Stream:
    """Exact reads from chunks. Asking for more than there is, or leaving some over, is damage."""

    def __init__(self, chunks: Iterator[Piece], what: str) -> None:
        self._chunks = chunks
        self._what = what
        self._buffer = memoryview(b"")

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, in one piece where they lie together."""
        if size <= len(self._buffer):
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            return iter((piece,) if size else ())
        return self._collect(size)

    def _collect(self, size: int) -> Iterator[memoryview]:
        while size:
            if not self._buffer:
                self._buffer = memoryview(next(self._chunks, b""))
                if not self._buffer:
                    raise DamagedLayerError(f"{self._what}: it ends too early; delete that blob and capture again")
            piece = self._buffer[:size]
            self._buffer = self._buffer[size:]
            size -= len(piece)
            yield piece

    def expect(self, wanted: bytes, where: str) -> None:
        # Copied, since a piece is gone when the next one comes.
        if len(wanted) <= len(self._buffer):
            found, self._buffer = bytes(self._buffer[: len(wanted)]), self._buffer[len(wanted) :]
        else:
            found = b"".join(map(bytes, self._collect(len(wanted))))
        if found != wanted:
            raise DamagedLayerError(
                f"{self._what}: at {where!r} it is not what its tree says; delete that blob and capture again"
            )

    def finish(self) -> None:
        if self._buffer or any(self._chunks):
            raise DamagedLayerError(f"{self._what}: it is larger than it declares; nothing of it is used")


def read_layer(
    chunks: Iterator[Piece],
    layer: Layer,
    tree: Tree,
    blob: str,
    take: Callable[[Entry, Iterator[memoryview]], None],
    see: Callable[[Piece], None] | None = None,
) -> None:
    """Hand each file's bytes to `take`, after the framing before them has been compared. `chunks` are the layer's tar
    (`tars.Tars.chunks`), `blob` names the blob that they come from.

    `see` is given every byte of the tar, for its digest: the framing and each file's digest imply it, so only
    an audit asks for it.

    Raises DamagedLayerError for anything that is not exactly what `layer` and `tree` declare.
    """
    what = f"layer {layer.label} (blob {blob})"
    if archive.tar_size(tree) != layer.size:
        raise DamagedLayerError(f"{what}: its tree and its declared size of {layer.size} bytes disagree")
    stream = _Stream(chunks if see is None else _seen(chunks, see), what)
    for entry in tree:
        stream.expect(archive.header(entry), entry.path)
        if entry.type == "f":
            take(entry, stream.pieces(entry.size))
            stream.expect(archive.padding(entry.size), entry.path)
    stream.expect(archive.END, "its end")
    stream.finish()


def _seen(chunks: Iterator[Piece], see: Callable[[Piece], None]) -> Iterator[Piece]:
    for chunk in chunks:
        see(chunk)
        yield chunk


class Unpacker:
    """Writes a layer's files below `root`, an empty directory of ours. Links are not made: they depend on the location."""

    def __init__(self, root: str, what: str, advance: Callable[[int], None]) -> None:
        self._root = encode(root)
        self._what = what
        self._advance = advance
        self._made = {""}

    def take(self, entry: Entry, pieces: Iterator[memoryview]) -> None:
        path = encode(entry.path)
        self._directory(entry.path.rpartition("/")[0])
        digest = sha256()
        fd = os.open(os.path.join(self._root, path), _WRITE, 0o600)
        try:
            for piece in pieces:
                digest.update(piece)
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, piece[written:])
            if digest.hexdigest() != entry.sha256:
                raise DamagedLayerError(
                    f"{self._what}: {entry.path!r} does not have the digest that its tree says; delete that blob and capture again"
                )
            os.fchmod(fd, entry.mode)
            time = file_time(entry.sha256)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)
        self._advance(entry.size)

    def _directory(self, path: str) -> None:
        missing = []
        while path not in self._made:
            missing.append(path)
            path = path.rpartition("/")[0]
        for directory in reversed(missing):
            # A file or link of this name would make this fail: nothing is written through anything.
            os.mkdir(os.path.join(self._root, encode(directory)), 0o755)
            self._made.add(directory)
