"""What a comparison noticed, before anybody says how much it matters: the input of the rules. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from diffing.report import Normalised, Share, Unknown
    from diffing.verdict import Level


@dataclass(frozen=True, slots=True)
class Observation:
    """One difference. `kind` says what differs, `attributes` in which way: rules match on both (docs/parity.md lists them).

    `owner` is the normalised name of the distribution that it belongs to, None where it belongs to none. `train` and `serve` are values to
    show; exchange them everywhere and you have the comparison the other way round. `identity` is what names it exactly on both
    sides (digests of files, where there are any), for waivers.
    """

    kind: str
    level: Level
    subject: str
    owner: str | None = None
    path: str | None = None
    train: str | None = None
    serve: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[str | None, str | None] = (None, None)
    details: tuple[str, ...] = ()
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was noticed. `aspects` is how many there are to compare, `unknown` those that could not be."""

    found: tuple[Observation, ...]
    normalised: tuple[Normalised, ...]
    aspects: int
    unknown: tuple[Unknown, ...]
    shares: tuple[Share, ...]
