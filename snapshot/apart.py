"""What two trees do not have in common, without decoding what they have. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshot.documents import FormatError, parse
from snapshot.serialize import decode_rows, decode_tree

if TYPE_CHECKING:
    from snapshot.model import Tree

#: What stands before, between and after the rows of a tree in canonical JSON. No row has it within: a quote in a text is escaped.
_BEFORE, _BETWEEN, _AFTER = b'{"entries":[["', b'],["', b']],"schema":1}'


def decode_apart(data: bytes, other: bytes, what: str = "tree") -> tuple[Tree, Tree]:
    """The entries of two trees that are not the very same in both. Only these are checked as `decode_tree` does.

    Two versions of a distribution have most of their files in common, so that little has to be decoded.
    """
    one, two = _row_texts(data), _row_texts(other)
    if one is not None and two is not None:
        left, right = set(one), set(two)
        if (len(left), len(right)) == (len(one), len(two)):
            try:
                return (
                    _decode_texts([row for row in one if row not in right], what),
                    _decode_texts([row for row in two if row not in left], what),
                )
            except FormatError:
                pass  # which row it is, the whole tree says
    mine, yours = decode_tree(data, what), decode_tree(other, what)
    return only(mine, yours), only(yours, mine)


def only(tree: Tree, other: Tree) -> Tree:
    """The entries of `tree` that are not the very same in `other`."""
    there = {entry.path: entry for entry in other}
    return tuple(entry for entry in tree if there.get(entry.path) != entry)


def _row_texts(data: bytes) -> list[bytes] | None:
    """The rows of a tree as they are written. None where it is empty, or written otherwise than `encode_tree` does."""
    if not (data.startswith(_BEFORE) and data.endswith(_AFTER)):
        return None
    return data[len(_BEFORE) : -len(_AFTER)].split(_BETWEEN)


def _decode_texts(rows: list[bytes], what: str) -> Tree:
    return decode_rows(parse(b'[["' + _BETWEEN.join(rows) + b"]]", what), what) if rows else ()
