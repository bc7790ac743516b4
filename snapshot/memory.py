"""Keep what is freed for what comes next, where many large buffers follow each other."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

#: No buffer of ours is larger (bytes): a segment's dictionary and its new bytes have at most 64 MiB each.
_LARGEST = 128 << 20

#: Where glibc arrives by itself once a buffer of 32 MiB was freed (mallopt(3)): setting anything ends that it adapts.
_USUAL = 32 << 20


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
