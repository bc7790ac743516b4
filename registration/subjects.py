"""What a word on the command line means: a snapshot of the store, or an environment on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from registration.errors import RegistrationError

if TYPE_CHECKING:
    from snapshot.store import Reference, Store

_MARKS = ("pyvenv.cfg", "bin/python", "bin/python3", ".envparity/restored.json")


class NoSuchSubjectError(RegistrationError, LookupError):
    """Neither a snapshot nor an environment."""


def find_subject(text: str, store: Store) -> Reference | Path:
    """Find out what `text` means.

    A directory is meant when only that is there, or when `text` has a slash or is `.`; a name such as `churn/3` has a
    slash too, so what is no directory is looked up in the store.
    """
    from snapshot.store import UnknownSnapshotError

    directory = os.path.isdir(text)
    if directory and ("/" in text or text in (".", "..")):
        return Path(text)
    try:
        return store.resolve(text)
    except UnknownSnapshotError as error:
        if directory and any(os.path.exists(os.path.join(text, mark)) for mark in _MARKS):
            return Path(text)
        hint = (
            f"the directory {text} is no environment (write ./{text} if it is meant all the same)"
            if directory
            else f"nor is there a directory {text}"
        )
        raise NoSuchSubjectError(f"{error}; {hint}") from error
