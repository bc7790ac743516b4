"""The name of a snapshot from its capture until MLflow has a version for it, and what a killed registration left under such a name."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapshot.store import Store

#: Seconds after which nobody waits for MLflow any more: it gives a version five minutes to become ready.
_LONGEST = 3600
_NAME = re.compile(r"pending-([0-9a-f]{8})-[0-9a-f]{12}")


def pending_name(name: str) -> str:
    """A name of its own for a snapshot of the model that has the snapshots `name/…`. It says when it was made."""
    return f"{name}/pending-{int(time.time()):08x}-{uuid.uuid4().hex[:12]}"


def forget_killed(store: Store, name: str) -> None:
    """Take away the names under `name` that no registration can be waiting for. By age: it may run on any host that has the store."""
    for each in store.references():
        if each.name is not None and each.name.startswith(f"{name}/"):
            match = _NAME.fullmatch(each.name.removeprefix(f"{name}/"))
            if match and time.time() - int(match[1], 16) > _LONGEST:
                store.remove(each.name)
