"""What a killed registration left in a store: a snapshot under a name for the time being."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from snapshot.pending import is_abandoned
from snapshot.store import UnknownSnapshotError

if TYPE_CHECKING:
    from snapshot.store import Store


def forget_killed(store: Store, name: str) -> None:
    """Take away the names under `name` that no registration can be waiting for. By age: it may run on any host that has the store."""
    for each in store.references():
        if each.name is not None and each.name.startswith(f"{name}/") and is_abandoned(each.name):
            forget(store, each.name)


def forget(store: Store, name: str) -> None:
    """Take a name away, if it is still there."""
    with suppress(UnknownSnapshotError):
        store.remove(name)
