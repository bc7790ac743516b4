"""What was taken out of the index, and when: a collection spares its blobs for a while (docs/format.md, 'The store').

A restore or a capture that runs may rely on a snapshot that somebody removes. It holds no lease that a kill would leave behind:
instead every removal is written down before it happens.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

from snapshot.documents import FormatError, Reader, canonical, parse
from snapshot.store.errors import StoreError
from snapshot.store.manifest import Row, decode_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.store.backend import Backend
    from snapshot.store.manifest import Index

FILE = "removed.json"
_SCHEMA = 1


class DamagedRemovedError(StoreError, ValueError):
    """A removed.json that cannot be read."""


class Tombstone(NamedTuple):
    """A row that the index had. `removed` is when it was taken out, in seconds since the epoch (UTC), rounded up."""

    row: Row
    removed: int


def is_over(tombstone: Tombstone, grace: float, now: float) -> bool:
    """Whether it has been there for `grace` seconds at the time `now`."""
    # A clock that was set back must not make a grace of nothing last.
    return grace <= 0 or tombstone.removed + grace <= now


def load_removed(backend: Backend) -> tuple[Tombstone, ...]:
    """What was removed and not yet collected, in the order of removal. Raises DamagedRemovedError."""
    data = backend.read_document(FILE)
    if data is None:
        return ()
    try:
        return _decode(data)
    except FormatError as error:
        raise DamagedRemovedError(
            f"{FILE} of {backend} is damaged: {error}; delete it: then the next collection does not spare what was "
            "removed of late, so let running captures and restores end first"
        ) from error


def replace_removed(backend: Backend, tombstones: Iterable[Tombstone]) -> None:
    """Call it with the lock held."""
    rows = [{"removed": each.removed, "row": each.row.raw} for each in tombstones]
    backend.replace_document(FILE, canonical({"schema": _SCHEMA, "rows": rows}))


def replace_index(backend: Backend, before: Index, after: Index) -> None:
    """Replace the index, having written down what it no longer leads to. Call it with the lock held.

    Killed in between, a row that is still in the index has a tombstone: that keeps nothing that would not be kept anyway.
    """
    # A row of a manifest that has another row keeps what it kept, whatever its name was.
    left = {row.raw["digest"] for row in after.rows}
    gone = [row for row in before.rows if row.descriptor is not None and row.raw["digest"] not in left]
    if gone:
        now = max(0, math.ceil(time.time()))  # a clock may be wrong, and what is written must be readable
        again = {row.raw["digest"] for row in gone}
        earlier = [each for each in load_removed(backend) if each.row.raw["digest"] not in again]
        replace_removed(backend, [*earlier, *(Tombstone(row, now) for row in gone)])
    backend.replace_index(after.encode())


def _decode(data: bytes) -> tuple[Tombstone, ...]:
    reader = Reader(parse(data, FILE), FILE)
    reader.schema()
    found = []
    for number, value in enumerate(reader.items("rows")):
        item = Reader(value, f"{FILE}.rows[{number}]")
        found.append(Tombstone(decode_row(item.inner("row")), item.count("removed")))
    return tuple(found)
