"""A destination while something is deployed to it: by one process at a time, and taken away again when that was not finished."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import TYPE_CHECKING

from registration.errors import RegistrationError
from snapshot.home import DEPLOYMENT, RECEIPT
from snapshot.scratch import scratch
from snapshot.store.locking import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class OccupiedError(RegistrationError, FileExistsError):
    """A destination that holds something else."""


class Claim:
    """The claim to a place. `begin` before a snapshot is restored there, `finish` when it is complete, `clear` when it must not stay."""

    def __init__(self, place: Path, fd: int) -> None:
        self._place = place
        self._fd = fd
        self._empty = place.is_dir() and not any(place.iterdir())

    def occupant(self) -> str | None:
        """The snapshot that was restored to the place; None where there is none. Raises OccupiedError for anything else."""
        receipt = self._place / RECEIPT
        try:
            return str(json.loads(receipt.read_bytes())["snapshot"])
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._place.exists() and not self._empty:
                raise OccupiedError(
                    f"{self._place} is not empty; choose another destination or empty it first"
                ) from error
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise OccupiedError(f"{receipt} is damaged; choose another destination or empty it first") from error

    def recover(self) -> None:
        """Take away what a process that was killed has left."""
        begun = os.pread(self._fd, 200, 0).decode("ascii", "replace")
        if begun:
            self._remove(begun)
            self.finish()

    def begin(self, snapshot: str) -> None:
        os.pwrite(self._fd, snapshot.encode("ascii"), 0)

    def finish(self) -> None:
        os.ftruncate(self._fd, 0)

    def clear(self) -> None:
        """Take away what was restored since `begin`, in one step; an empty directory that was there before is there again."""
        self.recover()
        if self._empty:
            self._place.mkdir(exist_ok=True)

    def _remove(self, snapshot: str) -> None:
        """Nothing but what a deployment of `snapshot` has left: somebody may have put something else there meanwhile."""
        try:
            if self.occupant() != snapshot or (self._place / DEPLOYMENT).exists():
                return
        except OccupiedError:
            return
        with scratch(os.fspath(self._place.parent)) as aside, suppress(FileNotFoundError):
            os.rename(self._place, os.path.join(aside, "refused"))


@contextmanager
def claimed(place: Path) -> Iterator[Claim]:
    """Hold the claim to `place`, by a file beside it that is gone afterwards. Waits for another process that has it.

    What a killed process left unfinished is taken away first. On a file system without locks nobody waits.
    """
    with _parents(place), held(place.parent / f".envparity-{place.name}.claim") as fd:
        claim = Claim(place, fd)
        claim.recover()
        yield claim


@contextmanager
def _parents(place: Path) -> Iterator[None]:
    """Make the directories above `place`; when that was in vain, those that were made and are empty go again."""
    made = list(takewhile(lambda above: not above.exists(), place.parents))
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:  # Control-C too: all is as it was before
        with suppress(OSError):  # somebody else has put something there
            for above in made:
                above.rmdir()
        raise


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Hold a lock on the file `path`, which is gone afterwards unless something was written to it. Gives its descriptor."""
    fd = _hold(path)
    try:
        yield fd
    finally:
        # Removed with the lock held: who waits for it sees that this is not the file of that name any more.
        if os.fstat(fd).st_size == 0:
            with suppress(FileNotFoundError):
                path.unlink()
        os.close(fd)


def _hold(path: Path) -> int:
    while True:
        # Whoever had it may have taken away the directory that was made for it, too.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue
        try:
            try_lock(fd, wait=True)
            # Whoever had it may have removed it meanwhile: the lock counts on the file that others find.
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd
        except FileNotFoundError:
            pass
        except BaseException:  # whatever it is, the lock is not to stay held
            os.close(fd)
            raise
        os.close(fd)
