"""What the headers of an ELF file say to the loader: libraries needed, own name, search paths, symbol versions, build id.

Read with `pread`, a few hundred bytes a file: an environment has hundreds of libraries of many megabytes. Never mapped: a file that
became shorter meanwhile would end the process. System V ABI, "Dynamic Linking"; symbol versions: Linux Standard Base, 10.7.
The tests hold this reader against pyelftools and readelf.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\x7fELF"

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE = 1, 2, 4
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_NT_GNU_BUILD_ID = 3
#: The loader goes on without a version that is needed in this way only.
_VER_FLG_WEAK = 2
_HEAD = 4096
_MOST = 1 << 20
_CHAIN = 1 << 16


@dataclass(frozen=True, slots=True)
class Dynamic:
    """An ELF file. `kind` is its class (32 or 64), byte order and machine (`e_machine`): files of two kinds cannot load each other.

    `versions` are rows of library and symbol version, weak ones left out. `rpath` and `runpath` are as written, with `$ORIGIN`.
    """

    kind: tuple[int, str, int]
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpath: str = ""
    runpath: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    build_id: str = ""


class _Malformed(Exception):  # noqa: N818 - a signal within this module
    pass


def read(path: str, *, build_id: bool = False) -> Dynamic | None:
    """The ELF file at `path`; None when it is none, or a damaged one that no loader would take. Raises OSError.

    `build_id`: whether to look for the GNU build id too, which takes one more read.
    """
    # A pipe in the place of a file would let the caller wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(descriptor, _HEAD, 0)
        if head[:4] != MAGIC:
            return None
        return _Reader(descriptor, head).read(build_id=build_id)
    except (_Malformed, struct.error, OverflowError):
        return None
    finally:
        os.close(descriptor)


class _Reader:
    def __init__(self, descriptor: int, head: bytes) -> None:
        self._descriptor = descriptor
        self._head = head
        if len(head) < 20 or head[4] not in (1, 2) or head[5] not in (1, 2):
            raise _Malformed
        self._wide = head[4] == 2
        self._order = "<" if head[5] == 1 else ">"
        machine = struct.unpack_from(self._order + "H", head, 18)[0]
        self._kind = (64 if self._wide else 32, "little" if head[5] == 1 else "big", machine)
        self._strings = 0
        self._segments: list[tuple[int, int, int, int]] = []

    def _at(self, offset: int, size: int) -> bytes:
        """`size` bytes, or fewer at the end of the file."""
        if offset < 0 or size > _MOST:
            raise _Malformed
        if offset + size <= len(self._head):
            return self._head[offset : offset + size]
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:  # an offset beyond what a file can have
            raise _Malformed from error

    def read(self, *, build_id: bool) -> Dynamic:
        self._segments = list(self._programs())
        tags = self._tags()
        found = dict(tags)
        if not tags:
            return Dynamic(self._kind, build_id=self._build_id() if build_id else "")
        self._strings = self._offset(found[_DT_STRTAB]) if _DT_STRTAB in found else 0
        return Dynamic(
            kind=self._kind,
            needed=tuple(self._string(value) for tag, value in tags if tag == _DT_NEEDED),
            soname=self._string(found[_DT_SONAME]) if _DT_SONAME in found else "",
            rpath=self._string(found[_DT_RPATH]) if _DT_RPATH in found else "",
            runpath=self._string(found[_DT_RUNPATH]) if _DT_RUNPATH in found else "",
            versions=tuple(self._versions(found)),
            build_id=self._build_id() if build_id else "",
        )

    def _programs(self) -> Iterator[tuple[int, int, int, int]]:
        """Type, file offset, address and size in the file of each program header."""
        fields = struct.unpack_from(self._order + ("HHIQQQIHHH" if self._wide else "HHIIIIIHHH"), self._head, 16)
        start, step, count = fields[4], fields[8], fields[9]
        form = self._order + ("IIQQQQQQ" if self._wide else "IIIIIIII")
        if count and step < struct.calcsize(form):
            raise _Malformed
        table = self._at(start, step * count)
        for number in range(count):
            row = struct.unpack_from(form, table, number * step)
            if self._wide:
                yield row[0], row[2], row[3], row[5]
            else:
                yield row[0], row[1], row[2], row[4]

    def _tags(self) -> list[tuple[int, int]]:
        for kind, offset, _, size in self._segments:
            if kind == _PT_DYNAMIC:
                form = self._order + ("QQ" if self._wide else "II")
                data = self._at(offset, size)
                tags = []
                for tag, value in struct.iter_unpack(form, data[: len(data) - len(data) % struct.calcsize(form)]):
                    if tag == 0:
                        break
                    tags.append((tag, value))
                return tags
        return []

    def _offset(self, address: int) -> int:
        for kind, offset, start, size in self._segments:
            if kind == _PT_LOAD and start <= address < start + size:
                return offset + address - start
        raise _Malformed

    def _string(self, offset: int) -> str:
        size = 256
        while True:
            data = self._at(self._strings + offset, size)
            end = data.find(b"\0")
            if end >= 0:
                return os.fsdecode(data[:end])
            if len(data) < size:
                raise _Malformed
            size *= 4

    def _versions(self, found: dict[int, int]) -> Iterator[tuple[str, str]]:
        """A chain of records, one a library, with a chain of versions each."""
        if _DT_VERNEED not in found:
            return
        where, left = self._offset(found[_DT_VERNEED]), _CHAIN
        for _ in range(min(found.get(_DT_VERNEEDNUM, 0), _CHAIN)):
            _, count, file, first, following = struct.unpack(self._order + "HHIII", self._at(where, 16))
            library = self._string(file)
            place = where + first
            left -= count + 1
            if left < 0:
                raise _Malformed
            for _ in range(count):
                _, flags, _, name, onward = struct.unpack(self._order + "IHHII", self._at(place, 16))
                if not flags & _VER_FLG_WEAK:
                    yield library, self._string(name)
                if not onward:
                    break
                place += onward
            if not following:
                break
            where += following

    def _build_id(self) -> str:
        for kind, offset, _, size in self._segments:
            if kind != _PT_NOTE:
                continue
            data, place = self._at(offset, size), 0
            while place + 12 <= len(data):
                names, length, note = struct.unpack_from(self._order + "III", data, place)
                start = place + 12 + (names + 3) // 4 * 4
                if note == _NT_GNU_BUILD_ID and data[place + 12 : place + 16] == b"GNU\0":
                    return data[start : start + length].hex()
                place = start + (length + 3) // 4 * 4
        return ""
