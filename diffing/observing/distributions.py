"""Distributions: versions, other files under the same version, where they came from, and what they announce."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from diffing.observation import Observation
from diffing.observing.sides import change_of_version, place_of
from diffing.verdict import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from diffing.model import DistributionChange, FileChange
    from diffing.observing.sides import Sides
    from snapshot.facts.model import DistributionFacts, Source
    from snapshot.model import Layer

_MARKS = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(slots=True)
class DistributionGroup:
    """A distribution that differs, and the files that its one observation stands for.

    `kind` is that of the observation; None where each file is an observation of its own.
    """

    name: str
    change: DistributionChange
    kind: str | None
    files: list[FileChange] = field(default_factory=list)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in (self.change.before, self.change.after) if layer is not None)

    @property
    def stands(self) -> bool:
        """Whether one observation stands for all of its files."""
        return self.kind is not None

    def observation(self, sides: Sides) -> Observation:
        before, after = self.change.before, self.change.after
        attributes: dict[str, str] = {}
        train, serve = (None if layer is None else layer.version or "" for layer in (before, after))
        if before is not None and after is not None:
            if before.version != after.version:
                attributes["change"] = change_of_version(before.version or "", after.version or "")
            elif before.name != after.name and self.kind == "distribution-version":
                attributes["change"] = "other"
                train, serve = before.label, after.label
            else:
                attributes |= _wheel(self.name, before.version or "", sides)
        return Observation(
            kind=str(self.kind),
            level=Level.DISTRIBUTIONS,
            subject=self.name,
            owner=self.name,
            train=train,
            serve=serve,
            attributes=attributes,
            identity=(_identity(before), _identity(after)),
            details=details_of(self.files),
            bytes=bytes_of(self.files),
        )


def details_of(changes: Sequence[FileChange]) -> tuple[str, ...]:
    """One line a file, sorted by path."""
    lines = []
    for change in changes:
        what = f" ({', '.join(change.what)})" if change.what and change.what != ("content",) else ""
        lines.append(f"{_MARKS[change.change]} {place_of(change)}{what}")
    return tuple(sorted(lines, key=lambda line: line[2:]))


def bytes_of(changes: Sequence[FileChange]) -> int:
    """The size of the files that differ, each at its larger."""
    return sum(
        max(change.before.size if change.before else 0, change.after.size if change.after else 0) for change in changes
    )


def _identity(layer: Layer | None) -> str | None:
    return None if layer is None else f"{layer.name} {layer.version} {layer.parity}"


def group_distributions(sides: Sides) -> list[DistributionGroup]:
    """All distributions that differ, each with the kind of the observation that stands for its files."""
    return [DistributionGroup(change.name, change, _kind(change, sides)) for change in sides.diff.distributions]


def _kind(change: DistributionChange, sides: Sides) -> str | None:
    before, after = change.before, change.after
    if before is None or after is None:
        return f"distribution-{change.change}"
    if before.version != after.version:
        return "distribution-version"
    differing = change.files.added + change.files.removed + change.files.changed
    if not differing:
        return "distribution-version"  # of the same files: only the name is spelled differently
    wheel = _wheel(change.name, before.version or "", sides)
    if wheel["recorded"] == "no":
        return None  # somebody edited it: then each file is named
    if wheel["tags"] in {"other", "python"}:
        return "distribution-wheel"
    return "distribution-wheel" if differing > 1 and max(before.files, after.files) < 2 * differing else None


def _wheel(name: str, version: str, sides: Sides) -> dict[str, str]:
    """How two distributions of one version differ: in their wheels' tags, and whether each agrees with its own RECORD."""
    if sides.metadata is None:
        return {"tags": "unknown", "recorded": "unknown"}
    rows = [side.get((name, version)) for side in sides.metadata]
    if None in rows:
        return {"tags": "unknown", "recorded": "unknown"}
    train, serve = (row for row in rows if row is not None)
    edited = any(row.modified or row.missing for row in (train, serve))
    return {
        "tags": _tags(train.tags, serve.tags, sides),
        "recorded": "no" if edited else "yes" if train.record and serve.record else "unknown",
    }


def _tags(train: tuple[str, ...], serve: tuple[str, ...], sides: Sides) -> str:
    """`same`, `python` where they are for the two sides' minor versions of Python and otherwise the same, or `other`."""
    if sorted(train) == sorted(serve):
        return "same"
    minors = [side.minor.replace(".", "") for side in sides.interpreters]
    if minors[0] == minors[1]:
        return "other"
    plain = [{_fitting(tag, minor) for tag in tags} for tags, minor in zip((train, serve), minors, strict=True)]
    return "python" if plain[0] == plain[1] and None not in plain[0] else "other"


def _fitting(tag: str, minor: str) -> str | None:
    """The machine that a wheel's tag is for, where it is one that an installer takes for this minor version of Python; else None."""
    python, abi, platform = [*tag.split("-", 2), "", ""][:3]
    own = python == f"cp{minor}" or abi in {"abi3", "none"}
    # Of one machine: wheels for other versions of Python are often built on newer systems.
    return re.sub(r"\A((?:many|musl)?linux)(?:_\d+_\d+|\d*)_", r"\1 ", platform) if own else None


def observe_metadata(sides: Sides, groups: Mapping[str, DistributionGroup]) -> Iterator[Observation]:
    """Of distributions that have the same version on both sides: where they came from, and their entry points."""
    if sides.metadata is None:
        return
    train, serve = sides.metadata
    for pin in sorted(train.keys() & serve.keys()):
        one, two = train[pin], serve[pin]
        if one.source != two.source:
            yield _source(pin[0], one, two, changed=pin[0] in groups)
        if one.entry_points != two.entry_points:
            yield _entry_points(pin[0], one, two)


def _source(name: str, train: DistributionFacts, serve: DistributionFacts, *, changed: bool) -> Observation:
    commits = [row.source.commit if row.source else "" for row in (train, serve)]
    return Observation(
        kind="distribution-source",
        level=Level.DISTRIBUTIONS,
        subject=name,
        owner=name,
        train=_origin(train.source),
        serve=_origin(serve.source),
        attributes={
            "files": "other" if changed else "same",
            "commit": "same" if commits[0] == commits[1] else "other",
        },
    )


def _origin(source: Source | None) -> str | None:
    if source is None:
        return None
    place = f"{source.vcs}+{source.url}" if source.vcs else source.url
    detail = f"@{source.commit}" if source.commit else f" ({source.digest})" if source.digest else ""
    return f"{place}{detail}{' (editable)' if source.editable else ''}"


def _entry_points(name: str, train: DistributionFacts, serve: DistributionFacts) -> Observation:
    def only(mine: DistributionFacts, other: DistributionFacts) -> str | None:
        return ", ".join(f"{group}: {key} = {value}" for group, key, value in _less(mine, other)) or None

    return Observation(
        kind="entry-points",
        level=Level.ENTRY_POINTS,
        subject=name,
        owner=str(canonicalize_name(name)),
        train=only(train, serve),
        serve=only(serve, train),
    )


def _less(mine: DistributionFacts, other: DistributionFacts) -> list[tuple[str, str, str]]:
    return [row for row in mine.entry_points if row not in other.entry_points]
