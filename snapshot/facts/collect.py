"""Calls every collector, and remembers what they found for as long as nothing has changed. Orchestration only."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from snapshot.facts import metadata, modules, startup
from snapshot.facts.listing import Listing
from snapshot.facts.model import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from snapshot.facts.memory import Memory
    from snapshot.model import Finding, Layer
    from snapshot.plan import Survey


def collect(
    found: Survey,
    layers: Sequence[Layer],  # noqa: ARG001
    findings: Iterable[Finding],
    *,
    variables: Mapping[str, str] | None,  # noqa: ARG001
    key: bytes | None,  # noqa: ARG001
    fingerprint: bool,  # noqa: ARG001
    stamps: Iterable[str | None] | None = None,
    memory: Memory | None = None,
) -> Facts:
    """The facts of the environment that was surveyed as `found`.

    `layers` and `findings` are what became of it; `variables` those of the process that the environment serves, `key` the key of
    their digests; `fingerprint`: whether to run the numeric probe in the environment. `stamps` are those of the plans (see
    `snapshot.stamps`): with them, what the files say is taken from `memory`.
    """
    return _of_files(found, findings, _together(found, stamps), memory)


def _together(found: Survey, stamps: Iterable[str | None] | None) -> str | None:
    """One stamp of all plans. None when one cannot be trusted, or when there are none."""
    each = None if stamps is None else list(stamps)
    if each is None or None in each:
        return None
    return sha256(
        repr((sorted(map(str, each)), found.probe, found.sites)).encode("utf-8", "surrogateescape")
    ).hexdigest()


def _of_files(found: Survey, findings: Iterable[Finding], stamp: str | None, memory: Memory | None) -> Facts:
    """What the files say. They are read again only when one of them has changed."""
    known = memory.find("files", stamp) if memory is not None else None
    if known is not None:
        return known
    listing = Listing(found)
    path = modules.search_path(listing, found)
    importable = modules.modules(listing, found, path)
    facts = Facts(
        distributions=metadata.distributions(listing, found, findings),
        startup=startup.hooks(listing, found.sites, importable, found.probe.version),
        search_path=path,
        modules=importable,
    )
    if memory is not None and not listing.looked_outside:
        memory.add("files", stamp, facts)
    return facts
