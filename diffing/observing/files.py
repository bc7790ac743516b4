"""Which observation stands for which differing file: its distribution's, its interpreter's, a startup hook's, or its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diffing.observation import Observation
from diffing.observing.distributions import DistributionGroup, group_distributions
from diffing.observing.paths import hides, is_library, module_of, what_of
from diffing.observing.sides import identity_of, owner_of, place_of, short
from diffing.observing.startup import Hooks
from diffing.verdict import Level
from snapshot.model import Kind

if TYPE_CHECKING:
    from diffing.model import FileChange, FileState
    from diffing.observing.sides import Sides
    from snapshot.description import Description
    from snapshot.model import Layer

#: What a file that differs is called by the first of these that applies.
_KINDS = (("type", "file-type"), ("content", "file-content"), ("target", "file-target"), ("mode", "file-mode"))


@dataclass(slots=True)
class FileFindings:
    """`observations` of distributions, startup hooks and single files; `base` are the interpreter's own files, which the
    interpreter's observation stands for.
    """

    observations: list[Observation] = field(default_factory=list)
    distributions: dict[str, DistributionGroup] = field(default_factory=dict)
    base: list[FileChange] = field(default_factory=list)


def observe_files(sides: Sides) -> FileFindings:
    """Sort the differing files of `sides.diff` to the observations that stand for them."""
    groups = group_distributions(sides)
    by_layer = {id(layer): group for group in groups for layer in group.layers if group.stands}
    hooks = Hooks(sides)
    integrity = _Integrity(sides)
    found = FileFindings(distributions={group.name: group for group in groups})
    for change in sides.diff.files:
        mine, yours = (
            None if state is None else by_layer.get(id(state.owner)) for state in (change.before, change.after)
        )
        if mine is not None:
            mine.files.append(change)
        if yours is not None and yours is not mine:
            yours.files.append(change)
        if hooks.is_hook(change):
            found.observations.append(hooks.observe(change, integrity.of(change)))
        elif change.what == ("owner",) and (mine or yours):
            continue  # the same file; that its distribution came or went says why
        elif (change.before and mine is None) or (change.after and yours is None):
            if all(state.owner.kind is Kind.INTERPRETER for state in change.states):
                found.base.append(change)
            else:
                found.observations.append(_observe(change, integrity, sides))
    found.observations += [group.observation(sides) for group in groups if group.stands]
    found.observations += hooks.outside()
    return found


class _Integrity:
    """Which files disagree with their own RECORD, and which several distributions claim."""

    def __init__(self, sides: Sides) -> None:
        self._odd = [_odd_files(side) for side in (sides.train, sides.serve)]
        self._known = sides.metadata is not None
        self._disputed = {
            path
            for side in (sides.train, sides.serve)
            for row in side.facts.distributions or ()
            for path in row.disputed
        }

    def of(self, change: FileChange) -> str:
        odd = any(
            state is not None and state.path in paths
            for state, paths in zip((change.before, change.after), self._odd, strict=True)
        )
        # What one side lacks can be missing there against the RECORD.
        paths = {state.path for state in change.states}
        if odd or (change.change != "changed" and any(paths & side for side in self._odd)):
            return "yes"
        return "no" if self._known else "unknown"

    def disputed(self, change: FileChange) -> bool:
        return any(state.path in self._disputed for state in change.states)


def _odd_files(side: Description) -> frozenset[str]:
    listed = {path for row in side.facts.distributions or () for path in (*row.modified, *row.missing)}
    return frozenset(listed | {found.path for found in side.findings if found.kind in ("modified", "missing")})


def _observe(change: FileChange, integrity: _Integrity, sides: Sides) -> Observation:
    before, after = change.before, change.after
    owner = _responsible(change)
    disputed = before is not None and after is not None and "content" in change.what and integrity.disputed(change)
    path = place_of(change)
    attributes = {
        "layer": owner.kind.value,
        "what": what_of(path, owner.kind),
        "integrity": integrity.of(change) if owner.kind is Kind.DISTRIBUTION else "no",
    }
    module = module_of(path, owner.kind, sides.module_paths)
    if owner.kind is Kind.UNOWNED and is_library(path):
        attributes["loaded"] = "yes"
    if owner.kind is Kind.UNOWNED and (hidden := sides.owner_of_module(hides(path))):
        attributes |= {"package": "hidden", "within": hidden}
    elif module is not None:
        attributes["module"] = module
        attributes |= sides.package_of(path)
    kind = "file-disputed" if disputed else _kind(change)
    train, serve = (_show(kind, state) for state in (before, after))
    return Observation(
        kind=kind,
        level=Level.FILES,
        subject=owner.label,
        owner=owner_of(owner),
        path=path,
        train=train,
        serve=serve,
        attributes=attributes,
        identity=(identity_of(before), identity_of(after)),
        bytes=max(state.size for state in change.states),
    )


def _responsible(change: FileChange) -> Layer:
    """The layer that speaks for a file: a distribution's before any other, whichever side it is on."""
    owners = (state.owner for state in change.states)
    return min(owners, key=lambda layer: (layer.kind is not Kind.DISTRIBUTION, layer.sort_key))


def _kind(change: FileChange) -> str:
    if change.change != "changed":
        return f"file-{change.change}"
    return next((kind for what, kind in _KINDS if what in change.what), "file-owner")


def _show(kind: str, state: FileState | None) -> str | None:
    if state is None:
        return None
    if kind == "file-owner":
        return state.owner.label
    if kind == "file-mode":
        return "executable" if state.executable else "not executable"
    if kind == "file-type":
        return "link" if state.type == "l" else "file"
    return f"link to {state.content}" if state.type == "l" else short(state.content)
