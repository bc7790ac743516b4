"""ELF files that name a captured directory in DT_RPATH or DT_RUNPATH: where to write what instead.

A shared-library build of CPython has an absolute RPATH to its home. With that home gone the loader silently takes
another libpython, so the entry is rewritten relative to `$ORIGIN`, in place: the string may only become shorter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from snapshot.relocate import rpath_component

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

    from snapshot.relocate import Places

MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to write at an offset of the file. They have the length of what they replace."""

    offset: int
    data: bytes


def rpath_patches(file: BinaryIO, path: str, root: str, places: Places) -> tuple[list[Patch], list[str]]:
    """What makes the RPATHs of an ELF file relative, and what stands in the way (for findings).

    `path` is the file's own below `root`. Reads only the headers and the dynamic section. A file that only looks like
    ELF gives nothing.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    patches: list[Patch] = []
    problems: list[str] = []
    try:
        elf = ELFFile(file)
        for value, offset, position in _rpaths(elf):
            wanted = _relative(value, path, root, places)
            if wanted is None:
                continue
            if len(wanted) > len(value):
                problems.append(f"RPATH {value} has no room for {wanted}")
            elif _shared(elf, offset, len(value)):
                problems.append(f"RPATH {value} shares its bytes with a symbol's name")
            else:
                patches.append(Patch(position, wanted.encode() + b"\0" * (len(value) - len(wanted))))
    except (ELFError, struct.error, UnicodeDecodeError) as error:
        problems.append(f"not a well-formed ELF file: {error}")
    return patches, problems


def _rpaths(elf: ELFFile) -> list[tuple[str, int, int]]:
    """(value, offset in the string table, offset in the file) of each RPATH and RUNPATH."""
    from elftools.elf.dynamic import DynamicSegment

    found: list[tuple[str, int, int]] = []
    for segment in elf.iter_segments():
        if not isinstance(segment, DynamicSegment):
            continue
        table = None
        wanted = []
        for tag in segment.iter_tags():
            if tag.entry.d_tag == "DT_STRTAB":
                table = next(iter(elf.address_offsets(tag.entry.d_ptr)), None)
            elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                wanted.append((str(getattr(tag, "runpath", None) or getattr(tag, "rpath", "")), int(tag.entry.d_val)))
        if table is not None:
            found += [(value, offset, table + offset) for value, offset in dict.fromkeys(wanted)]
    return found


def _relative(value: str, path: str, root: str, places: Places) -> str | None:
    parts = value.split(":")
    changed = [rpath_component(part, path, root, places) for part in parts]
    if not any(changed):
        return None
    return ":".join(new or old for new, old in zip(changed, parts, strict=True))


def _shared(elf: ELFFile, offset: int, length: int) -> bool:
    """Whether another string of the table starts inside this one: linkers let a name share the tail of a longer one."""
    section = elf.get_section_by_name(".dynsym")
    if section is None:
        return False
    # st_name is the first field of a symbol, in both classes.
    row = f"{'<' if elf.little_endian else '>'}I{section['sh_entsize'] - 4}x"
    return any(offset < start < offset + length for (start,) in struct.iter_unpack(row, section.data()))
