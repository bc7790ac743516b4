"""Which files of a base prefix are the interpreter's own: docs/format.md, "What of the interpreter is captured"."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.scan import look, walk

if TYPE_CHECKING:
    from snapshot.interpreter import Probe
    from snapshot.scan import Found

_COMMON = ("/usr", "/usr/local")
_SITES = ("site-packages", "dist-packages")
_TESTS = frozenset(
    {
        "test",
        "idlelib/idle_test",
        "lib2to3/tests",
        "tkinter/test",
        "unittest/test",
        "distutils/tests",
        "ctypes/test",
        "sqlite3/test",
    }
)
_LIBRARY = re.compile(r"lib[^/]*\.so(?:\.[0-9.]+)?\Z")
_COMPANION = re.compile(r"bin/(?:idle|pydoc|2to3|pyvenv)[-0-9.]*\Z|share/man/man1/python[0-9.]*\Z")
_TCL = re.compile(r"(?:tcl|tk|itcl|thread|tdbc)[0-9.a-z]*\Z")


@dataclass(frozen=True)
class Standard:
    """Decides by path. All directories are relative to the base; `shared`: whether others' libraries lie beside ours."""

    stdlib: tuple[str, ...]
    include: tuple[str, ...]
    libdirs: tuple[str, ...]
    libraries: frozenset[str]
    executables: frozenset[str]
    shared: bool

    @classmethod
    def of(cls, probe: Probe, base: str) -> Standard:
        def relative(paths: tuple[str, ...]) -> tuple[str, ...]:
            inside = [os.path.relpath(os.path.realpath(path), base) for path in paths if os.path.isdir(path)]
            return tuple(dict.fromkeys(path for path in inside if not path.startswith("..") and path != "."))

        major, minor = probe.version.split(".")[:2]
        names = ["python", f"python{major}", f"python{major}.{minor}", f"python{major}.{minor}t"]
        names += [f"{name}-config" for name in names]
        executable = posixpath.relpath(os.path.realpath(probe.executable), base)
        return cls(
            stdlib=relative(probe.stdlib),
            include=relative(probe.include),
            libdirs=relative(probe.libdir),
            libraries=frozenset(probe.libraries) | {f"libpython{major}.so", f"libpython{major}.{minor}.so"},
            executables=frozenset({executable, *(f"bin/{name}" for name in names)}),
            shared=base in _COMMON,
        )

    def left_out(self, path: str) -> bool:
        """The standard library's tests, and static libraries."""
        for directory in self.stdlib:
            if path.startswith(directory + "/"):
                rest = path[len(directory) + 1 :]
                return rest in _TESTS or (rest.startswith("config-") and rest.endswith(".a"))
        return path.endswith(".a") and posixpath.dirname(path) in self.libdirs

    def is_site(self, path: str) -> bool:
        return posixpath.basename(path) in _SITES and posixpath.dirname(path) in self.stdlib

    def owns(self, path: str) -> bool:
        """Whether a path of the base is the interpreter's. It has been through `left_out` and `is_site`, as have its parents."""
        if path in self.executables:
            return True
        directory, name = posixpath.split(path)
        for top in (*self.stdlib, *self.include):
            if path.startswith(top + "/"):
                return not any(part in _SITES for part in path[len(top) + 1 :].split("/")[:1])
        if directory in self.libdirs:
            return name in self.libraries or (not self.shared and bool(_LIBRARY.match(name)))
        if posixpath.basename(directory) == "pkgconfig" and posixpath.dirname(directory) in self.libdirs:
            return name.startswith("python") and name.endswith(".pc")
        if not self.shared:
            return any(_TCL.match(part) for part in self._below_libdir(path)) or bool(_COMPANION.match(path))
        return False

    def _below_libdir(self, path: str) -> list[str]:
        for libdir in self.libdirs:
            if path.startswith(libdir + "/"):
                return path[len(libdir) + 1 :].split("/")[:1]
        return []

    def find(self, base: str) -> dict[str, Found]:
        """The interpreter's files in a base that holds other things too."""
        found: dict[str, Found] = dict(look(base, self.executables))
        for top in (*self.stdlib, *self.include):
            found.update(look(base, [top]))
            found.update(walk(base, top, prune=lambda path: self.left_out(path) or self.is_site(path)))
        for libdir in self.libdirs:
            try:
                names = os.listdir(os.path.join(base, libdir))
            except FileNotFoundError:
                continue
            paths = [f"{libdir}/{name}" for name in names]
            found.update(look(base, [path for path in paths if self.owns(path)]))
            if not self.shared:
                for path in [path for path, item in found.items() if item.is_directory and path in set(paths)]:
                    if _TCL.match(posixpath.basename(path)):
                        found.update(walk(base, path))
            pkgconfig = f"{libdir}/pkgconfig"
            if os.path.isdir(os.path.join(base, pkgconfig)):
                entries = [f"{pkgconfig}/{name}" for name in os.listdir(os.path.join(base, pkgconfig))]
                found.update(look(base, [path for path in entries if self.owns(path)]))
        return {path: item for path, item in found.items() if not self.left_out(path)}
