"""A difference as lines for people: one for each distribution, and each file that no version number announces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registration.console import count
from snapshot.model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diffing.model import DistributionChange, EnvironmentDiff, FactChange, FileChange, FileCounts
    from snapshot.model import Layer

#: Files to name of one owner; `--json` has all.
SHOWN = 40

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_FACTS = {
    "interpreter.implementation": "implementation",
    "interpreter.version": "python",
    "interpreter.soabi": "ABI",
    "interpreter.platform": "platform",
    "interpreter.digest": "interpreter's files",
    "system_site_packages": "system's packages",
}


def lines(diff: EnvironmentDiff) -> Iterator[str]:
    if diff.equal:
        yield f"equal: both have the parity root {diff.before.parity_root}"
        return
    yield f"different: parity root {diff.before.parity_root.short} -> {diff.after.parity_root.short}"
    base_named = any(state.owner.kind is Kind.INTERPRETER for change in diff.files for state in change.states)
    for fact in diff.facts:
        yield f"  {_FACTS.get(fact.name, fact.name)}: {_fact(fact, base_named=base_named)}"
    if diff.distributions:
        yield f"{_summary([change.change for change in diff.distributions], 'distribution')}:"
        for change in diff.distributions:
            yield _distribution(change)
    yield from _files(diff)


def _fact(fact: FactChange, *, base_named: bool) -> str:
    if fact.name == "interpreter.digest":
        return "differ" if base_named else "differ (not captured on both sides, so it cannot be said which)"
    if isinstance(fact.before, bool):
        return "visible -> hidden" if fact.before else "hidden -> visible"
    return f"{fact.before} -> {fact.after}"


def _summary(changes: list[str], noun: str) -> str:
    parts = [f"{changes.count(name):,} {name}" for name in ("added", "removed", "changed") if name in changes]
    return f"{count(len(changes), noun)} ({', '.join(parts)})"


def _distribution(change: DistributionChange) -> str:
    before = change.before.version if change.before else None
    after = change.after.version if change.after else None
    if change.same_version:
        version = f"{before}, same version, other files"
    else:
        version = " -> ".join(text for text in (before, after) if text)
    counts = _counts(change.files)
    return f"  {_SIGNS[change.change]} {change.name} {version}" + (f"  ({counts})" if counts else "")


def _counts(files: FileCounts) -> str:
    numbers = (("added", files.added), ("removed", files.removed), ("changed", files.changed))
    parts = [f"{number:,} {name}" for name, number in numbers if number]
    return f"files: {', '.join(parts)}" if parts else ""


def _files(diff: EnvironmentDiff) -> Iterator[str]:
    """Files by owner, except those whose owner's version says already that they differ."""
    folded = {id(layer) for change in diff.distributions if not change.same_version for layer in _layers(change)}
    new_base = any(fact.name == "interpreter.version" for fact in diff.facts)
    owners: dict[str, list[FileChange]] = {}
    for change in diff.files:
        for state in reversed(change.states):
            if id(state.owner) not in folded and not (new_base and state.owner.kind is Kind.INTERPRETER):
                owners.setdefault(state.owner.label, []).append(change)
                break
    for owner, changes in sorted(owners.items()):
        yield f"{owner}: {_summary([change.change for change in changes], 'file')}"
        for change in changes[:SHOWN]:
            yield f"  {_SIGNS[change.change]} {change.path}{_detail(change)}"
        if len(changes) > SHOWN:
            yield f"  … and {len(changes) - SHOWN:,} more (--json has all)"


def _layers(change: DistributionChange) -> Iterator[Layer]:
    for layer in (change.before, change.after):
        if layer is not None:
            yield layer


def _detail(change: FileChange) -> str:
    if not change.before or not change.after:
        return ""
    words = []
    for what in change.what:
        if what == "owner":
            words.append(f"owner {change.before.owner.label} -> {change.after.owner.label}")
        elif what == "mode":
            words.append("now executable" if change.after.executable else "no longer executable")
        else:
            words.append(what)
    return f"  ({', '.join(words)})"
