"""Retention: which versions of a name stay, and why. What goes is taken out of the index; a collection deletes the blobs."""

from __future__ import annotations

import re
import time
from calendar import timegm
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.errors import SnapshotError
from snapshot.pending import is_abandoned, pending_since
from snapshot.store.store import UnknownSnapshotError

if TYPE_CHECKING:
    from snapshot.digest import Digest
    from snapshot.store.manifest import Reference
    from snapshot.store.store import Store

#: How the version begins of what is no tag: `3`, `2025-12-01`, `v1.2`.
_NUMBERED = re.compile(r"v?[0-9]", re.ASCII)


class RetentionError(SnapshotError, ValueError):
    """Rules that would keep nothing, or everything."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A reference that stays, and why."""

    reference: Reference
    reason: str


@dataclass(frozen=True, slots=True)
class Retained:
    """What `retain` did, the oldest first. `free_bytes` is what a collection without grace gives back of what was removed;
    None when that cannot be told, because a manifest in the store is damaged.
    """

    name: str
    removed: tuple[Reference, ...]
    kept: tuple[Kept, ...]
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Rules:
    name: str
    keep_last: int | None
    keep_tagged: bool
    older_than: float | None


def is_tag(name: str | None) -> bool:
    """Whether a reference is a tag: NAME/VERSION where VERSION begins with neither a digit nor `v` and a digit."""
    _, slash, version = (name or "").partition("/")
    return bool(slash) and not _NUMBERED.match(version) and pending_since(name) is None


def retain(
    store: Store,
    name: str,
    *,
    keep_last: int | None = None,
    keep_tagged: bool = False,
    older_than: float | None = None,
    dry_run: bool = False,
) -> Retained:
    """Remove the references `name` and `name/VERSION` that all given rules let go, in one step.

    `keep_last`: not among that many newest versions (tags are not counted, and stay with their version); `older_than`:
    captured more than that many seconds ago; `keep_tagged`: neither a tag, nor of a snapshot that has one. The newest
    version always stays, and so does what is being registered; what a killed registration left goes. Blobs stay until `collect`. Raises RetentionError, UnknownSnapshotError and StoreError.
    """
    _check(keep_last, older_than)
    rules = _Rules(name, keep_last, keep_tagged, older_than)
    decided: list[tuple[Reference, str | None]] = []

    def choose(references: tuple[Reference, ...]) -> tuple[Reference, ...]:
        decided[:] = _decide(store, references, rules)
        return tuple(reference for reference, reason in decided if reason is None)

    removed = choose(store.references())  # a store that is not there is not made by this
    if not dry_run and removed:
        removed = store.remove_all(choose)
    return Retained(
        name,
        removed,
        tuple(Kept(reference, reason) for reference, reason in decided if reason is not None),
        store.bytes_only_of(removed),
    )


def _check(keep_last: int | None, older_than: float | None) -> None:
    if keep_last is None and older_than is None:
        raise RetentionError("nothing says what may go: give keep_last, older_than or both")
    if keep_last is not None and keep_last < 1:
        raise RetentionError(f"keep_last is {keep_last}, and the newest version always stays: give 1 or more")
    if older_than is not None and not older_than >= 0:
        raise RetentionError(f"older_than is {older_than}: give a number of seconds, 0 or more")


def _decide(store: Store, references: tuple[Reference, ...], rules: _Rules) -> list[tuple[Reference, str | None]]:
    """Each reference of the name with the reason why it stays, None when it goes."""
    mine = [each for each in references if each.name == rules.name or (each.name or "").startswith(f"{rules.name}/")]
    if not mine:
        raise UnknownSnapshotError(
            f"no snapshot in {store} is named {rules.name!r} or {rules.name}/VERSION; see what there is"
        )
    versions = [each for each in mine if not is_tag(each.name) and pending_since(each.name) is None] or mine
    tags: dict[Digest, str] = {}
    for each in references:
        if is_tag(each.name):
            tags.setdefault(each.snapshot, each.label)
    now = time.time()
    return [(each, _reason(each, versions, tags, rules, now)) for each in mine]


def _reason(
    reference: Reference, versions: list[Reference], tags: dict[Digest, str], rules: _Rules, now: float
) -> str | None:
    if pending_since(reference.name) is not None:
        return None if is_abandoned(reference.name) else "being registered"
    if reference is versions[-1]:
        return "the newest version"
    if rules.keep_last is not None:
        newest = versions[-rules.keep_last :]
        if any(each is reference for each in newest):
            return f"among the newest {rules.keep_last}"
        if is_tag(reference.name) and (same := [each for each in newest if each.snapshot == reference.snapshot]):
            return f"a tag of {same[-1].label}"
    if rules.older_than is not None:
        created = _seconds(reference.created)
        if created is None:
            return "nobody knows how old it is"
        if now - created <= rules.older_than:
            return "not old enough"
    if rules.keep_tagged and is_tag(reference.name):
        return "a tag"
    if rules.keep_tagged and reference.snapshot in tags:
        return f"tagged {tags[reference.snapshot]}"
    return None


def _seconds(created: str) -> float | None:
    """Seconds since the epoch, None for what is no time as we write it: other tools leave it out, or write it otherwise."""
    try:
        return timegm(time.strptime(created[:19], "%Y-%m-%dT%H:%M:%S")) if created.endswith("Z") else None
    except ValueError:
        return None
