"""The Python interpreters of this machine, for a snapshot that brings none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The names of interpreters that a snapshot can have been made with.
NAMES = ("python3", *(f"python3.{minor}" for minor in range(8, 15)))


class HostInterpreters(Sequence[str]):
    """Paths of interpreters: on PATH, of pyenv, of uv. They are looked for when the first one is asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @cached_property
    def _found(self) -> list[str]:
        seen: set[str] = set()
        found = []
        for path in self._possible():
            real = os.path.realpath(path)
            if real not in seen and os.path.isfile(real) and os.access(real, os.X_OK):
                seen.add(real)
                found.append(path)
        return found

    def _possible(self) -> Iterator[str]:
        from glob import glob

        home = self._environ.get("HOME") or os.path.expanduser("~")
        pyenv = self._environ.get("PYENV_ROOT") or os.path.join(home, ".pyenv")
        data = self._environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        uv = self._environ.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv", "python")
        # pyenv's shims are shell scripts that may refuse to run; the interpreters themselves come below.
        shims = os.path.join(pyenv, "shims")
        for directory in self._environ.get("PATH", "").split(os.pathsep):
            if directory and directory != shims:
                yield from (os.path.join(directory, name) for name in NAMES)
        for pattern in (os.path.join(pyenv, "versions", "*", "bin"), os.path.join(uv, "*", "bin")):
            for directory in sorted(glob(pattern)):
                yield from (os.path.join(directory, name) for name in NAMES)

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._found[index]
