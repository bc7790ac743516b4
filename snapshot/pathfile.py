"""What the lines of a `.pth` file mean to `site`: code, directories, or nothing. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from snapshot.scan import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

_CODE = ("import ", "import\t")


def code_lines(data: bytes) -> list[str]:
    """The lines that Python executes."""
    return [line for line in _lines(data) if line.startswith(_CODE)]


def path_lines(data: bytes) -> list[str]:
    """The lines that name directories, as they are."""
    return [line.rstrip() for line in _lines(data) if _is_path(line)]


def joined(site: str, line: str) -> str:
    """The directory that a line of a file in `site` names."""
    return os.path.normpath(os.path.join(site, line))


def made_absolute(data: bytes, site: str, moves: Callable[[str], bool]) -> bytes:
    """The file with absolute lines for those that lead from `site` to where `moves` is true: there the way will be another."""
    out = []
    for line in data.splitlines(keepends=True):
        text = decode(line).rstrip()
        moved = _is_path(text) and not text.startswith("/") and moves(joined(site, text))
        out.append(encode(joined(site, text)) + line[len(line.rstrip()) :] if moved else line)
    return b"".join(out)


def _is_path(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", *_CODE)) and "\0" not in line


def _lines(data: bytes) -> list[str]:
    # Which characters end a line, and whether a byte order mark is dropped, differs between versions of Python: what any of them
    # executes counts as code.
    return decode(data.removeprefix(b"\xef\xbb\xbf")).splitlines()
