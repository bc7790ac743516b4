"""What a capture is told to leave out: patterns on paths and on the names of distributions, and what became of each."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from snapshot import bytecode
from snapshot.errors import SnapshotError
from snapshot.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from snapshot.ownership import Installed
    from snapshot.scan import Found

#: What comes before the name in a pattern that means a whole distribution.
DISTRIBUTION = "dist:"


class InvalidPatternError(SnapshotError, ValueError):
    """A pattern that cannot match anything."""


@dataclass(slots=True)
class _Tally:
    """One pattern, and what it matched: `files` of `bytes` that are left out, `staying` that are captured all the same."""

    pattern: str
    files: int = 0
    bytes: int = 0
    staying: int = 0

    def add(self, item: Found) -> None:
        self.files += not item.is_directory
        self.bytes += item.stat.st_size if item.is_file else 0


@dataclass(frozen=True, slots=True)
class Filtered:
    """What is left of a prefix. `dropped` are the distributions that were left out as a whole."""

    found: Mapping[str, Found]
    distributions: list[Installed]
    dropped: list[Installed]


class Matcher:
    """Whether a path of an environment matches one of some patterns. Pure.

    As in `fnmatch`: `*` is any run of characters, `/` among them, `?` is one character, `[…]` one of several, case counts, and the
    pattern must match the whole path, or a directory on the way to it.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._expressions = {pattern: re.compile(_expression(pattern)) for pattern in patterns}
        # In one: nearly all paths match none, and are done after one look.
        self._any = re.compile("|".join(map(_expression, self._expressions)) or r"(?!)")

    def __call__(self, path: str) -> bool:
        return self._any.match(path) is not None

    def which(self, path: str) -> list[str]:
        """The patterns that match."""
        if self._any.match(path) is None:
            return []
        return [pattern for pattern, expression in self._expressions.items() if expression.match(path)]


def _expression(pattern: str) -> str:
    whole = pattern.rstrip("/")
    return f"(?:{fnmatch.translate(whole)}|{fnmatch.translate(whole + '/*')})"


class Excludes:
    """The patterns of one capture. Paths are relative to the environment: those of a layer come after its mount."""

    def __init__(self, patterns: Sequence[str] = (), cache_tag: str = "") -> None:
        """`cache_tag`: bytecode with this tag goes with its source. Raises InvalidPatternError."""
        if isinstance(patterns, str):
            raise InvalidPatternError(f"{patterns!r} is one pattern: give a list of them")
        self._cache_tag = cache_tag
        self._tallies = {pattern: _Tally(pattern) for pattern in patterns}
        self._names = {
            pattern: re.compile(fnmatch.translate(str(canonicalize_name(_name(pattern)))))
            for pattern in self._tallies
            if pattern.startswith(DISTRIBUTION)
        }
        paths = [pattern for pattern in self._tallies if pattern not in self._names]
        for pattern in paths:
            if not pattern.strip("/") or pattern.startswith(("/", "./", "../")):
                raise InvalidPatternError(
                    f"{pattern!r} excludes nothing: want a pattern on paths relative to the environment, such as "
                    "'*/tests/*', or 'dist:NAME' for a distribution"
                )
        self.matches = Matcher(paths)

    def __bool__(self) -> bool:
        return bool(self._tallies)

    def filter(
        self, mount: str, found: Mapping[str, Found], distributions: list[Installed], stays: Callable[[str], bool]
    ) -> Filtered:
        """Take what is excluded out of what was found below `mount`, and out of the rows of the distributions that are kept.

        `stays`: whether the environment needs a path that no distribution lists, whatever the patterns say. Metadata of a
        distribution that is kept stays too: it is what says that the distribution is there, and under which licence.
        """
        if not self._tallies:
            return Filtered(found, distributions, [])
        dropped = {id(one): which for one in distributions if (which := self._which(one.name))}
        kept = [one for one in distributions if id(one) not in dropped]
        claimed = {path for one in kept for path in one.rows}
        gone: dict[str, list[str]] = {}
        for one in distributions:
            for path in one.rows if id(one) in dropped else ():
                if path not in claimed and path in found and not found[path].is_directory:
                    gone[path] = dropped[id(one)]
        metadata = {one.metadata for one in kept}
        owned = claimed | gone.keys()
        for path, item in found.items():
            which = self.matches.which(posixpath.join(mount, path))
            if not which:
                continue
            if _within(path, metadata) or (path not in owned and stays(path)):
                for pattern in which:
                    self._tallies[pattern].staying += not item.is_directory
            else:
                gone[path] = [*gone.get(path, ()), *which]
        self._with_bytecode(found, gone)
        for path, patterns in gone.items():
            for pattern in patterns:
                self._tallies[pattern].add(found[path])
        for one in kept:
            if not gone.keys().isdisjoint(one.rows):
                one.rows = {path: digest for path, digest in one.rows.items() if path not in gone}
        left = _without(found, gone)
        return Filtered(left, kept, [one for one in distributions if id(one) in dropped])

    def findings(self) -> list[Finding]:
        """One for each pattern."""
        findings = []
        for tally in self._tallies.values():
            if tally.files:
                detail = f"left out: {_files(tally.files)}, {tally.bytes:,} bytes"
                detail += f"; kept all the same: {_files(tally.staying)}" if tally.staying else ""
                findings.append(Finding("excluded", tally.pattern, detail))
            elif tally.staying:
                detail = f"matches only what is always kept ({_files(tally.staying)})"
                findings.append(Finding("exclude-unmatched", tally.pattern, detail))
            else:
                what = "no distribution" if tally.pattern in self._names else "no file that could be left out"
                findings.append(Finding("exclude-unmatched", tally.pattern, f"matches {what}"))
        return findings

    def _which(self, name: str) -> list[str]:
        return [pattern for pattern, expression in self._names.items() if expression.match(name)]

    def _with_bytecode(self, found: Mapping[str, Found], gone: dict[str, list[str]]) -> None:
        """Bytecode goes with its source: by itself it would be reported as stale."""
        if not gone:
            return
        for path in found:
            if path not in gone and bytecode.is_bytecode(path):
                source = bytecode.source_of(path, self._cache_tag)
                if source in gone:
                    gone[path] = gone[source]


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number:,} files"


def _name(pattern: str) -> str:
    name = pattern[len(DISTRIBUTION) :].strip()
    if not name:
        raise InvalidPatternError(f"{pattern!r} names no distribution: want 'dist:NAME'")
    return name


def _within(path: str, directories: Collection[str]) -> bool:
    while path and path not in directories:
        path = posixpath.dirname(path)
    return bool(path)


def _without(found: Mapping[str, Found], gone: Mapping[str, object]) -> dict[str, Found]:
    """`found` without what is `gone`, and without the directories that only held such."""
    if not gone:
        return dict(found)
    left = {path: item for path, item in found.items() if path not in gone}
    children = Counter(map(posixpath.dirname, left))
    pending = {posixpath.dirname(path) for path in gone}
    while pending:
        directory = pending.pop()
        if directory in left and left[directory].is_directory and not children[directory]:
            del left[directory]
            parent = posixpath.dirname(directory)
            children[parent] -= 1
            pending.add(parent)
    return left
