"""Which native libraries an environment brings along, which it takes from the system, and how new a glibc it needs.

What a program loads by name while it runs (`dlopen`, ctypes) is in no header and is not seen.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.facts import dynamic
from snapshot.facts.loader import CACHE, CPUINFO, Loader, directories, look
from snapshot.facts.model import PYTHON, Native, SystemLibrary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from snapshot.facts.dynamic import Dynamic

#: libstdc++.so.6.0.30, libc-2.31.so, libtcl8.6.so
_VERSION = re.compile(r"\.so\.([0-9][0-9A-Za-z._-]*)$|([0-9]+(?:\.[0-9]+)+)\.so$")
_GLIBC = re.compile(r"GLIBC_([0-9]+(?:\.[0-9]+)+)$")
#: A loader that knows packed relocations says so by this version; the first was glibc 2.36.
_PACKED = {"GLIBC_ABI_DT_RELR": "2.36"}
#: Names by which `$LIB` and `$PLATFORM` in a search path are not known here; such a component is passed over.
_UNKNOWN = re.compile(r"\$(?:\{(?:LIB|PLATFORM)\}|LIB\b|PLATFORM\b)")
_ORIGIN = re.compile(r"\$(?:\{ORIGIN\}|ORIGIN\b)")


@dataclass(frozen=True, slots=True)
class _File:
    """An ELF file of the environment, or (`owners` are then those of the files that led here) one of the system."""

    path: str
    absolute: str
    owner: str
    elf: Dynamic


def native(
    files: Iterable[tuple[str, str, str]],
    *,
    cache: str = CACHE,
    cpuinfo: str = CPUINFO,
    search: Sequence[str] | None = None,
    library_path: str = "",
) -> Native:
    """The native code among `files`: rows of path in the environment, absolute path and owner. What is no ELF file is passed over.

    `cache`, `cpuinfo` and `search` are the loader's cache, where to see what the processor can, and the default directories;
    `library_path` is the LD_LIBRARY_PATH that the environment runs with. A file that cannot be read raises OSError.
    """
    found = [
        _File(path, absolute, owner, elf)
        for path, absolute, owner in files
        if may_be_elf(path) and (elf := dynamic.read(absolute)) is not None
    ]
    if not found:
        return Native(())
    kinds = Counter(file.elf.kind for file in found)
    kind = max(kinds, key=lambda each: (kinds[each], each))
    # What is made for another machine (helpers of debuggers for every platform) is never loaded into this interpreter.
    found = sorted((file for file in found if file.elf.kind == kind), key=lambda file: file.path)
    if search is None:
        search = directories(_MACHINES.get(kind[2], ""))
    loader = Loader(search, cache=cache, cpuinfo=cpuinfo)
    floor, floor_by = _floor(found)
    return Native(_Resolution(found, loader, library_path).libraries(), floor, floor_by)


#: e_machine as `platform.machine` has it, for the directories of Debian and its relatives.
_MACHINES = {3: "i386", 21: "powerpc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def may_be_elf(path: str) -> bool:
    """Whether a file's name is one that ELF files have: `*.so*`, or one without a suffix (a program); the magic decides."""
    directory, _, name = path.rpartition("/")
    if ".so" in name:
        return not name.endswith((".py", ".pyc", ".pyi"))
    return directory.endswith("bin") or ("." not in name and not directory.endswith((".dist-info", ".egg-info")))


def _floor(files: list[_File]) -> tuple[str, str]:
    """The newest version of glibc that any file needs, and the first file that needs it."""
    best: tuple[int, ...] = (0,)
    at = by = ""
    for file in files:
        for _, version in file.elf.versions:
            match = _GLIBC.match(version)
            text = match[1] if match else _PACKED.get(version, "")
            number = tuple(map(int, text.split("."))) if text else (0,)
            if number > best:
                best, at, by = number, text, file.path
    return at, by


