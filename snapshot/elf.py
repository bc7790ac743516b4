"""ELF files that name a captured directory in DT_RPATH or DT_RUNPATH: where to write what instead.

A shared-library build of CPython has an absolute RPATH to its home. With that home gone the loader silently takes
another libpython, so the entry is rewritten relative to `$ORIGIN`, in place: the string may only become shorter.

Headers are read by hand (System V ABI, "Object Files"): an interpreter has eighty libraries, and pyelftools takes longer over
them than everything else in that layer. The tests hold this reader against pyelftools and readelf.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from snapshot.relocate import rpath_component

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snapshot.relocate import Places

MAGIC = b"\x7fELF"

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 5, 10, 15, 29
_SHT_DYNSYM = 11
_LARGEST_TABLE = 64 << 20


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to write at an offset of the file. They have the length of what they replace."""

    offset: int
    data: bytes


class _Malformed(Exception):  # noqa: N818 - a signal within this module
    pass


def rpath_patches(file: BinaryIO, path: str, root: str, places: Places) -> tuple[list[Patch], list[str]]:
    """What makes the RPATHs of an ELF file relative, and what stands in the way (for findings).

    `path` is the file's own below `root`. Reads only headers, the dynamic section and, when there is something to
    write, the symbols. A file that only looks like ELF has no patches.
    """
    patches: list[Patch] = []
    problems: list[str] = []
    try:
        elf = _Elf(file)
        for value, offset in elf.rpaths():
            wanted = _relative(os.fsdecode(value), path, root, places)
            if wanted is None:
                continue
            new = os.fsencode(wanted)
            if len(new) > len(value):
                problems.append(f"RPATH {os.fsdecode(value)} has no room for {wanted}")
            elif elf.shares(offset, len(value)):
                problems.append(f"RPATH {os.fsdecode(value)} shares its bytes with a symbol's name")
            else:
                patches.append(Patch(elf.strings + offset, new + b"\0" * (len(value) - len(new))))
    except (_Malformed, struct.error, ValueError) as error:
        problems.append(f"not a well-formed ELF file: {error}")
    return patches, problems


def _relative(value: str, path: str, root: str, places: Places) -> str | None:
    parts = value.split(":")
    changed = [rpath_component(part, path, root, places) for part in parts]
    if not any(changed):
        return None
    return ":".join(new or old for new, old in zip(changed, parts, strict=True))


class _Elf:
    """As much of an ELF file as RPATHs need. `strings` is the file offset of the dynamic string table."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        ident = self._at(0, 16)
        if ident[:4] != MAGIC or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise _Malformed("unknown class or byte order")
        self._wide = ident[4] == 2
        self._order = "<" if ident[5] == 1 else ">"
        head = "HHIQQQIHHHHHH" if self._wide else "HHIIIIIHHHHHH"
        fields = self._unpack(head, 16)
        self._programs = fields[4], fields[8], fields[9]
        self._sections = fields[5], fields[10], fields[11]
        self.strings = 0

    def _at(self, offset: int, size: int) -> bytes:
        if size > _LARGEST_TABLE:
            raise _Malformed(f"a table of {size} bytes")
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise _Malformed("it ends too early")
        return data

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        form = self._order + form
        return struct.unpack(form, self._at(offset, struct.calcsize(form)))

    def _segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Type, file offset, address and size in the file of each program header."""
        start, step, count = self._programs
        for number in range(count):
            if self._wide:
                kind, _, offset, address, _, size, _, _ = self._unpack("IIQQQQQQ", start + number * step)
            else:
                kind, offset, address, _, size, _, _, _ = self._unpack("IIIIIIII", start + number * step)
            yield kind, offset, address, size

    def rpaths(self) -> list[tuple[bytes, int]]:
        """Value and offset in the string table of each DT_RPATH and DT_RUNPATH."""
        segments = list(self._segments())
        dynamic = next(((offset, size) for kind, offset, _, size in segments if kind == _PT_DYNAMIC), None)
        if dynamic is None:
            return []
        form = self._order + ("QQ" if self._wide else "II")
        size = dynamic[1] - dynamic[1] % struct.calcsize(form)
        tags = list(struct.iter_unpack(form, self._at(dynamic[0], size)))
        wanted = list(dict.fromkeys(value for tag, value in tags if tag in (_DT_RPATH, _DT_RUNPATH)))
        if not wanted:
            return []
        known = dict(tags)
        if _DT_STRTAB not in known or _DT_STRSZ not in known:
            raise _Malformed("no dynamic string table")
        self.strings = self._offset_of(known[_DT_STRTAB], segments)
        table = self._at(self.strings, known[_DT_STRSZ])
        return [(table[offset : table.index(b"\0", offset)], offset) for offset in wanted if offset < len(table)]

    @staticmethod
    def _offset_of(address: int, segments: list[tuple[int, int, int, int]]) -> int:
        for kind, offset, start, size in segments:
            if kind == _PT_LOAD and start <= address < start + size:
                return offset + address - start
        raise _Malformed("its string table is in no segment")

    def shares(self, offset: int, length: int) -> bool:
        """Whether a symbol's name starts within the string: linkers let a name share the tail of a longer one."""
        start, step, count = self._sections
        for number in range(count):
            if self._wide:
                _, kind, _, _, where, size, _, _, _, entry = self._unpack("IIQQQQIIQQ", start + number * step)
            else:
                _, kind, _, _, where, size, _, _, _, entry = self._unpack("IIIIIIIIII", start + number * step)
            if kind == _SHT_DYNSYM and entry:
                # st_name is the first field of a symbol, in both classes.
                names = struct.iter_unpack(f"{self._order}I{entry - 4}x", self._at(where, size - size % entry))
                if any(offset < name < offset + length for (name,) in names):
                    return True
        return False
