"""What is location-dependent in a file: bytes to a template with substitutions and back. Pure; no I/O.

docs/format.md, "Location", has the tokens. A directory is known under every spelling that the environment may have used
(as given, and with links resolved).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from snapshot.home import PYTHON_MOUNT
from snapshot.substitution import At, place_of, quoted

# pip quotes the path with ", uv and installer with '.
_TRAMPOLINE = re.compile(
    rb"#!/bin/sh\n'''exec' (?:\"(?P<double>/[^\"\n]+)\"|'(?P<single>/[^'\n]+)'|(?P<bare>/[^ \"'\n]+))"
    rb"(?P<arguments>(?: [^ \"\n]+)*) \"\$0\" \"\$@\"\n' '''\n"
)
#: What `uv venv --relocatable` makes of a `#!` line.
_RELOCATABLE = re.compile(
    rb"#!/bin/sh\n'''exec' \"\$\(dirname -- \"\$\(realpath -- \"\$0\"\)\"\)\"/'(?P<name>(?:python|pypy)[0-9.]*)' \"\$0\" \"\$@\"\n' '''\n"
)
_SHEBANG = re.compile(rb"#!(?P<path>/[^\n]*?/(?:python|pypy)[0-9.]*)(?P<arguments>(?: -[^\n ]+)*)\r?\n")

_FILE_URL = b"file://"

#: Directories that other things live in too: their name in a text need not mean the environment.
_COMMON = frozenset({"/usr", "/usr/local", "/", ""})


def is_distinctive(path: str) -> bool:
    """Whether the name of a directory, found in some text, can be taken for it."""
    return path not in _COMMON and path.count("/") >= 2


@dataclass(frozen=True)
class Place:
    """A directory that captured files may name. `token` stands for it in a template; `mount` is where a restored
    environment has it (None: it is not captured).
    """

    token: str
    spellings: tuple[str, ...]
    mount: str | None

    @property
    def distinctive(self) -> bool:
        """Whether its name alone, found in some text, can be taken for this directory."""
        return all(map(is_distinctive, self.spellings))


class Places:
    """Find known directories in bytes."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        self.places = places
        self._by_spelling: dict[bytes, str] = {}
        for place in places:
            for spelling in place.spellings:
                self._by_spelling.setdefault(spelling.encode("utf-8", "surrogateescape"), place.token)
                in_url = quoted(spelling.encode("utf-8", "surrogateescape"))
                self._by_spelling.setdefault(in_url, place.token + "+url")
        wide = {place.token for place in places if not place.distinctive}
        distinctive = {spelling for spelling, token in self._by_spelling.items() if place_of(token) not in wide}
        own = {spelling for spelling, token in self._by_spelling.items() if place_of(token) != "base"}
        self._patterns = {
            "distinctive": _pattern(distinctive),
            "own": _pattern(own | distinctive),
            "any": _pattern(set(self._by_spelling)),
        }
        self.needles = tuple(sorted(distinctive))

    @cached_property
    def if_captured(self) -> Places:
        """The same places, as they would be if each of them were captured."""
        if all(place.mount is not None for place in self.places):
            return self
        mounts = [PYTHON_MOUNT if place.mount is None else place.mount for place in self.places]
        return Places(tuple(replace(place, mount=mount) for place, mount in zip(self.places, mounts, strict=True)))

    def template(self, data: bytes, scope: Literal["distinctive", "own", "any"] = "distinctive") -> tuple[bytes, At]:
        """Take known directories out of `data`.

        `scope`: those whose name is distinctive; beside them the environment's own whatever their names (for files that
        are about the environment); or any.
        """
        pattern = self._patterns[scope]
        if pattern is None:
            return data, ()
        pieces: list[bytes] = []
        at: list[tuple[int, str]] = []
        end = length = 0
        for match in pattern.finditer(data):
            piece = data[end : match.start()]
            pieces.append(piece)
            length += len(piece)
            token = self._by_spelling[match.group()]
            if data.endswith(_FILE_URL, 0, match.start()) and not token.endswith("+url"):
                token += "+url"  # nothing in this path had to be quoted; in that of another place it may
            at.append((length, token))
            end = match.end()
        pieces.append(data[end:])
        return (b"".join(pieces), tuple(at)) if at else (data, ())

    def split(self, path: str) -> tuple[Place, str] | None:
        """The innermost known directory that `path` lies in, and the rest behind it."""
        best: tuple[Place, str] | None = None
        for place in self.places:
            for spelling in place.spellings:
                inside = path == spelling or path.startswith(spelling.rstrip("/") + "/")
                if inside and (best is None or len(path) - len(spelling) < len(best[1])):
                    best = (place, path[len(spelling) :])
        return best

    def names_any(self, data: bytes) -> str | None:
        """The first distinctive directory that occurs anywhere in `data`."""
        for needle in self.needles:
            if needle in data:
                return place_of(self._by_spelling[needle])
        return None


