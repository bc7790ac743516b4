"""Lines of a requirements.txt: read by pip's own parser, as pip-tools uses it, and then by `packaging`.

One line at a time, so that all problems come out at once. Nothing is fetched, and `${NAME}` stays as it stands there: pip would put
a variable of the process in its place, often a password. Importing pip's parser takes 0.4 s, so only this module does it.
"""

from __future__ import annotations

import contextlib
import io
import locale
import os
import re
import warnings
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from diffing.requirements import Item, masked, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_VCS = re.compile(r"(git|hg|svn|bzr)\+")
_EGG = re.compile(r"egg=([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[([^]]*)\])?\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=//|/)")
_REMOTE = re.compile(r"(?:https?|ftp|file):", re.IGNORECASE)
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^]]*\])?\s*@")


#: How many files may include each other in a row.
_DEEPEST = 50
#: Characters of a line: of longer ones pip's parser takes quadratic time.
_LONGEST = 1 << 15


class _LineError(ValueError):
    """What is wrong with one line."""


#: A version with its hashes, as a registration writes its lock.
_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][A-Za-z0-9.!+]*)"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})*)\n"
)


def read_pinned(text: str, label: str) -> tuple[Item, ...] | None:
    """What `read_lines` gives for a text of nothing but versions with their hashes, without pip; None for any other text."""
    items, position, line = [], 0, 1
    while position < len(text):
        found = _PINNED.match(text, position)
        if found is None:
            return None
        try:
            specifier = SpecifierSet(f"=={found['version']}")
        except InvalidSpecifier:
            return None
        hashes = tuple(sorted(word.removeprefix("--hash=") for word in found["hashes"].split() if word != "\\"))
        items.append(Item(str(canonicalize_name(found["name"])), label, line, specifier, hashes=hashes))
        position, line = found.end(), line + found[0].count("\n")
    return tuple(items)


def read_lines(
    path: str, problems: list[str], text: str | None = None, indexes: list[str] | None = None
) -> Iterator[Item]:
    """Every requirement and constraint of the file at `path` and of those that it includes, in order.

    With `text` that is read instead, and what it includes is refused: whoever wrote it need not know this machine's files.

    Options that say where to look are added to `indexes`. What cannot be read becomes a problem: `FILE:LINE: what is wrong`. Files are called by their path relative to the first one's directory.
    """
    tools = _Tools([] if indexes is None else indexes)
    if text is not None:
        yield from _lines(text, path, "", tools, problems, above=None, constraint=False)
        return
    yield from _file(path, os.path.dirname(os.path.abspath(path)), tools, problems, above=(), constraint=False)


