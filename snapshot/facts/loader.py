"""Where the machine's dynamic loader looks for a library that no search path names: its cache, then its default directories.

glibc: `/etc/ld.so.cache` (elf/cache.c and sysdeps/generic/dl-cache.h of glibc describe it), musl: `/etc/ld-musl-ARCH.path`.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from snapshot.facts import dynamic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snapshot.facts.dynamic import Dynamic

CACHE = "/etc/ld.so.cache"
CPUINFO = "/proc/cpuinfo"

#: Of distributions that keep libraries by machine, and of those that do not; what has the wrong class is passed over.
_PLACES = ("/lib64", "/usr/lib64", "/lib/{}-linux-gnu", "/usr/lib/{}-linux-gnu", "/lib", "/usr/lib", "/usr/local/lib")
_NEW = b"glibc-ld.so.cache1.1"
_EXTENSION_MAGIC, _EXTENSION_LEVELS = 0xEAA42174, 1

#: Flags of /proc/cpuinfo that each level of glibc-hwcaps asks for, beyond the level before it (x86-64 psABI, 3.1.1).
_LEVELS = (
    ("x86-64-v2", frozenset({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"})),
    ("x86-64-v3", frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})),
    ("x86-64-v4", frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
)


def directories(machine: str) -> tuple[str, ...]:
    """The default directories of loaders for `machine` (`x86_64`)."""
    return tuple(place.format(machine) for place in _PLACES)


class Loader:
    """Finds libraries as the loader of this machine would. `cache` and `cpuinfo` are the files to read, which need not be there."""

    def __init__(self, search: Sequence[str], *, cache: str = CACHE, cpuinfo: str = CPUINFO) -> None:
        self._search = search
        self._cpuinfo = cpuinfo
        self._cached: dict[str, list[tuple[str, str]]] = {}
        for soname, path, level in _entries(_content(cache)):
            self._cached.setdefault(soname, []).append((path, level))
        self._levels: list[str] | None = None

    def find(self, soname: str, kind: tuple[int, str, int]) -> tuple[str, Dynamic] | None:
        """Path and headers of the library that a file of `kind` would get for `soname`, if there is one."""
        for path in self._candidates(soname):
            found = look(path, kind)
            if found is not None:
                return path, found
        return None

    def _candidates(self, soname: str) -> Iterator[str]:
        rows = self._cached.get(soname, [])
        if any(level for _, level in rows):
            for supported in self._supported():
                yield from (path for path, level in rows if level == supported)
        yield from (path for path, level in rows if not level)
        for directory in self._search:
            yield os.path.join(directory, soname)

    def _supported(self) -> list[str]:
        """The levels of glibc-hwcaps that this machine's processor has, best first."""
        if self._levels is None:
            text = _content(self._cpuinfo).decode("utf-8", "replace")
            line = next((line for line in text.splitlines() if line.startswith("flags")), "")
            flags, self._levels = set(line.partition(":")[2].split()), []
            for level, wanted in _LEVELS:
                if not wanted <= flags:
                    break
                self._levels.insert(0, level)
        return self._levels


def look(path: str, kind: tuple[int, str, int]) -> Dynamic | None:
    """The library at `path`, when there is one of that kind: the loader passes over what has another class or cannot be read."""
    try:
        found = dynamic.read(path, build_id=True)
    except (OSError, ValueError):
        return None
    return found if found is not None and found.kind == kind else None


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # musl has no cache, and a container may have neither
        return b""


def _entries(data: bytes) -> Iterator[tuple[str, str, str]]:
    """Soname, path and hwcaps level (or nothing) of each row, in the order in which the loader tries them."""
    start = data.find(_NEW)
    if start < 0:
        return
    data = data[start:]
    try:
        order = ">" if data[28] & 3 == 3 else "<"
        count, _, _, extension = struct.unpack_from(order + "IIB3xI", data, 20)
        levels = _levels(data, order, extension)
        for number in range(count):
            _, key, value, _, wanted = struct.unpack_from(order + "iIIIQ", data, 48 + 24 * number)
            level = ""
            if wanted:
                # What is no extension are the levels of old, which no loader of today uses.
                if (wanted >> 32) & ~0x3FF != 1 << 30:
                    continue
                level = levels[wanted & 0xFFFFFFFF]
            yield _text(data, key), _text(data, value), level
    except (struct.error, IndexError, ValueError):  # cut off, or of a later format: the default directories are left
        return


def _levels(data: bytes, order: str, extension: int) -> list[str]:
    if not extension or struct.unpack_from(order + "I", data, extension)[0] != _EXTENSION_MAGIC:
        return []
    (count,) = struct.unpack_from(order + "I", data, extension + 4)
    for number in range(count):
        tag, _, offset, size = struct.unpack_from(order + "IIII", data, extension + 8 + 16 * number)
        if tag == _EXTENSION_LEVELS:
            return [_text(data, where) for (where,) in struct.iter_unpack(order + "I", data[offset : offset + size])]
    return []


def _text(data: bytes, offset: int) -> str:
    return os.fsdecode(data[offset : data.index(b"\0", offset)])
