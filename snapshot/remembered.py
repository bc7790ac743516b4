"""What this node remembers of the files of one environment that it has described: layers with their trees, by stamp.

It holds nothing that could not be read again: a file that is damaged, cut off, of another version or of another prefix is the same
as none. docs/behaviour.md, "What a description remembers", says which edits a stamp can see.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from snapshot.digest import Digest, InvalidDigestError
from snapshot.documents import canonical
from snapshot.model import Finding, Layer
from snapshot.store.cached import keep_newest, replace_cached

if TYPE_CHECKING:
    from snapshot.plan import Plan

#: Files changed within this many seconds before they are read are read again the next time. By default Linux writes back what a program
#: wrote through a mapping within 35 s, and only the first write after that sets the change time again.
SETTLED = 60.0

#: Raise it whenever the file has another form.
_VERSION = 1
#: A file of more bytes is not kept: an environment of a million files has less.
_LARGEST = 256 << 20
#: Environments that are remembered; the one that was described least recently is forgotten first.
_MOST = 32


class Known(NamedTuple):
    """A layer as it was read, its tree as it is stored, and what was noticed."""

    layer: Layer
    tree: bytes
    findings: tuple[Finding, ...]


class Remembered:
    """One file of the node's cache for each prefix: a checksum, an index, then the trees, which are only decoded when asked for."""

    def __init__(self, cache: str | os.PathLike[str], prefix: str) -> None:
        self._prefix = prefix
        name = sha256(prefix.encode("utf-8", "surrogateescape")).hexdigest()
        self._path = os.path.join(cache, "described", name)
        self._rows, self._trees = self._load()
        self._fresh: dict[str, Known] = {}
        self._added = False

    def _load(self) -> tuple[dict[str, Any], bytes]:
        try:
            if os.path.getsize(self._path) > _LARGEST:
                return {}, b""
            with open(self._path, "rb") as file:
                checksum, index = file.readline(), file.readline()
                trees = file.read()
            if checksum != _checksum(index, trees):
                return {}, b""
            content = json.loads(index)
            if (content["version"], content["prefix"]) != (_VERSION, self._prefix):
                return {}, b""
            return dict(content["layers"]), trees
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return {}, b""  # missing, damaged, or somebody else's: everything is read

    def find(self, plan: Plan, stamp: str | None, *, identify: bool) -> Known | None:
        """What was read of `plan` when it had this stamp; with `identify` only if the digest of its tar is known."""
        row = self._rows.get(stamp) if stamp is not None else None
        if stamp is None or row is None:
            return None
        try:
            known = self._known(plan, row)
        except (KeyError, TypeError, ValueError):
            return None
        if identify and known.layer.tar is None:
            return None
        self._fresh[stamp] = known
        return known

    def _known(self, plan: Plan, row: dict[str, Any]) -> Known:
        begin, end = row["at"]
        tree = self._trees[begin:end]
        if Digest.of_hex(sha256(tree).hexdigest()) != row["tree"]:
            raise InvalidDigestError(f"no tree {row['tree']} there")
        layer = Layer(
            kind=plan.kind,
            name=plan.name,
            version=plan.version,
            mount=plan.mount,
            tar=_digest(row["tar"]),
            tree=Digest(row["tree"]),
            files=int(row["files"]),
            size=int(row["size"]),
            parity=_digest(row["parity"]),
        )
        return Known(layer, tree, tuple(Finding(*map(str, parts)) for parts in row["findings"]))

    def add(self, stamp: str | None, known: Known) -> None:
        if stamp is not None:
            self._fresh[stamp] = known
            self._added = True

    def save(self) -> None:
        """Keep what was found and added, in place of what was known. Who cannot write it does without: it takes longer the next time."""
        if not self._added and self._fresh.keys() == self._rows.keys():
            return
        trees, rows = bytearray(), {}
        for stamp, known in sorted(self._fresh.items()):
            rows[stamp] = {
                "tree": known.layer.tree,
                "tar": known.layer.tar,
                "parity": known.layer.parity,
                "files": known.layer.files,
                "size": known.layer.size,
                "findings": [[each.kind, each.path, each.detail] for each in known.findings],
                "at": [len(trees), len(trees) + len(known.tree)],
            }
            trees += known.tree
        index = canonical({"version": _VERSION, "prefix": self._prefix, "layers": rows}) + b"\n"
        if len(index) + len(trees) > _LARGEST:
            return
        with suppress(OSError):  # not to be written, or no room: see above
            replace_cached(self._path, b"".join((_checksum(index, trees), index, trees)))
            keep_newest(os.path.dirname(self._path), _MOST)


def _checksum(index: bytes, trees: bytes | bytearray) -> bytes:
    hasher = sha256(index)
    hasher.update(trees)
    return hasher.hexdigest().encode("ascii") + b"\n"


def _digest(text: str | None) -> Digest | None:
    return None if text is None else Digest(text)
