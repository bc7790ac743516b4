"""What is compared: a snapshot, its files, and what is known beyond them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshot.facts.model import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from snapshot.digest import Digest
    from snapshot.model import Finding, Snapshot, Tree

#: Nothing is known beyond the files: a snapshot of an earlier envparity.
NO_FACTS = Facts()


@dataclass(frozen=True)
class Description:
    """What is compared: an environment down to its files, from a snapshot or read from a live one.

    `trees` maps a layer's tree digest to its entries; a description from a store loads them when asked (see
    `snapshot.trees`). `facts` is what is known beyond the files; what was not collected is None in it.
    """

    snapshot: Snapshot
    trees: Mapping[Digest, Tree]
    findings: tuple[Finding, ...] = ()
    facts: Facts = NO_FACTS
