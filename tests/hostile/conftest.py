"""Stores that were made to do harm, and what must hold whenever one is refused."""

from __future__ import annotations

import os
import re
import stat

import pytest

from snapshot import SnapshotError, restore, verify
from snapshot.store import Store
from tests.building import publish

VICTIM = b"untouched"


def listing(root):
    """Everything below `root` with all that a write would change, but for directories' times."""
    found = {}
    for top, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            content = b""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            time = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
            found[os.path.relpath(path, root)] = (status.st_mode, status.st_nlink, time, content)
    return found


class Ground:
    """A store, a place to restore to, and things around it that nobody may touch."""

    def __init__(self, root):
        self.root = root
        self.store = Store(root / "store")
        self.place = root / "place"
        self.place.mkdir()
        self.destination = self.place / "env"
        #: Whether `verify` of the snapshot finds what is wrong, and not only `restore`.
        self.verifiable = True
        for path in (self.place / "victim", root / "victim", self.place / "beside" / "victim"):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(VICTIM)

    def publish(self, *parts, **how):
        return publish(self.store, *parts, **how)

    def restore(self, name="x", **how):
        return restore(name, self.destination, self.store, **how)

    def refuses(self, match, error=SnapshotError, name="x", **how):
        """Restoring is refused, twice in the same way, and leaves everything as it was. Returns the message."""
        before = listing(self.place), sorted(os.listdir(self.root))
        blobs = listing(self.root / "store" / "blobs")
        messages = []
        for _ in range(2):
            with pytest.raises(error) as caught:
                self.restore(name, **how)
            assert isinstance(caught.value, SnapshotError)
            # How much room there is changes while we look.
            messages.append(
                re.sub(r"has [0-9,]+ MB free", "has too few MB free", " ".join(map(str, caught.value.args)))
            )
            assert re.search(match, messages[-1]), messages[-1]
            assert not os.path.lexists(self.destination)
            assert (listing(self.place), sorted(os.listdir(self.root))) == before
            assert listing(self.root / "store" / "blobs") == blobs
            assert not [path for path in listing(self.root) if ".envparity-" in path]
        assert messages[0] == messages[1]
        self.is_reported(name)
        return messages[0]

    def is_reported(self, name):
        """Whoever asks before restoring is told as well, and gets no other error than ours."""
        assert isinstance(self.store.check(), tuple)
        try:
            problems = verify(name, self.store).problems
        except SnapshotError:
            return
        assert problems or not self.verifiable


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)
