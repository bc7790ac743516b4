"""Trees under construction: beside the place they will have, gone when their process is."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from snapshot.store import area

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = ".envparity-"


@contextmanager
def scratch(parent: str) -> Iterator[str]:
    """An empty directory in a new scratch directory under `parent`. Move it away to keep it."""
    sweep(parent)
    made = area.Area(parent, _PREFIX)
    try:
        inner = os.path.join(made.path, "tree")
        os.mkdir(inner)
        yield inner
    finally:
        made.remove()


def away_from(path: str) -> str:
    """Rename a tree to what nobody looks for and a sweep removes, and return where that is."""
    aside = os.path.join(os.path.dirname(path), _PREFIX + os.urandom(8).hex())
    os.rename(path, aside)
    return aside


def sweep(parent: str) -> int:
    """Remove the scratch directories under `parent` that nobody holds; return how many."""
    return area.sweep(parent, _PREFIX)
