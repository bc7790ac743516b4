"""What this node remembers of earlier captures, so that an unchanged environment is not read again.

A layer's stamp covers `lstat` of each of its files (path, type, mode, size, modification and change time, inode) and
everything that decides how they are captured. An edit changes the file's change time, which a program cannot set; a stamp is not kept
when a file is so young that another change could fall into the same tick of the clock. Stamps hold nothing that could not be
computed again: a damaged file of stamps is the same as none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from snapshot.documents import SCHEMA, FormatError, Reader, canonical
from snapshot.model import Finding
from snapshot.serialize import decode_layer, encode_layer
from snapshot.store.cached import keep_newest, replace_cached

if TYPE_CHECKING:
    from snapshot.model import Layer
    from snapshot.plan import Item, Plan

#: Files changed within this many seconds before the capture are not trusted to have another change time if changed again.
TICK = 2.0

#: Raise it whenever the same files would make another layer.
_VERSION = 3

#: Prefixes that are remembered, with about 40 kB each; the one whose stamps were written longest ago is forgotten first.
_MOST = 256


def stamp(plan: Plan, facts: str, newest: float) -> str | None:
    """A digest over all that decides what `plan` packs to; None when it cannot be trusted.

    `facts`: what all plans of the capture share. `newest`: change times from here on (seconds) are too young.
    """
    hasher = sha256(
        repr(
            (_VERSION, SCHEMA, facts, plan.kind.value, plan.name, plan.version, plan.mount, plan.root, plan.portable)
        ).encode("utf-8", "surrogateescape")
    )
    rows = []
    for item in (*plan.items, *plan.claims):
        if item.real is not None and item.source is not None:  # compiled a moment ago, for this capture alone
            return None
        for file in (item, item.source) if item.source is not None else (item,):
            row = _row(file)
            if file.found.stat.st_ctime >= newest:
                return None
            rows.append(row)
    hasher.update("\0".join(rows).encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def _row(item: Item) -> str:
    path, status = item.found
    return (
        f"{path}\0{status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        f" {item.recorded} {item.real!r}"
    )


class Stamps:
    """The stamps of one prefix, in a file of the node's cache."""

    def __init__(self, cache: str | os.PathLike[str], prefix: str) -> None:
        name = sha256(prefix.encode("utf-8", "surrogateescape")).hexdigest()
        self._path = os.path.join(cache, "stamps", f"{name}.json")
        self._known = self._load()
        self._fresh: dict[str, dict[str, Any]] = {}

    def _load(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                content = json.load(file)
        except (OSError, ValueError, RecursionError):
            return {}  # missing, damaged, or somebody else's: everything is read
        return content if isinstance(content, dict) else {}

    def find(self, key: str, stamp: str | None) -> tuple[Layer, tuple[Finding, ...]] | None:
        """The layer and the findings of an earlier capture with this stamp."""
        row = self._known.get(key)
        if stamp is None or not isinstance(row, dict) or row.get("stamp") != stamp:
            return None
        try:
            layer = decode_layer(Reader(row["layer"], self._path))
            findings = tuple(Finding(*parts) for parts in row["findings"])
        except (FormatError, KeyError, TypeError):
            return None
        if not all(isinstance(text, str) for item in findings for text in (item.kind, item.path, item.detail)):
            return None
        self._fresh[key] = row
        return layer, findings

    def add(self, key: str, stamp: str | None, layer: Layer, findings: tuple[Finding, ...]) -> None:
        if stamp is not None:
            self._fresh[key] = {
                "stamp": stamp,
                "layer": encode_layer(layer),
                "findings": [[item.kind, item.path, item.detail] for item in findings],
            }

    def save(self) -> None:
        """Keep what this capture found, in place of what was known."""
        if self._fresh == self._known:
            return
        # Who may not write them does without: the next capture takes longer, and is right.
        with suppress(OSError):
            replace_cached(self._path, canonical(self._fresh))
            keep_newest(os.path.dirname(self._path), _MOST)
