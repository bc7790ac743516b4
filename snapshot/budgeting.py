"""What the versions of a name weigh together with a new one, without reading all of them for each capture.

A file of the node's cache has, for a name, some of its versions and a number of bytes that these do not exceed together. Versions that came
since are looked at, and the new one; only when that sum is over the budget are all of them read, which makes it exact again.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.documents import canonical
from snapshot.errors import SnapshotError
from snapshot.sizing import family, members
from snapshot.store.cached import replace_cached
from snapshot.store.store import NoCacheError

if TYPE_CHECKING:
    from snapshot.digest import Digest
    from snapshot.sizing import Version
    from snapshot.store.manifest import Reference
    from snapshot.store.store import Store


@dataclass(frozen=True, slots=True)
class _Known:
    """The manifests `covered` reach at most `bytes`; so do any of them."""

    covered: frozenset[str] = frozenset()
    bytes: int = 0


def together(store: Store, name: str, new: Version, budget: int) -> int:
    """Bytes of all versions of `name`'s family and `new`, each blob once. The versions are those that will be there: the
    name itself moves to `new`. One that cannot be read does not count.

    A result that is not over `budget` is an upper bound, one that is over it is exact.
    """
    others = {each.manifest.digest: each for each in members(family(name), store) if each.name != name}
    path = _path(store, family(name))
    before = _load(path)
    known, seen = _caught_up(store, others, before)
    bound = known.bytes + sum(size for digest, size in _blobs_of(new).items() if digest not in seen)
    if bound <= budget:
        if known != before:
            _save(path, known)
        return bound
    union: dict[Digest, int] = {}
    covered = []
    for digest, reference in others.items():
        blobs = _read(store, reference)
        if blobs is not None:
            union.update(blobs)
            covered.append(digest)
    _save(path, _Known(frozenset(covered), sum(union.values())))
    union.update(_blobs_of(new))
    return sum(union.values())


def _caught_up(store: Store, others: dict[Digest, Reference], known: _Known) -> tuple[_Known, dict[Digest, int]]:
    """What is known of `others` once those that are not covered have been read; and blobs that are part of it."""
    covered = known.covered & others.keys()
    total = known.bytes if covered else 0
    seen: dict[Digest, int] = {}
    # The newest of the covered ones: what a new version shares, it shares with that one most of all.
    for digest in [digest for digest in others if digest in covered][-1:]:
        seen.update(_read(store, others[digest]) or {})
    added = []
    for digest, reference in others.items():
        blobs = None if digest in covered else _read(store, reference)
        if blobs is not None:
            total += sum(size for blob, size in blobs.items() if blob not in seen)
            seen.update(blobs)
            added.append(digest)
    return _Known(covered.union(added), total), seen


def _read(store: Store, reference: Reference) -> dict[Digest, int] | None:
    """The blobs of a version with their sizes; None for one that cannot be read: `check` says what is wrong with it."""
    with suppress(SnapshotError):
        manifest = store.manifest(reference)
        found = {blob.digest: blob.size for blob in (manifest.config, *manifest.content.values())}
        return {**found, reference.manifest.digest: manifest.size}
    return None


def _blobs_of(version: Version) -> dict[Digest, int]:
    return {blob.digest: blob.size for blob in version.blobs()}


def _path(store: Store, name: str) -> str | None:
    try:
        return os.path.join(store.cache, "budgets", f"{name}.json")
    except NoCacheError:
        return None  # a store in memory: everything is read


def _load(path: str | None) -> _Known:
    if path is None:
        return _Known()
    try:
        with open(path, "rb") as file:
            content = json.load(file)
        covered, total = content["covered"], content["bytes"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _Known()  # missing or damaged: everything is read
    if type(total) is not int or total < 0 or not _are_texts(covered):
        return _Known()
    return _Known(frozenset(covered), total)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _save(path: str | None, known: _Known) -> None:
    if path is not None:
        # The file saves time and nothing else: who cannot write it does without.
        with suppress(OSError):
            replace_cached(path, canonical({"covered": sorted(known.covered), "bytes": known.bytes}))