class _Tools:
    """What is used of pip and pip-tools."""

    def __init__(self, indexes: list[str]) -> None:
        self.indexes = indexes
        kept = locale.setlocale(locale.LC_ALL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # pip's own, of parts that it brings along
                from pip._internal.exceptions import InstallationError
                from pip._internal.req import req_file
                from pip._internal.req.constructors import install_req_from_line
                from piptools.utils import key_from_ireq
        finally:
            locale.setlocale(locale.LC_ALL, kept)  # pip-tools sets it from the environment
        self._included: set[tuple[str, bool]] = set()
        self.errors = (InstallationError, req_file.OptionParsingError)
        self.key: Callable[[Any], str] = key_from_ireq
        self.requirement = partial(install_req_from_line, isolated=True)
        self._options: Callable[[str], tuple[str, Any]] = req_file.get_line_parser(None)
        self._joined: Callable[[Any], Any] = req_file.join_lines
        self._without_comments: Callable[[Any], Any] = req_file.ignore_comments

    def first(self, file: str, *, constraint: bool) -> bool:
        """Whether a file is included for the first time: files that include two others each would be read without end."""
        seen = (file, constraint) in self._included
        self._included.add((file, constraint))
        return not seen

    def lines(self, text: str, label: str, problems: list[str]) -> Iterator[tuple[int, str]]:
        """The logical lines of a file, each with the number of its first."""
        joined = self._joined(enumerate(text.splitlines(), start=1))
        yield from self._without_comments(_short(joined, label, problems))

    def options(self, line: str) -> tuple[str, Any]:
        """What stands before the options of a line, and these."""
        with contextlib.redirect_stderr(io.StringIO()):  # optparse prints its usage
            return self._options(line)


def _short(lines: Iterator[tuple[int, str]], label: str, problems: list[str]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if len(line) > _LONGEST:
            problems.append(f"{label}:{number}: a line of more than {_LONGEST:,} characters")
        else:
            yield number, line


def _file(
    path: str, root: str, tools: _Tools, problems: list[str], *, above: tuple[str, ...], constraint: bool
) -> Iterator[Item]:
    label = os.path.relpath(os.path.abspath(path), root)
    text = read_text(path, label, problems)
    chain = (*above, os.path.abspath(path))
    yield from _lines(text or "", label, root, tools, problems, above=chain, constraint=constraint)


def _lines(
    text: str,
    label: str,
    root: str,
    tools: _Tools,
    problems: list[str],
    *,
    above: tuple[str, ...] | None,
    constraint: bool,
) -> Iterator[Item]:
    """`above`: the file that the text is of, and before it those that include it; None for a text that may include nothing."""
    for number, line in tools.lines(text, label, problems):
        where = f"{label}:{number}"
        try:
            wanted, options = tools.options(line)
            for name, inner in _included(options):
                if above is None:
                    raise _LineError(f"{masked(name)} cannot be included here; write its lines instead")
                if _REMOTE.match(name):
                    raise _LineError(f"{masked(name)} is not a file, and nothing is fetched; save it beside this one")
                file = os.path.normpath(os.path.join(os.path.dirname(above[-1]), name))
                if file in above:
                    raise _LineError(f"{name} includes this file again")
                if os.path.exists(file) and not os.path.isfile(file):
                    raise _LineError(f"{name} is no file")  # a pipe or a device would never end
                if len(above) > _DEEPEST:
                    raise _LineError(f"{name} is included through more than {_DEEPEST} files")
                if not tools.first(file, constraint=constraint or inner):
                    continue
                yield from _file(file, root, tools, problems, above=above, constraint=constraint or inner)
            tools.indexes += _indexes(options, os.path.dirname(above[-1]) if above else "")
            for source in options.editables or ():
                yield _editable(source, label, number, constraint=constraint)
            if wanted:
                yield _item(wanted, options, tools, label, number, constraint=constraint)
        except (_LineError, InvalidRequirement, InvalidSpecifier, RecursionError, *tools.errors) as error:
            said = str(getattr(error, "msg", None) or error or "cannot be read").strip().splitlines()[0]
            if isinstance(error, InvalidRequirement):
                # Not the line itself: whoever includes another file, or names the wrong one, would see what is in it.
                said = f"no requirement: {said}"
            problems.append(f"{where}: {masked(said.rpartition(': error: ')[2])}")


def _included(options: Any) -> Iterator[tuple[str, bool]]:
    yield from ((name, False) for name in options.requirements or ())
    yield from ((name, True) for name in options.constraints or ())


def _indexes(options: Any, directory: str) -> Iterator[str]:
    """The options of a line that say where to look. What is called by its path from there begins where the file lies, as for pip."""
    if options.no_index:
        yield "--no-index"
    if options.index_url:
        yield f"--index-url={options.index_url}"
    yield from (f"--extra-index-url={url}" for url in options.extra_index_urls or ())
    for place in options.find_links or ():
        beside = os.path.join(directory, place)
        yield f"--find-links={beside if os.path.exists(beside) else place}"
    yield from (f"--trusted-host={host}" for host in options.trusted_hosts or ())
    if options.pre:
        yield "--pre"


def _item(text: str, options: Any, tools: _Tools, label: str, number: int, *, constraint: bool) -> Item:
    bare, _, marker = text.partition(" ;") if _is_reference(text) else (text, "", "")
    if _is_reference(text) and not _REFERENCE.match(text):
        condition = Marker(marker) if marker.strip() else None
        direct = _direct(bare.strip(), label, number, condition=condition, constraint=constraint)
        return replace(direct, hashes=tuple(sorted({*direct.hashes, *_listed(options)})))
    Requirement(text)  # packaging first: what pip has on board may be years older, and takes more
    found = tools.requirement(text, constraint=constraint)
    parsed = Requirement(str(found.req))
    condition = parsed.marker or (Marker(str(found.markers)) if found.markers else None)
    if parsed.url:
        name, extras = canonicalize_name(parsed.name), tuple(sorted(map(canonicalize_name, parsed.extras)))
        direct = _direct(
            parsed.url, label, number, name=name, extras=extras, condition=condition, constraint=constraint
        )
        return replace(direct, hashes=tuple(sorted({*direct.hashes, *_listed(options)})))
    return Item(
        name=canonicalize_name(tools.key(found)),
        file=label,
        line=number,
        specifier=SpecifierSet(str(parsed.specifier)),
        extras=tuple(sorted(map(canonicalize_name, parsed.extras))),
        condition=condition,
        hashes=tuple(sorted(f"{kind}:{value}" for kind, values in (options.hashes or {}).items() for value in values)),
        constraint=constraint,
    )


def _listed(options: Any) -> Iterator[str]:
    """The values of `--hash`."""
    for algorithm, digests in (options.hashes or {}).items():
        yield from (f"{algorithm}:{digest}" for digest in digests)


def _is_reference(text: str) -> bool:
    """A path or a URL, with or without a name before it."""
    return bool(_SCHEME.search(text) or text.startswith((".", "/", "~")) or text.endswith((".whl", ".tar.gz", ".zip")))


def _editable(source: str, label: str, number: int, *, constraint: bool) -> Item:
    match = _REFERENCE.match(source)
    if match is None:
        return _direct(source, label, number, editable=True, constraint=constraint)
    parsed = Requirement(source)
    name, extras = canonicalize_name(parsed.name), tuple(sorted(map(canonicalize_name, parsed.extras)))
    return _direct(parsed.url or "", label, number, name=name, extras=extras, editable=True, constraint=constraint)


def _direct(
    url: str,
    label: str,
    number: int,
    *,
    name: str | None = None,
    extras: tuple[str, ...] = (),
    condition: Marker | None = None,
    editable: bool = False,
    constraint: bool = False,
) -> Item:
    """A direct reference: `[vcs+]URL[@REVISION][#egg=NAME&subdirectory=…]`, or a path."""
    vcs = _VCS.match(url)
    place, _, fragment = url[vcs.end() if vcs else 0 :].partition("#")
    revision, subdirectory, digest = "", "", ""
    if vcs and "@" in urlsplit(place).path:
        place, _, revision = place.rpartition("@")
    for part in fragment.split("&"):
        if egg := _EGG.match(unquote(part)):
            name = name or canonicalize_name(egg[1])
            wanted = (canonicalize_name(extra.strip()) for extra in (egg[2] or "").split(",") if extra.strip())
            extras = extras or tuple(sorted(wanted))
        elif part.startswith("subdirectory="):
            subdirectory = unquote(part[len("subdirectory=") :])
        elif part.startswith(("sha256=", "sha384=", "sha512=")):
            digest = part.replace("=", ":", 1)
    name, version = (name, None) if name or vcs else _of_wheel(place)
    return Item(
        name=name,
        file=label,
        line=number,
        specifier=SpecifierSet(f"=={version}" if version else ""),
        extras=extras,
        condition=condition,
        url=masked(place),
        vcs=vcs[1] if vcs else "",
        commit=revision,
        subdirectory=subdirectory,
        hashes=(digest,) if digest else (),
        editable=editable,
        constraint=constraint,
    )


def _of_wheel(place: str) -> tuple[str | None, str | None]:
    """Name and version that the file name of a wheel says."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    file = unquote(urlsplit(place).path.rpartition("/")[2])
    if not file.endswith(".whl"):
        return None, None
    try:
        name, version, *_ = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise _LineError(f"{file} is no name of a wheel") from error
    return str(name), str(version)
