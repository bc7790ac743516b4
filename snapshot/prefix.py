"""Compression against bytes that the reader has too: what writes the frames of deltas. `codec` reads them.

zstd takes such bytes as a dictionary or as a prefix, and the frames are the same. As a dictionary it first makes tables of its own of
them, and its fast strategies know the last 16 MiB only; python-zstandard has no prefixes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from snapshot.codec import Piece


class Effort(NamedTuple):
    """How hard to look for what the prefix has (docs/format.md, "Figures").

    `search_log`: 2^n places are tried; with 0 one, at once. `sparse_log`: of all positions, the match finder's table has room for one
    in 2^n.
    """

    search_log: int
    sparse_log: int

    #: Where the frame has more than this part of all bytes, the prefix too, it is made once more with the effort behind it: that is
    #: about a tenth smaller, and takes as long as there are bytes.
    then: tuple[float, Effort] | None = None


#: While an environment is captured, and when there is time.
QUICK, THOROUGH = Effort(0, 3, (0.066, Effort(5, 2))), Effort(7, 2)

#: The table's entries are 2^n at most, of four bytes each.
_LARGEST_TABLE = 24

#: The smallest one that zstd makes.
_SMALLEST_TABLE = 6

#: Matches of less than eight bytes are looked for nearby only: in a table of 2^n entries, which stays in the processor's cache.
_NEAR_TABLE = 14

#: The shortest match, in bytes.
_SHORTEST = 6

#: zstd has no use for less, in bytes.
_SMALLEST = 8

_SMALLEST_WINDOW = 10


class Prefix:
    """A copy of `data`, for one frame: bytes that the reader has."""

    def __init__(self, data: Piece) -> None:
        self._size = len(data)
        self._prefix = zstd.ZstdDict(data, is_raw=True).as_prefix if len(data) >= _SMALLEST else None

    def pack(self, data: Piece, effort: Effort) -> bytes:
        """One frame of `data`."""
        packed = zstd.compress(data, options=self._options(len(data), effort), zstd_dict=self._prefix)
        if effort.then is not None:
            part, more = effort.then
            if len(packed) > part * (self._size + len(data)):
                return min(packed, self.pack(data, more), key=len)
        return packed

    def _options(self, size: int, effort: Effort) -> dict[int, int]:
        # The match finder must know most of the prefix, so its table grows with what is to be found in it. Not every position
        # needs room there: matches are long.
        table = max(min((self._size + size).bit_length() - effort.sparse_log, _LARGEST_TABLE), _SMALLEST_TABLE)
        name = zstd.CompressionParameter
        return {
            name.strategy: zstd.Strategy.lazy2 if effort.search_log else zstd.Strategy.dfast,
            name.min_match: _SHORTEST,
            name.search_log: max(effort.search_log, 1),
            name.hash_log: table,
            name.chain_log: table if effort.search_log else min(table, _NEAR_TABLE),
            # The prefix counts only while what follows it is within the window.
            name.window_log: max(size.bit_length(), _SMALLEST_WINDOW),
        }
