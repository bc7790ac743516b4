"""What this node remembers of the facts of one environment, so that they are not collected again while nothing has changed.

Like stamps it holds nothing that could not be found out again: a damaged file is the same as none.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from snapshot.documents import FormatError, canonical
from snapshot.facts.document import facts_of, plain
from snapshot.store.cached import keep_newest, replace_cached

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.facts.model import Facts

#: Raise it whenever the same environment would have other facts.
_VERSION = 3

#: Prefixes whose facts are kept, with about 170 kB each; the one whose were written longest ago is forgotten first.
_MOST = 256


class Memory:
    """Facts by what they are about (`files`, `numeric`), each with a stamp: it covers all that they were made from."""

    def __init__(self, cache: str | os.PathLike[str], prefix: str) -> None:
        name = sha256(prefix.encode("utf-8", "surrogateescape")).hexdigest()
        self._path = os.path.join(cache, "facts", f"{name}.json")
        self._known = self._load()
        self._fresh: dict[str, Any] = {}

    def _load(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                content = json.load(file)
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def has(self, about: str) -> bool:
        """Whether anything was kept, be it out of date."""
        return about in self._known

    def find(self, about: str, stamp: str | None) -> Facts | None:
        """The facts that were kept with this stamp, if all the files that they rest upon outside are as they were."""
        row = self._known.get(about)
        if stamp is None or not isinstance(row, dict) or row.get("stamp") != _stamp(stamp):
            return None
        witnesses = row.get("witnesses")
        if not isinstance(witnesses, dict) or any(look(path) != seen for path, seen in witnesses.items()):
            return None
        try:
            found = facts_of(row.get("facts"), self._path)
        except FormatError:
            return None
        self._fresh[about] = row
        return found

    def add(self, about: str, stamp: str | None, facts: Facts, witnesses: Iterable[str] = ()) -> None:
        """Keep `facts`. `witnesses` are files and directories outside of the environment that they rest upon."""
        if stamp is not None:
            seen = {path: look(path) for path in witnesses}
            self._fresh[about] = {"stamp": _stamp(stamp), "witnesses": seen, "facts": plain(facts)}

    def save(self) -> None:
        """What was neither found nor added is kept too: a capture without a fingerprint does not forget it."""
        merged = {**self._known, **self._fresh}
        if merged != self._known:
            # Who cannot write it does without: the next capture takes longer, and is right.
            with suppress(OSError):
                replace_cached(self._path, canonical(merged))
                keep_newest(os.path.dirname(self._path), _MOST)


def _stamp(stamp: str) -> str:
    from snapshot.version import version

    return sha256(repr((_VERSION, version(), stamp)).encode("utf-8", "surrogateescape")).hexdigest()


def look(path: str) -> list[int] | None:
    """What changes when a file, or what a directory holds, does; None when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