class _Resolution:
    """Follows what every file needs, and what the system's libraries need in turn."""

    def __init__(self, files: list[_File], loader: Loader, library_path: str) -> None:
        self._files = files
        self._kind = files[0].elf.kind
        self._loader = loader
        self._library_path = [part for part in re.split("[:;]", library_path) if part]
        self._real: dict[str, str] = {}
        self._places = {self._resolved(file.absolute): file for file in files}
        self._by_name: dict[str, list[_File]] = {}
        for file in files:
            for name in {posixpath.basename(file.path), file.elf.soname} - {""}:
                self._by_name.setdefault(name, []).append(file)
        self._program = next((file for file in files if file.owner == PYTHON and _is_program(file.path)), None)
        self._needed_by: dict[tuple[str, str], set[str]] = {}
        self._headers: dict[str, Dynamic] = {}
        self._system: dict[str, tuple[str, Dynamic] | None] = {}

    def libraries(self) -> tuple[SystemLibrary, ...]:
        """Every library of the system, also those that only other ones of the system need."""
        loaded = self._of_the_program()
        for file in self._files:
            for soname in file.elf.needed:
                if soname not in loaded:
                    self._follow(soname, file, file.owner)
        rows = (self._library(soname, path, owners) for (soname, path), owners in self._needed_by.items())
        return tuple(sorted(rows, key=lambda row: (row.soname, row.path)))

    def _of_the_program(self) -> frozenset[str]:
        """What the interpreter loads from the environment itself: these names are taken before any module is imported."""
        names: set[str] = set()
        waiting = [self._program] if self._program else []
        while waiting:
            file = waiting.pop()
            for soname in file.elf.needed:
                path = self._by_search_path(soname, file)
                inside = path and self._places.get(self._resolved(path))
                if inside and soname not in names:
                    names.add(soname)
                    waiting.append(inside)
        return frozenset(names)

    def _follow(self, soname: str, file: _File, owner: str) -> None:
        path = self._by_search_path(soname, file)
        if path is not None and self._resolved(path) in self._places:
            return
        siblings = self._by_name.get(soname, ())
        if path is None and any(sibling.owner == owner for sibling in siblings):
            return  # loaded by name before: that is how a distribution finds its own
        if path is not None:
            found = (path, self._headers[path])
        else:
            if soname not in self._system:
                self._system[soname] = self._loader.find(soname, self._kind)
            system = self._system[soname]
            if system is None:
                if not siblings:
                    self._needed_by.setdefault((soname, ""), set()).add(owner)
                return
            found = system
        owners = self._needed_by.setdefault((soname, found[0]), set())
        if owner in owners:
            return
        owners.add(owner)
        self._headers[found[0]] = found[1]
        library = _File("", found[0], owner, found[1])
        for name in found[1].needed:
            self._follow(name, library, owner)

    def _by_search_path(self, soname: str, file: _File) -> str | None:
        """Where a search path leads (ld.so(8)): RPATH if there is no RUNPATH, LD_LIBRARY_PATH, RUNPATH."""
        if "/" in soname:
            return self._usable(soname)
        for directory in self._directories(file):
            path = self._usable(os.path.join(directory, soname))
            if path is not None:
                return path
        return None

    def _directories(self, file: _File) -> Iterator[str]:
        if not file.elf.runpath:
            yield from _expanded(file.elf.rpath, file.absolute)
            # The program's own RPATH serves everything that is loaded later, too.
            if self._program is not None and self._program is not file and not self._program.elf.runpath:
                yield from _expanded(self._program.elf.rpath, self._program.absolute)
        yield from self._library_path
        yield from _expanded(file.elf.runpath, file.absolute)

    def _usable(self, path: str) -> str | None:
        path = os.path.normpath(path)
        if path in self._headers or self._resolved(path) in self._places:
            return path
        if not os.path.exists(path):
            return None
        found = look(path, self._kind)
        if found is None:
            return None
        self._headers[path] = found
        return path

    def _resolved(self, path: str) -> str:
        """`path` with links resolved; those of directories once each."""
        directory, name = os.path.split(path)
        if directory not in self._real:
            self._real[directory] = os.path.realpath(directory)
        joined = os.path.join(self._real[directory], name)
        return os.path.realpath(joined) if os.path.islink(joined) else joined

    def _library(self, soname: str, path: str, owners: set[str]) -> SystemLibrary:
        if not path:
            return SystemLibrary(soname, "", "", "", tuple(sorted(owners)))
        match = _VERSION.search(os.path.basename(os.path.realpath(path)))
        version = (match[1] or match[2]) if match else ""
        return SystemLibrary(soname, path, version, self._headers[path].build_id, tuple(sorted(owners)))


def _is_program(path: str) -> bool:
    directory, _, name = path.rpartition("/")
    return directory.endswith("bin") and name.startswith("python")


def _expanded(value: str, absolute: str) -> Iterator[str]:
    """The directories of a search path. An empty component is the directory that a process happens to be in: it is passed over."""
    for part in filter(None, value.split(":")):
        if not _UNKNOWN.search(part):
            yield _ORIGIN.sub(lambda _: os.path.dirname(absolute), part)
