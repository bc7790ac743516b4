"""What the sides of a comparison mean on the command line: a snapshot, the prefix of an environment, or a file of requirements."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from registration.subjects import find_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffing.sides import Side
    from snapshot.model import Description
    from snapshot.progress import Progress
    from snapshot.store import Reference, Store


def find_sides(
    texts: Sequence[str],
    store: Store,
    *,
    requirements: str | None = None,
    fingerprint: bool | None = None,
    progress: Progress | None = None,
) -> list[Side]:
    """The sides that `texts` mean, in order; all of them are looked up before any is read.

    `requirements` is a file that becomes the first side. `fingerprint`: whether the numeric probe runs in live environments; None: if there
    is something to compare it with. Raises NoSuchSubjectError, DiffError and SnapshotError.
    """
    found = [Path(text) if os.path.isfile(text) else find_subject(text, store) for text in texts]
    labels = list(texts)
    if requirements is not None:
        found.insert(0, Path(requirements))
        labels.insert(0, requirements)
    stored = {number: load(subject, store) for number, subject in enumerate(found) if not isinstance(subject, Path)}
    live = [number for number, subject in enumerate(found) if isinstance(subject, Path) and subject.is_dir()]
    if fingerprint is None:
        fingerprint = len(live) > 1 or any(side.facts.numeric is not None for side in stored.values())
    return [
        _side(labels[number], subject, stored.get(number), store, fingerprint=fingerprint, progress=progress)
        for number, subject in enumerate(found)
    ]


def _side(
    label: str,
    subject: Reference | Path,
    stored: Description | None,
    store: Store,
    *,
    fingerprint: bool,
    progress: Progress | None,
) -> Side:
    from diffing.sides import Side

    if not isinstance(subject, Path):
        return Side(label, "snapshot", stored, name=subject.name or subject.snapshot)
    if subject.is_dir():
        return Side(label, "environment", describe(subject, store, fingerprint=fingerprint, progress=progress))
    from diffing import requirements

    read = requirements.read(subject)
    return Side(label, "pylock" if read.kind == "pylock" else "requirements", requirements=read)


def load(reference: Reference, store: Store) -> Description:
    import snapshot

    return snapshot.load(reference.snapshot, store)


def describe(prefix: Path, store: Store, *, fingerprint: bool, progress: Progress | None) -> Description:
    """A live environment, with the variables that this command was started with."""
    import snapshot

    return snapshot.describe(
        prefix,
        variables=os.environ,
        fingerprint=fingerprint,
        key=store.variables_key(),
        cache=store.cache,
        progress=progress,
    )
