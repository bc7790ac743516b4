"""What the metadata of distributions says (PEP 376, 427, 566, 610, and the older `.egg-info`), and where it is not true."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING, Any

from snapshot.facts.model import DistributionFacts, Source
from snapshot.model import Kind
from snapshot.requiring import requires_of_directory
from snapshot.scan import decode, encode
from snapshot.secrets import MASK, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snapshot.facts.listing import Listing
    from snapshot.model import Finding
    from snapshot.plan import Plan, Survey

_REQUIRES = re.compile(rb"^Requires-Dist:[ \t]*(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_FOLD = re.compile(rb"\n[ \t]+")
_BODY = re.compile(rb"\n\n")
_FILE = "file://"


def distributions(listing: Listing, found: Survey, findings: Iterable[Finding]) -> tuple[DistributionFacts, ...]:
    """The facts of every distribution. `findings` are those of the capture: which files are modified is known from reading them."""
    modified: dict[str, list[str]] = {}
    for finding in findings:
        if finding.kind == "modified":
            modified.setdefault(listing.owner(finding.path), []).append(finding.path)
    rows = [
        _distribution(listing, plan, modified.get(plan.name, ()))
        for plan in found.plans
        if plan.kind is Kind.DISTRIBUTION and plan.declared is not None
    ]
    return tuple(sorted(rows, key=lambda row: (row.name, row.version, row.metadata)))


def _distribution(listing: Listing, plan: Plan, modified: Iterable[str]) -> DistributionFacts:
    declared = plan.declared
    assert declared is not None and plan.version is not None  # noqa: S101, PT018 - those of distributions have both

    def mounted(paths: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(posixpath.join(plan.mount, path) for path in paths))

    (metadata,) = mounted([declared.metadata])
    own = {posixpath.join(plan.mount, item.path) for item in plan.items}
    return DistributionFacts(
        name=plan.name,
        version=plan.version,
        metadata=metadata,
        tags=_tags(listing.read(f"{metadata}/WHEEL") or b""),
        requires=_requires(listing, metadata),
        entry_points=_entry_points(listing.read(f"{metadata}/entry_points.txt") or b""),
        source=_source(listing, listing.read(f"{metadata}/direct_url.json")),
        record=declared.record,
        modified=tuple(sorted(own.intersection(modified))),
        missing=mounted(declared.missing),
        disputed=mounted(declared.disputed),
    )


def _tags(wheel: bytes) -> tuple[str, ...]:
    return tuple(sorted({decode(line[4:].strip()) for line in wheel.splitlines() if line.startswith(b"Tag:")}))


def _requires(listing: Listing, metadata: str) -> tuple[str, ...]:
    data = listing.read(f"{metadata}/METADATA")
    if data is not None:
        head = _FOLD.sub(b" ", _BODY.split(data.replace(b"\r\n", b"\n"), 1)[0])
        lines = [match[1] for match in _REQUIRES.finditer(head)]
    else:
        lines = [encode(line) for line in requires_of_directory(encode(listing.absolute(metadata)))]
    return tuple(sorted({decode(redact(line)[0]) for line in lines}))


def _entry_points(data: bytes) -> tuple[tuple[str, str, str], ...]:
    """Group, name and value of each line, as the entry points specification of PyPA has them."""
    rows = set()
    group = ""
    for line in map(str.strip, decode(redact(data)[0]).splitlines()):  # a value may be any text, a URL too
        name, separator, value = line.partition("=")
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif separator and not line.startswith(("#", ";")):
            rows.add((group, name.strip(), value.strip()))
    return tuple(sorted(rows))


def _source(listing: Listing, direct_url: bytes | None) -> Source | None:
    """None without a direct_url.json that PEP 610 would know."""
    try:
        content = json.loads(direct_url or b"null")
        url = content["url"]
        vcs, archive, directory = (content.get(key) or {} for key in ("vcs_info", "archive_info", "dir_info"))
        return Source(
            _public(listing, url),
            str(vcs.get("vcs", "")),
            str(vcs.get("commit_id", "")),
            _digest(archive),
            bool(directory.get("editable", False)),
        )
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None


def _public(listing: Listing, url: str) -> str:
    """A URL without credentials, and without a query, which may be one. A directory of the environment is its path there."""
    if url.startswith(_FILE):
        from urllib.parse import unquote, urlsplit

        path = unquote(urlsplit(url).path, errors="surrogateescape")
        relative = listing.relative(path)
        if not relative.startswith("/"):
            return relative
    before, question, query = decode(redact(encode(url))[0]).partition("?")
    _, number, fragment = query.partition("#")
    return before + (f"?{MASK.decode()}{number}{fragment}" if question else "")


def _digest(archive: dict[str, Any]) -> str:
    """`hashes` has superseded `hash` in PEP 610; sha256 is preferred."""
    hashes = archive.get("hashes") or {}
    if hashes:
        name = "sha256" if "sha256" in hashes else sorted(hashes)[0]
        return f"{name}:{hashes[name]}"
    return str(archive.get("hash", "")).replace("=", ":", 1)
