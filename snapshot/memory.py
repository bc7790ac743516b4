"""Memory that is kept for what comes next, where many large buffers follow each other."""

from __future__ import annotations

import mmap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

#: No buffer of ours is larger (bytes): a segment's dictionary and its new bytes have at most 64 MiB each.
_LARGEST = 128 << 20

#: Where glibc arrives by itself once a buffer of 32 MiB was freed (mallopt(3)): setting anything ends that it adapts.
_USUAL = 32 << 20

#: Most bytes that `Spare` has: the parts of a segment are no larger (`delta.LARGEST`).
_SPARE = 64 << 20


def area(size: int) -> mmap.mmap:
    """Zeros. What is not written to takes no memory; where the kernel has huge pages, they are asked for."""
    made = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(AttributeError, OSError):  # not Linux, or a kernel without them
        made.madvise(mmap.MADV_HUGEPAGE)
    return made


class Spare:
    """Memory for what is needed for a moment, again and again."""

    def __init__(self) -> None:
        self._memory = memoryview(area(_SPARE))

    def get(self, size: int) -> memoryview:
        """The same `size` bytes each time; of what was in there something may be left."""
        return self._memory[:size]


@contextmanager
def kept() -> Iterator[None]:
    """While it lasts, freed memory is not given back to the kernel, up to 256 MiB.

    Otherwise each large buffer is mapped anew, and each of its pages is a fault: half of the time that decoding a row of
    deltas takes (docs/format.md, "Figures"). A setting of the whole process; does nothing where the C library is not glibc.
    """
    import ctypes

    library = ctypes.CDLL(None)
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    library.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST)
    try:
        yield
    finally:
        library.mallopt(_M_MMAP_THRESHOLD, _USUAL)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * _USUAL)
        library.malloc_trim(0)
