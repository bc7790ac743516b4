"""What the sides of a comparison mean on the command line: a snapshot, the prefix of an environment, or a file of requirements."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from registration.subjects import find_subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from diffing.requirements import Requirements
    from diffing.sides import Side
    from diffing.usage import Usage
    from snapshot.description import Description
    from snapshot.progress import Progress
    from snapshot.store import Reference, Store


#: Notes that a registration leaves beside a model: the modules that it imports, as `diffing.usage` reads them, and its lock.
MODULES_NOTE = "modules.json"
LOCK_NOTE = "requirements.lock"


def find_sides(
    texts: Sequence[str],
    store: Store,
    *,
    requirements: str | None = None,
    fingerprint: bool | None = None,
    cached: bool = False,
    identify: bool = False,
    named: str = "",
    progress: Progress | None = None,
) -> list[Side]:
    """The sides that `texts` mean, in order; all of them are looked up before any is read.

    `requirements` is a file that becomes the first side. `fingerprint`: whether the numeric probe runs in live environments; None: if there
    is something to compare it with. `cached` and `identify`: see `describe`. `named` is the store as `--store` has it, if it was given. Raises NoSuchSubjectError, DiffError and SnapshotError.
    """
    found = [Path(text) if os.path.isfile(text) else find_subject(text, store) for text in texts]
    labels = list(texts)
    if requirements is not None:
        found.insert(0, Path(requirements))
        labels.insert(0, requirements)
    stored = {number: load(subject, store) for number, subject in enumerate(found) if not isinstance(subject, Path)}
    prefixes = [subject for subject in found if isinstance(subject, Path) and subject.is_dir()]
    if fingerprint is None:
        fingerprint = len(prefixes) > 1 or any(side.facts.numeric is not None for side in stored.values())

    def live(prefix: Path) -> Description:
        return describe(
            prefix, store, fingerprint=bool(fingerprint), cached=cached, identify=identify, progress=progress
        )

    return [_side(labels[number], subject, stored.get(number), live, named) for number, subject in enumerate(found)]


def _side(
    label: str,
    subject: Reference | Path,
    stored: Description | None,
    live: Callable[[Path], Description],
    named: str,
) -> Side:
    from diffing.sides import Side

    if not isinstance(subject, Path):
        return Side(label, "snapshot", stored, name=subject.name or subject.snapshot, store=named)
    if subject.is_dir():
        return Side(label, "environment", live(subject))
    from diffing import requirements

    read = requirements.read(subject)
    return Side(label, "pylock" if read.kind == "pylock" else "requirements", requirements=read)


def noted(train: Side, store: Store) -> tuple[Usage | None, Requirements | None]:
    """What a snapshot says of its model in notes: the modules that it imports, and what was locked for it. Nothing for any other side.

    Raises DiffError for a note that says nothing that can be read.
    """
    if train.kind != "snapshot":
        return None, None
    from diffing import requirements
    from diffing.usage import read_modules
    from snapshot.trees import read_note

    modules = read_note(store, train.name, MODULES_NOTE)
    if modules is None:  # what is locked alone would leave out what the model imports besides
        return None, None
    label = f"{MODULES_NOTE} of {train.label}"
    usage = read_modules(modules.decode("utf-8", "replace"), label, label)
    lock = read_note(store, train.name, LOCK_NOTE)
    if lock is None:
        return usage, None
    return usage, requirements.read_note(lock.decode("utf-8", "replace"), f"{LOCK_NOTE} of {train.label}")


def noted_variables(name: str, store: Store) -> dict[str, str]:
    """The variables that loading the model sets in its own process, with their values, as the registration of the snapshot `name` noted them.

    Nothing for a snapshot without a model, or with a list of modules from elsewhere. Raises ModelError for what says something else.
    """
    from diffing.usage import ModelError
    from snapshot.trees import read_note

    content = (read_note(store, name, MODULES_NOTE) or b"").decode("utf-8", "replace")
    if not content.lstrip().startswith("{"):  # no object: a list of names says nothing of variables
        return {}
    try:
        found = json.loads(content).get("sets", {})
    except ValueError as error:
        raise ModelError(f"{MODULES_NOTE} of {name} is no JSON ({error}); register the model again") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ModelError(
            f"{MODULES_NOTE} of {name}: sets: want an object of variables and their values, both text; register the model again"
        )
    return found


def load(reference: Reference, store: Store) -> Description:
    import snapshot

    return snapshot.load(reference.snapshot, store)


def describe(
    prefix: Path, store: Store, *, fingerprint: bool, cached: bool, identify: bool, progress: Progress | None
) -> Description:
    """A live environment, with the variables that this command was started with.

    `cached`: what was not touched since it was last read need not be read again; `identify`: whether its snapshot id is wanted.
    """
    import snapshot

    return snapshot.describe(
        prefix,
        variables=os.environ,
        fingerprint=fingerprint,
        key=store.variables_key(),
        cache=store.cache if cached else None,
        identify=identify,
        progress=progress,
    )
