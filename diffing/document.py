"""A difference as plain values, ready for JSON. Everything that the comparison found is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffing.model import DistributionChange, EnvironmentDiff, FileChange, FileState


def as_document(diff: EnvironmentDiff) -> dict[str, object]:
    return {
        "equal": diff.equal,
        "parity_roots": {"before": diff.before.parity_root, "after": diff.after.parity_root},
        "facts": [{"name": fact.name, "before": fact.before, "after": fact.after} for fact in diff.facts],
        "distributions": [_distribution(change) for change in diff.distributions],
        "files": [_file(change) for change in diff.files],
    }


def _distribution(change: DistributionChange) -> dict[str, object]:
    return {
        "name": change.name,
        "change": change.change,
        "before": change.before.version if change.before else None,
        "after": change.after.version if change.after else None,
        "files": {
            "added": change.files.added,
            "removed": change.files.removed,
            "changed": change.files.changed,
        },
    }


def _file(change: FileChange) -> dict[str, object]:
    return {
        "path": change.path,
        "change": change.change,
        "what": list(change.what),
        "before": _state(change.before),
        "after": _state(change.after),
    }


def _state(state: FileState | None) -> dict[str, object] | None:
    if state is None:
        return None
    return {
        "path": state.path,
        "owner": state.owner.label,
        "type": {"f": "file", "l": "link"}[state.type],
        "executable": state.executable,
        "content": state.content,
        "size": state.size,
    }
