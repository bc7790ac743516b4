"""Processes that outlive the command that started them: found again by what cannot be mistaken, and ended with all they started."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registration.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The variable that names a server, and all that it starts. Its value is random, and no secret.
MARK = "ENVPARITY_SERVER"

#: Seconds from SIGTERM to SIGKILL, and between two looks at what is still there.
GRACE = 10.0
_PAUSE = 0.02


class StuckProcessError(RegistrationError, OSError):
    """A process that SIGKILL did not end."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for as long as this machine is up: `started` is in clock ticks since `boot`, so a reused pid is another identity.

    `mark` is the value of MARK in its environment, and in that of whatever it starts.
    """

    pid: int
    started: int
    boot: str
    mark: str


def boot() -> str:
    """Names the time since the machine was started."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def identify(pid: int, mark: str) -> Identity:
    """The identity of a running process. Raises ProcessLookupError."""
    found = _status(pid)
    if found is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return Identity(pid, found[1], boot(), mark)


def alive(identity: Identity) -> bool:
    """Whether this very process runs. One that has ended and was not waited for does not."""
    found = _status(identity.pid)
    return found is not None and found[0] not in "ZX" and found[1] == identity.started and boot() == identity.boot


def stop(mark: str, leader: Identity | None = None, *, grace: float = GRACE) -> int:
    """End every process that carries `mark`, and the `leader` even if it wrote over its variables: SIGTERM, and after `grace`
    seconds SIGKILL. How many there were. Nothing else is ever signalled, whatever became of a pid meanwhile.

    Raises StuckProcessError.
    """
    signalled: set[int] = set()
    begin = time.monotonic()
    while True:
        with ExitStack() as handles:
            found = _handles(mark, leader, handles)
            if not found:
                return len(signalled)
            late = time.monotonic() - begin
            if late > 2 * grace + 5:
                raise StuckProcessError(f"processes {sorted(found)} do not end; look at what they wait for")
            for pid, handle in found.items():
                if late > grace:
                    _send(handle, signal.SIGKILL)
                elif pid not in signalled:
                    _send(handle, signal.SIGTERM)
                signalled.add(pid)
            # A pidfd becomes readable when its process ends.
            select.select(list(found.values()), [], [], _PAUSE)


def _send(handle: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def _handles(mark: str, leader: Identity | None, stack: ExitStack) -> dict[int, int]:
    """A pidfd for each process that is ours. It is opened before the process is looked at, so it cannot become another one's."""
    found = {}
    for pid in _pids():
        if pid == os.getpid():
            continue
        try:
            handle = os.pidfd_open(pid)
        except (ProcessLookupError, PermissionError):
            continue
        if _running(pid) and (_carries(pid, mark) or (leader is not None and leader.pid == pid and alive(leader))):
            stack.callback(os.close, handle)
            found[pid] = handle
        else:
            os.close(handle)
    return found


def _running(pid: int) -> bool:
    found = _status(pid)
    return found is not None and found[0] not in "ZX"


def marked(mark: str) -> list[int]:
    """The processes that carry `mark`."""
    return [pid for pid in _pids() if _running(pid) and _carries(pid, mark)]


def _pids() -> Iterator[int]:
    own = os.getuid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                if os.stat(f"/proc/{name}").st_uid == own:
                    yield int(name)


def _carries(pid: int, mark: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"{MARK}={mark}".encode() in file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it has ended, or is none of ours: what we start, we may read


def _status(pid: int) -> tuple[str, int] | None:
    """State and start time (proc(5), `stat`); the name before them may hold anything."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode("ascii"), int(fields[19])
