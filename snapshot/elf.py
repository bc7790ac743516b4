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
_DT_NULL, _DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 0, 5, 10, 15, 29
#: Tags whose value is a name too: DT_NEEDED, DT_SONAME, DT_AUXILIARY, DT_FILTER.
_DT_NAMES = frozenset({1, 14, 0x7FFFFFFD, 0x7FFFFFFF})
_SHT_DYNSYM, _SHT_VERDEF, _SHT_VERNEED = 11, 0x6FFFFFFD, 0x6FFFFFFE
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
            # Linkers let a name share the tail of a longer one: that much of it must stay.
            room = min((name for name in elf.names() if offset < name < offset + len(value)), default=0)
            room = room - offset - 1 if room else len(value)
            if len(new) > len(value):
                problems.append(f"RPATH {os.fsdecode(value)} has no room for {wanted}")
            elif len(new) > room:
                problems.append(f"RPATH {os.fsdecode(value)} shares its bytes with another name")
            else:
                patches.append(Patch(elf.strings + offset, new + b"\0" * (room - len(new))))
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
        self._length = file.seek(0, os.SEEK_END)
        ident = self._at(0, 16)
        if ident[:4] != MAGIC or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise _Malformed("unknown class or byte order")
        self._wide = ident[4] == 2
        self._order = "<" if ident[5] == 1 else ">"
        head = "HHIQQQIHHHHHH" if self._wide else "HHIIIIIHHHHHH"
        fields = self._unpack(head, 16)
        self._programs = fields[4], fields[8], fields[9]
        self._sections = fields[5], fields[10], fields[11]
        self._tagged: list[int] = []
        self._names: list[int] | None = None
        self.strings = 0

    def _at(self, offset: int, size: int) -> bytes:
        if size > _LARGEST_TABLE:
            raise _Malformed(f"a table of {size} bytes")
        if offset + size > self._length:
            raise _Malformed("it ends too early")
        self._file.seek(offset)
        return self._file.read(size)

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
        tags = []
        for tag, value in struct.iter_unpack(form, self._at(dynamic[0], size)):
            if tag == _DT_NULL:
                break
            tags.append((tag, value))
        wanted = list(dict.fromkeys(value for tag, value in tags if tag in (_DT_RPATH, _DT_RUNPATH)))
        if not wanted:
            return []
        known = dict(tags)
        self._tagged = [value for tag, value in tags if tag in _DT_NAMES] + wanted
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

    def names(self) -> list[int]:
        """Where in the string table every name starts that something in the file refers to."""
        if self._names is None:
            self._names = self._tagged.copy()
            start, step, count = self._sections
            kinds = set()
            for number in range(count):
                if self._wide:
                    row = self._unpack("IIQQQQIIQQ", start + number * step)
                else:
                    row = self._unpack("IIIIIIIIII", start + number * step)
                _, kind, _, _, where, size, _, entries, _, entry = row
                kinds.add(kind)
                if kind == _SHT_DYNSYM and entry:
                    # st_name is the first field of a symbol, in both classes.
                    form = f"{self._order}I{entry - 4}x"
                    self._names += [name for (name,) in struct.iter_unpack(form, self._at(where, size - size % entry))]
                elif kind in (_SHT_VERDEF, _SHT_VERNEED):
                    self._names += self._versions(where, entries, needed=kind == _SHT_VERNEED)
            if _SHT_DYNSYM not in kinds:
                raise _Malformed("it has no section headers, which would say what shares the path's bytes")
        return self._names

    def _versions(self, where: int, entries: int, *, needed: bool) -> list[int]:
        """Names of versions that the file defines, or needs of which library: a chain of records with a chain of records each."""
        found = []
        for _ in range(min(entries, 1 << 16)):
            if needed:
                _, count, library, first, following = self._unpack("HHIII", where)
                found.append(library)
            else:
                _, _, _, count, _, first, following = self._unpack("HHHHIII", where)
            place = where + first
            for _ in range(count):
                *_, name, next_place = self._unpack("IHHII" if needed else "II", place)
                found.append(name)
                place += next_place
            where += following
        return found
