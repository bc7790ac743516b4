"""Whether a snapshot can be restored and will run on a machine: what it needs against what there is. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.errors import summarise
from snapshot.facts.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from snapshot.facts.model import Facts, Host
    from snapshot.model import Interpreter

#: What the interpreter's modules that programs run on take from the system. What only its others want (windows, line editing, old
#: databases) is missing on most servers, and not missed.
_ESSENTIAL = re.compile(
    r"lib(?:ssl|crypto|sqlite3|ffi|z|bz2|lzma|expat|mpdec|uuid|python[0-9.]+\w*|gcc_s|stdc\+\+|c|m|dl|pthread|rt|util)\.so|ld-"
)


@dataclass(frozen=True, slots=True, order=True)
class Notice:
    """One thing about a machine: what `kind` it is of (`machine`, `libc`, `library`, `interpreter`, `space`, `inodes`, `link`,
    `destination` or `snapshot`), what is the matter (`detail`), and what to do (`remedy`).
    """

    kind: str
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.detail}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Disk:
    """What a disk has and is to take; sizes in bytes. `where` is a directory on it. `free_inodes` is None where the file system does
    not count them.
    """

    where: str
    free: int
    free_inodes: int | None
    needed: int
    needed_inodes: int


Judged = tuple[list[Notice], list[Notice], list[Notice]]


def judge(interpreter: Interpreter, facts: Facts, host: Host, found: frozenset[str]) -> Judged:
    """Problems, warnings and what is unknown, of a snapshot's interpreter and facts on the machine `host`. `found` has the sonames,
    of those in the facts, that its loader finds.
    """
    problems, warnings, unknown = list(_machine(interpreter, host)), list[Notice](), list[Notice]()
    if not problems:  # another machine's libraries say nothing
        _libc(interpreter, facts, host, problems, unknown)
        _libraries(interpreter, facts, found, problems, warnings, unknown)
    return problems, warnings, unknown


def _machine(interpreter: Interpreter, host: Host) -> Iterator[Notice]:
    here = f"linux-{host.machine}"
    if interpreter.platform != here:
        yield Notice(
            "machine",
            f"the snapshot is for {interpreter.platform}, this machine is {here}",
            f"restore it on a machine of that kind, or capture the environment on a {host.machine} one",
        )


def _libc(interpreter: Interpreter, facts: Facts, host: Host, problems: list[Notice], unknown: list[Notice]) -> None:
    wanted = facts.host.libc if facts.host else "musl" if "-musl" in interpreter.soabi else ""
    if not wanted or not host.libc:
        whose = "the snapshot was captured with" if not wanted else "this machine has"
        unknown.append(Notice("libc", f"which C library {whose} is not known", "see that both have the same kind"))
    elif wanted != host.libc:
        problems.append(
            Notice(
                "libc",
                f"the snapshot needs {wanted}, this machine has {host.libc}",
                f"use an operating system or image with {wanted}",
            )
        )
        return
    floor = facts.native.floor if facts.native else None
    if floor is None:
        unknown.append(
            Notice("libc", "how new a glibc it needs is not known (no facts)", "capture it again to have that recorded")
        )
    elif floor and host.libc == "glibc" and not host.libc_version:
        unknown.append(Notice("libc", f"it needs glibc {floor}, and this machine's is not known", "compare by hand"))
    elif floor and host.libc == "glibc" and _number(floor) > _number(host.libc_version):
        by = facts.native.floor_by if facts.native else ""
        problems.append(
            Notice(
                "libc",
                f"{by} needs glibc {floor}, this machine has {host.libc_version}",
                f"use an operating system or image with glibc {floor} or newer",
            )
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))


def _libraries(
    interpreter: Interpreter,
    facts: Facts,
    found: frozenset[str],
    problems: list[Notice],
    warnings: list[Notice],
    unknown: list[Notice],
) -> None:
    if facts.native is None:
        unknown.append(
            Notice(
                "library",
                "which libraries of the system it needs is not known (no facts)",
                "capture it again to have that recorded",
            )
        )
        return
    for row in facts.native.libraries:
        owners = [owner for owner in row.needed_by if interpreter.captured or owner != PYTHON]
        if row.soname in found or not owners:
            continue
        detail = (
            f"{row.soname} is not on this machine; needed by {summarise(owner or 'unowned files' for owner in owners)}"
        )
        install = f"install the package of the system that has {row.soname}"
        if not row.path:
            warnings.append(Notice("library", f"{detail}, and it was missing at capture, too", install))
        elif owners == [PYTHON] and not _ESSENTIAL.match(row.soname):
            warnings.append(Notice("library", f"{detail}'s own modules, few of which programs use", install))
        else:
            problems.append(Notice("library", detail, install))


def room(disks: Sequence[Disk]) -> Iterator[Notice]:
    """What does not fit."""
    for disk in disks:
        if disk.needed > disk.free:
            yield Notice(
                "space",
                f"{disk.where} has {disk.free / 1e6:,.0f} MB free and {disk.needed / 1e6:,.0f} MB are needed",
                "make room there, or use another disk (--cache for unpacked layers)",
            )
        if disk.free_inodes is not None and disk.needed_inodes > disk.free_inodes:
            yield Notice(
                "inodes",
                f"{disk.where} has {disk.free_inodes:,} inodes free and {disk.needed_inodes:,} are needed",
                "remove files there, or use another disk (--cache for unpacked layers)",
            )