def _pattern(spellings: set[bytes]) -> re.Pattern[bytes] | None:
    if not spellings:
        return None
    longest_first = sorted(spellings, key=lambda item: (-len(item), item))
    names = b"|".join(re.escape(item) for item in longest_first)
    # A path boundary on both sides; compiler options such as -L/path are one too.
    return re.compile(rb"(?:(?<![A-Za-z0-9_.])|(?<=-[ILR]))(?:" + names + rb")(?![A-Za-z0-9_.-])")


def script_template(data: bytes, places: Places) -> tuple[bytes, At]:
    """The template of a script: its `#!` line without the location, whichever of the two forms it has.

    Only the first line is looked at: the rest of a script is its distribution's own.
    """
    match = _TRAMPOLINE.match(data) or _SHEBANG.match(data)
    path = script_interpreter(data)
    inside = places.split(path) if path is not None else None
    if match is None or inside is None:
        return data, ()
    place, rest = inside
    line = b"#!" + rest.encode("utf-8", "surrogateescape") + match["arguments"] + b"\n"
    return line + data[match.end() :], ((2, place.token),)


def without_trampoline(data: bytes, places: Places) -> bytes:
    """`data` with a `#!` line where `render` wrote a trampoline because that line was too long: else it would not be the same file."""
    match = _TRAMPOLINE.match(data)
    path = script_interpreter(data)
    if match is None or path is None or places.split(path) is None:
        return data
    return b"#!" + path.encode("utf-8", "surrogateescape") + match["arguments"] + b"\n" + data[match.end() :]


def script_interpreter(data: bytes) -> str | None:
    """The Python that a script's first line names by its path; None when it names none."""
    match = _TRAMPOLINE.match(data)
    if match:
        return (match["double"] or match["single"] or match["bare"]).decode("utf-8", "surrogateescape")
    match = _SHEBANG.match(data)
    return None if match is None else match["path"].decode("utf-8", "surrogateescape")


def as_if_fixed(script: bytes) -> bytes | None:
    """A script of a relocatable environment, with the first line that it would have in one that is not; else None."""
    match = _RELOCATABLE.match(script)
    return None if match is None else b"#!/bin/" + match["name"] + b"\n" + script[match.end() :]


def venv_config_template(data: bytes, places: Places, scripts: str) -> tuple[bytes, At]:
    """The template of `pyvenv.cfg`. `home` always becomes the base's `scripts` directory: it decides what starts."""
    out = b""
    at: list[tuple[int, str]] = []
    for line in data.splitlines(keepends=True):
        key, equals, value = line.partition(b"=")
        if equals and key.strip().lower() == b"home":
            piece = key + b"= /" + scripts.encode() + b"\n"
            found: At = ((len(key) + 2, "base"),)
        else:
            inner, found = places.template(value, "any")
            piece = key + equals + inner
            found = tuple((len(key) + len(equals) + offset, token) for offset, token in found)
        at += [(len(out) + offset, token) for offset, token in found]
        out += piece
    return out, tuple(at)


def link_template(target: str, path: str, root: str, places: Places) -> tuple[str, At, bool]:
    """A link's target without the location.

    `path` is the link's own path in `root`. Returns the target, its substitutions, and whether it leads out of everything
    that is captured. A link within one directory becomes relative: then it is the same wherever that lies.
    """
    absolute = posixpath.normpath(posixpath.join(root, posixpath.dirname(path), target))
    inside = places.split(absolute)
    own = places.split(root)
    if inside is None:
        return target, (), True
    place, rest = inside
    if own is None or place != own[0]:
        # Of a base such as /usr only the interpreter is captured; whatever else lies there stays where it is.
        if place.token == "base" and not place.distinctive and not posixpath.basename(path).startswith("python"):  # noqa: S105
            return target, (), True
        return rest, ((0, place.token),), False
    if target.startswith("/"):
        here = posixpath.dirname(posixpath.join("/", own[1].lstrip("/"), path))
        return posixpath.relpath(posixpath.join("/", rest.lstrip("/")), here), (), False
    return target, (), False


def rpath_component(component: str, path: str, root: str, places: Places) -> str | None:
    """One component of an ELF RPATH relative to `$ORIGIN`; None when it names no captured directory.

    `path` is the library's own path below `root`.
    """
    inside, own = places.split(component), places.split(root)
    if inside is None or own is None:
        return None
    if inside[0] == own[0]:  # within one directory it does not matter whether and where that is captured
        target, here = inside[1].lstrip("/"), posixpath.join(own[1].lstrip("/"), path)
    elif inside[0].mount is None or own[0].mount is None:
        return None
    else:
        target = posixpath.join(inside[0].mount, inside[1].lstrip("/"))
        here = posixpath.join(own[0].mount, own[1].lstrip("/"), path)
    relative = posixpath.relpath(target or ".", posixpath.dirname(here) or ".")
    return "$ORIGIN" if relative == "." else f"$ORIGIN/{relative}"
