"""Which distribution owns which file: what RECORD (PEP 376, PEP 627) and `installed-files.txt` say, held against the disk."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import os
import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from snapshot.model import Finding
from snapshot.requiring import can_be_read
from snapshot.scan import decode, encode, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from snapshot.scan import Found


def without_debris(found: Mapping[str, Found], sites: tuple[str, ...]) -> tuple[Mapping[str, Found], list[Finding]]:
    """What an interrupted install left (pip renames `package` to `~ackage` before it removes it) is named, not captured.

    Not what Python takes for its own all the same: a `.pth` runs whatever its name, and entry points are found.
    """
    debris = sorted(
        path
        for path, item in found.items()
        if posixpath.basename(path).startswith("~")
        and posixpath.dirname(path) in sites
        and item.is_directory
        and f"{path}/entry_points.txt" not in found
    )
    if not debris:
        return found, []
    inside = tuple(f"{path}/" for path in debris)
    left = {path: item for path, item in found.items() if path not in debris and not path.startswith(inside)}
    return left, [Finding("debris", path, "left by an interrupted install; left out") for path in debris]


@dataclass(slots=True)
class Installed:
    """A distribution as its metadata directory describes it. Paths are relative to the root that was scanned.

    `rows` maps each recorded path to the sha256 that RECORD has for it (hexadecimal; None where it has none).
    `editable` is the source directory of an editable install. `portable`: its wheel was built to run elsewhere
    (manylinux, musllinux, any), so its files cannot name this prefix.
    """

    name: str
    version: str
    metadata: str
    site: str
    rows: dict[str, str | None] = field(default_factory=dict)
    editable: str | None = None
    portable: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """What a distribution's metadata says of itself. Paths are relative to the root that was scanned.

    `record`: whether RECORD has digests; `missing` are files that it lists and that are not there, `disputed` those that another
    distribution lists with another digest; `editable` is the source directory of an editable install.
    """

    metadata: str
    record: bool
    missing: tuple[str, ...]
    disputed: tuple[str, ...]
    editable: str | None


@dataclass(slots=True)
class Ownership:
    """`owner` maps a path to the number of its distribution in `distributions`, `shared` one that several list to all of them.

    `missing` has, by number, what a distribution lists and is not there, `disputed` what others list with another digest.
    """

    distributions: list[Installed]
    owner: dict[str, int]
    shared: dict[str, list[int]]
    missing: dict[int, list[str]]
    disputed: dict[int, list[str]]
    findings: list[Finding]

    def declared(self, number: int) -> Declared:
        one = self.distributions[number]
        missing, disputed = (tuple(sorted(rows.get(number, ()))) for rows in (self.missing, self.disputed))
        return Declared(one.metadata, any(one.rows.values()), missing, disputed, one.editable)


def read_distributions(
    root: str, sites: Iterable[str], found: Mapping[str, Found]
) -> tuple[list[Installed], list[Finding]]:
    """Read every metadata directory in the site directories (relative to `root`)."""
    distributions: list[Installed] = []
    findings: list[Finding] = []
    for site in dict.fromkeys(sites):
        for path, inside in _metadata_in(site, found).items():
            name, version, found_metadata = _name_and_version(root, path)
            if not found_metadata:
                findings.append(Finding("no-metadata", path, "has no METADATA: name and version are the directory's"))
            item = Installed(str(canonicalize_name(name)), version, path, site)
            _read_rows(root, item, inside, findings, directory=found[path].is_directory)
            distributions.append(item)
    distributions.sort(key=lambda item: (item.name, item.version, item.metadata))
    return distributions, findings


def _name_and_version(root: str, path: str) -> tuple[str, str, bool]:
    """What METADATA says; where there is none, what the directory is called, and False."""
    import importlib_metadata  # 15 ms: only a capture needs it

    place = os.path.join(encode(root), encode(path))
    where = Path(os.fsdecode(place))
    stem = posixpath.basename(path).rpartition(".")[0]
    name, _, rest = stem.partition("-")
    fallback = rest.partition("-")[0] or "0"
    if not can_be_read(place):
        return name, fallback, False
    try:
        metadata = importlib_metadata.PathDistribution(where).metadata
    except (FileNotFoundError, ValueError):  # MetadataNotFound, from importlib-metadata 8.8 on; or not UTF-8
        return name, fallback, False
    if not metadata:
        return name, fallback, False
    return metadata.get("Name") or name, metadata.get("Version") or fallback, True


def _metadata_in(site: str, found: Mapping[str, Found]) -> dict[str, list[str]]:
    """Each metadata directory (or single `.egg-info` file) of a site directory, with what lies in it."""
    inside: dict[str, list[str]] = {}
    lead = site + "/"
    for path, item in found.items():
        if ".dist-info" not in path and ".egg-info" not in path:
            continue
        name = path[len(lead) :].partition("/")[0] if path.startswith(lead) else ""
        if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
            if lead + name == path and not item.is_directory and not name.endswith(".egg-info"):
                continue
            inside.setdefault(lead + name, []).append(path)
    return {path: inside[path] for path in sorted(inside)}


def _read(root: str, path: str) -> bytes | None:
    return read_regular(os.path.join(encode(root), encode(path)))


def _read_rows(root: str, item: Installed, inside: list[str], findings: list[Finding], *, directory: bool) -> None:
    record = _read(root, f"{item.metadata}/RECORD")
    if record is not None:
        _parse_record(item, record, findings)
    else:
        listing = _read(root, f"{item.metadata}/installed-files.txt")
        for line in (listing or b"").splitlines():
            path = posixpath.normpath(posixpath.join(item.metadata, decode(line)))
            if not path.startswith("../"):
                item.rows[path] = None
        if listing is None and directory:
            findings.append(Finding("no-record", item.metadata, f"{item.name} has no RECORD: its files are unowned"))
    # The metadata directory is the distribution's, listed or not.
    for path in inside:
        item.rows.setdefault(path, None)
    wheel = _read(root, f"{item.metadata}/WHEEL") or b""
    tags = [line[4:].strip() for line in wheel.splitlines() if line.startswith(b"Tag:")]
    item.portable = bool(tags) and all(
        b"-manylinux" in tag or b"-musllinux" in tag or tag.endswith(b"-any") for tag in tags
    )
    item.editable = _editable(_read(root, f"{item.metadata}/direct_url.json"))


def _rows(item: Installed, record: bytes, findings: list[Finding]) -> list[list[str]]:
    """The rows of RECORD; one that is not CSV throughout is cut at its commas."""
    text = decode(record)
    try:
        return list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        findings.append(Finding("record-unchecked", item.metadata, f"RECORD is not CSV throughout: {error}"))
    return [line.rsplit(",", 2) for line in text.splitlines()]


def _parse_record(item: Installed, record: bytes, findings: list[Finding]) -> None:
    outside: list[str] = []
    odd: list[str] = []
    for row in _rows(item, record, findings):
        if not row:
            continue
        path = row[0]
        if path.startswith(("/", "./")) or ".." in path or "//" in path:
            path = posixpath.normpath(posixpath.join(item.site, path))
        else:
            path = f"{item.site}/{path}"
        if path.startswith(("/", "../")):
            outside.append(row[0])
            continue
        digest = row[1] if len(row) > 1 else ""
        item.rows[path] = _hexadecimal(digest) if digest.startswith("sha256=") else None
        if digest and item.rows[path] is None:
            odd.append(row[0])
    if outside:
        findings.append(
            Finding("record-outside", item.metadata, f"{len(outside)} files outside of the environment: {outside[0]}")
        )
    if odd:
        findings.append(
            Finding("record-unchecked", item.metadata, f"{len(odd)} rows without a usable sha256: {odd[0]}")
        )


def _hexadecimal(digest: str) -> str | None:
    text = digest[7:]
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except (binascii.Error, ValueError):
        return None


def _editable(direct_url: bytes | None) -> str | None:
    """The source directory that an editable install's direct_url.json names (PEP 610)."""
    try:
        content = json.loads(direct_url or b"{}")
        if content.get("dir_info", {}).get("editable") and content["url"].startswith("file:"):
            return unquote(urlsplit(content["url"]).path, errors="surrogateescape")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None  # not PEP 610; capture goes on, the file itself is kept
    return None


