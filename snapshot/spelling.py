"""By which names an environment's files call its directory, where links lead there in more than one way."""

from __future__ import annotations

import os
import posixpath
import re
from typing import TYPE_CHECKING

from snapshot.home import PYTHON_MOUNT, SOURCE_MOUNT
from snapshot.relocate import Place, Places, is_distinctive, script_interpreter
from snapshot.scan import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from snapshot.interpreter import Probe
    from snapshot.scan import Found

#: As venv, virtualenv and uv write it, with whatever quotes.
_ACTIVATE = re.compile(rb"""^[ \t]*(?:export )?VIRTUAL_ENV=(['"]?)(/[^'"\n]+)\1[ \t]*$""", re.MULTILINE)
#: `command = PYTHON -m venv [OPTIONS] DIRECTORY`
_COMMAND = re.compile(rb"^command[ \t]*=.* (/[^\n]+?)[ \t]*$", re.MULTILINE)
#: Of a file: a script's first lines, and an activate script behind its licence.
_HEAD = 8192


def spellings(given: str, root: str, found: Mapping[str, Found]) -> tuple[str, ...]:
    """Every name of the prefix `root`: as it was `given`, what it was made and filled under, and with links resolved.

    A name counts only as long as it leads there, and where it can be told apart from other text.
    """
    said = {decode(name) for name in _said(root, found) if b"\0" not in name} - {given, root}
    others = sorted(name for name in said if is_distinctive(name) and os.path.realpath(name) == root)
    return tuple(dict.fromkeys((given, *others, root)))


def places_of(
    prefix: tuple[str, ...],
    probe: Probe,
    base: str,
    sources: Mapping[str, tuple[str, ...]],
    *,
    kind: str,
    interpreter: bool,
) -> Places:
    """The directories that captured files may name. `prefix`: as given, and by all its other names."""
    names = _of_base(probe, base)
    if kind == "base":
        places = [Place("prefix", tuple(dict.fromkeys((*prefix, *names))), "")]
    else:
        places = [
            Place("prefix", prefix, ""),
            Place("base", names, PYTHON_MOUNT if interpreter else None),
        ]
    places += [
        Place(f"source:{name}", tuple(dict.fromkeys((*paths, os.path.realpath(paths[0])))), f"{SOURCE_MOUNT}/{name}")
        for name, paths in sorted(sources.items())
    ]
    return Places(tuple(places))


def _of_base(probe: Probe, base: str) -> tuple[str, ...]:
    """Every name that files may have for the base; the real one last.

    An interpreter that was moved after it was built has the old one in its libraries and build settings.
    """
    others = [probe.base, *([probe.built] if is_distinctive(probe.built) else [])]
    return (*(path for path in dict.fromkeys(others) if path != base), base)


def _said(root: str, found: Mapping[str, Found]) -> Iterator[bytes]:
    for pattern, path in ((_COMMAND, "pyvenv.cfg"), (_ACTIVATE, "bin/activate")):
        if path in found:
            yield from (match[match.lastindex or 0] for match in pattern.finditer(_read(root, path)))
    for path in _scripts(found):
        interpreter = script_interpreter(_read(root, path))
        if interpreter is not None:
            yield encode(posixpath.dirname(posixpath.dirname(interpreter)))


def _scripts(found: Mapping[str, Found]) -> Iterable[str]:
    return (path for path, item in found.items() if path.startswith("bin/") and path.count("/") == 1 and item.is_file)


def _read(root: str, path: str) -> bytes:
    """The beginning of a file; nothing where it is gone by now, or not ours to read: whoever captures it says so."""
    try:
        with open(encode(f"{root}/{path}"), "rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""
