"""Names for the time being: a snapshot that is captured before anybody knows whether there will be a version for it."""

from __future__ import annotations

import re
import time
import uuid

#: Seconds after which nobody waits any more: MLflow gives a version five minutes to become ready.
LONGEST = 3600

_NAME = re.compile(r".+/pending-([0-9a-f]{8})-[0-9a-f]{12}", re.DOTALL)


def pending_name(name: str) -> str:
    """A name of its own for a snapshot that may become a version of `name`. It says when it was made."""
    return f"{name}/pending-{int(time.time()):08x}-{uuid.uuid4().hex[:12]}"


def pending_since(name: str | None) -> int | None:
    """When `pending_name` made this name, in seconds since the epoch; None for any other name.

    It is no version yet: neither what the name stands for, nor anything that retention counts.
    """
    match = _NAME.fullmatch(name or "")
    return int(match[1], 16) if match else None


def is_abandoned(name: str | None) -> bool:
    """Whether it is a name for the time being that nobody can be waiting for: its process was killed."""
    since = pending_since(name)
    return since is not None and time.time() - since > LONGEST
