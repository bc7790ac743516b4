"""The facts of a restored environment on this host, where its files were compared with their snapshot before: nothing is hashed again."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from snapshot.facts.host import host
from snapshot.facts.libraries import may_be_elf, native
from snapshot.facts.model import PYTHON
from snapshot.facts.variables import variables as typed
from snapshot.model import BESIDE, Finding, Kind
from snapshot.scan import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from snapshot.description import Description
    from snapshot.facts.model import Facts, Numeric
    from snapshot.model import Layer


def here(
    stored: Description,
    prefix: str | os.PathLike[str],
    *,
    variables: Mapping[str, str] | None,
    key: bytes | None,
    measured: Callable[[], Numeric] | None = None,
) -> Description:
    """`stored`, with what this host and a process with `variables` make of it at `prefix`.

    The files' facts are the snapshot's own: call it for an environment that has just been restored or verified. Found out anew are the host,
    the system's libraries that its files get here, and the variables (None: not known; `key`: of their digests, the store's). `measured` gives the
    numeric fingerprint, or raises FingerprintError; it is called last, so that the probe can run meanwhile. None: it is not known.
    """
    facts = replace(
        stored.facts,
        host=host(),
        variables=None if variables is None else typed(variables, key),
        native=native(_programs(stored, os.fspath(prefix)), library_path=(variables or {}).get("LD_LIBRARY_PATH", "")),
        numeric=None,
    )
    findings = stored.findings
    if measured is not None:
        from snapshot.facts.numeric import FingerprintError

        try:
            facts = replace(facts, numeric=measured())
        except FingerprintError as error:
            findings = (*findings, Finding("no-fingerprint", "", str(error)))
    return replace(stored, facts=facts, findings=findings)


def _programs(stored: Description, prefix: str) -> Iterator[tuple[str, str, str]]:
    """What may be native code: path, where it lies, owner."""
    for layer in stored.snapshot.layers:
        if layer.kind in BESIDE:
            continue
        owner = _owner(layer, stored.facts)
        for entry in stored.trees[layer.tree]:
            path = posixpath.join(layer.mount, entry.path)
            location = os.path.join(prefix, path)
            if may_be_elf(path) and os.path.isfile(encode(location)):
                yield path, location, owner


def _owner(layer: Layer, facts: Facts) -> str:
    """As `Listing.owner` has it."""
    if layer.kind is Kind.SOURCE:
        mine = [each.name for each in facts.distributions or () if each.source and each.source.url == layer.mount]
        return mine[0] if mine else ""
    return {Kind.DISTRIBUTION: layer.name, Kind.INTERPRETER: PYTHON}.get(layer.kind, "")
