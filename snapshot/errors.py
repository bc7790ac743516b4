"""The root of this package's errors. Leaf classes stand beside the code that raises them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SnapshotError(Exception):
    """Anything that `snapshot` refuses. The message says what, where, and what to do."""


def summarise(items: Iterable[str], *, most: int = 5) -> str:
    """Join `items` for one line of a message, and count what does not fit."""
    listed = list(items)
    shown = ", ".join(listed[:most])
    return shown if len(listed) <= most else f"{shown} and {len(listed) - most} more"