def assign(distributions: list[Installed], found: Mapping[str, Found]) -> Ownership:
    """Give each file to one distribution, and say what is missing and what several claim."""
    owner: dict[str, int] = {}
    shared: dict[str, list[int]] = {}
    missing: dict[int, list[str]] = {}
    findings: list[Finding] = []
    for number, item in enumerate(distributions):
        for path in item.rows:
            if path not in found:
                # virtualenv lists the cache directories too.
                if not path.endswith((".pyc", "/__pycache__")):
                    missing.setdefault(number, []).append(path)
                    findings.append(Finding("missing", path, f"{item.name} {item.version} lists it in RECORD"))
            elif path in owner:
                shared.setdefault(path, [owner[path]]).append(number)
            else:
                owner[path] = number
    disputed, more = _shared(distributions, shared, found)
    return Ownership(distributions, owner, shared, missing, disputed, [*findings, *more])


def _shared(
    distributions: list[Installed], shared: dict[str, list[int]], found: Mapping[str, Found]
) -> tuple[dict[int, list[str]], list[Finding]]:
    """One finding for each file that several distributions have and disagree on; one for all that each group agrees on.
    And the former by distribution.
    """
    findings: list[Finding] = []
    agreed: dict[str, list[str]] = {}
    disputed: dict[int, list[str]] = {}
    for path, numbers in shared.items():
        if found[path].is_directory:
            continue
        names = ", ".join(distributions[number].name for number in numbers)
        if len({distributions[number].rows[path] for number in numbers}) == 1:
            agreed.setdefault(names, []).append(path)
        else:
            findings.append(Finding("multiply-owned", path, f"{names} disagree on its content; kept as it lies there"))
            for number in numbers:
                disputed.setdefault(number, []).append(path)
    for names, paths in agreed.items():
        findings.append(Finding("multiply-owned", paths[0], f"{names} share {len(paths)} files and agree on them"))
    return disputed, findings
