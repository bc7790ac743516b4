"""Which blobs a row of an index needs: the walk that a collection stands on.

Documents are read anew each time, and verified: a cached answer that is wrong would cost blobs. What takes the time of a thousand
manifests is JSON, so the digests of our own are found as text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from snapshot.documents import FormatError
from snapshot.store.errors import MissingBlobError, StoreError
from snapshot.store.manifest import ARTIFACT_TYPE, DOCUMENT_TYPES, MANIFEST_TYPE, children
from snapshot.store.reading import DamagedBlobError, read_blob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.digest import Descriptor
    from snapshot.store.backend import Backend
    from snapshot.store.manifest import Row

#: How each manifest begins that we wrote: canonical JSON, its keys sorted.
_OURS = f'{{"artifactType":"{ARTIFACT_TYPE}","config":{{'.encode()
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCUMENT = re.compile(b"|".join(re.escape(each.encode()) for each in sorted(DOCUMENT_TYPES)))


def reach(backend: Backend, rows: Iterable[Row], *, lenient: bool = False) -> set[str]:
    """Every digest that `rows` and what they lead to name: those of all blobs that they need, and of these blobs' content.

    Raises StoreError when a document cannot be read; with `lenient` it is passed over when it is not there, or damaged.
    """
    found: set[str] = set()
    followed: set[str] = set()
    for row in rows:
        if row.descriptor is None:
            raise StoreError(
                f"cannot collect in {backend}: {row.label} in its index is addressed by another digest than sha256, "
                "and what it needs cannot be told; nothing was deleted"
            )
        todo = [row.descriptor]
        while todo:
            next_one = todo.pop()
            found.add(next_one.digest)
            if next_one.media_type in DOCUMENT_TYPES and next_one.digest not in followed:
                followed.add(next_one.digest)
                todo += _follow(backend, row, next_one, found, lenient=lenient)
    return found


def _follow(
    backend: Backend, row: Row, document: Descriptor, found: set[str], *, lenient: bool
) -> tuple[Descriptor, ...]:
    """Note what the document names, or return what it refers to."""
    try:
        data = read_blob(backend, document)
        if _plain(data):
            found.update(_DIGEST.findall(data.decode("ascii")))
            return ()
        return children(data, f"document {document.digest}")
    except (StoreError, FormatError) as error:
        # An image index may name manifests that were never copied here (OCI's sparse index).
        if isinstance(error, MissingBlobError) and document is not row.descriptor:
            return ()
        if lenient and isinstance(error, (MissingBlobError, DamagedBlobError, FormatError)):
            return ()
        raise StoreError(
            f"cannot collect in {backend}: what {row.label} needs cannot be told, so nothing was deleted: {error}"
        ) from error


def _plain(data: bytes) -> bool:
    """Whether this is a manifest as we write them, so that all it refers to are blobs whose digests stand there as such.

    Escapes could hide a digest; another document among its blobs would have to be followed.
    """
    return (
        data.startswith(_OURS)
        and data.isascii()
        and b"\\" not in data
        and data.endswith(b"}")
        and _DOCUMENT.findall(data) == [MANIFEST_TYPE.encode()]
    )
