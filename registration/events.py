"""What a deployment did, step by step: an event is a value, a log keeps them, hands them on, and writes them as JSON lines."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from registration.console import seconds as duration
from registration.console import shortened, size
from registration.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Every step that there is. None of them builds anything: a deployment restores.
STEPS = (
    *("resolve", "preflight", "fetch", "link", "write", "verify", "parity"),
    *("start", "ready", "check", "switch", "stop", "refuse", "remove"),
)


class LogError(RegistrationError, ValueError):
    """A log that is none."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step. `time` is when it ended (RFC 3339, UTC), `seconds` how long it took, None where that cannot be told apart.

    `files` and `bytes` are what it handled, `detail` one line for people. `ok` is False where the step failed.
    """

    what: str
    time: str
    seconds: float | None = None
    files: int = 0
    bytes: int = 0
    detail: str = ""
    ok: bool = True

    def document(self) -> dict[str, Any]:
        """What the JSON line has; a count of nothing is left out."""
        found: dict[str, Any] = {"time": self.time, "event": self.what, "ok": self.ok}
        if self.seconds is not None:
            found["seconds"] = round(self.seconds, 3)
        rows: tuple[tuple[str, int | str], ...] = (
            ("files", self.files),
            ("bytes", self.bytes),
            ("detail", self.detail),
        )
        return found | {name: value for name, value in rows if value}


@dataclass(slots=True)
class Step:
    """What a step that is under way says of itself."""

    files: int = 0
    bytes: int = 0
    detail: str = ""


@dataclass(slots=True)
class Log:
    """Keeps events in order, gives each to `callback`, and writes them when it is told to."""

    callback: Callable[[Event], None] | None = None
    events: list[Event] = field(default_factory=list)
    _written: int = 0

    def add(
        self,
        what: str,
        seconds: float | None = None,
        *,
        files: int = 0,
        bytes: int = 0,  # noqa: A002 (what it is called everywhere)
        detail: str = "",
        ok: bool = True,
    ) -> Event:
        """Note a step that has just ended."""
        event = Event(what, _now(), seconds, files, bytes, detail, ok)
        self.take(event)
        return event

    def take(self, event: Event) -> None:
        """Keep an event of another log."""
        self.events.append(event)
        if self.callback is not None:
            self.callback(event)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Append what was not written before to a log. Raises OSError."""
        append(path, self.events[self._written :])
        self._written = len(self.events)

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Note a step when it ends; when it raises, the message is its detail."""
        begin = time.perf_counter()
        step = Step()
        try:
            yield step
        except BaseException as error:
            said = " ".join(str(error).split()) or type(error).__name__
            self.add(what, time.perf_counter() - begin, detail=said, ok=False)
            raise
        self.add(what, time.perf_counter() - begin, files=step.files, bytes=step.bytes, detail=step.detail)


def _now() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(events: Iterable[Event]) -> bytes:
    """JSON lines."""
    return "".join(f"{json.dumps(event.document(), ensure_ascii=True)}\n" for event in events).encode("ascii")


def append(path: str | os.PathLike[str], events: Iterable[Event]) -> None:
    """Write events to the end of a log, in one write. Raises OSError."""
    data = encode(events)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def read(path: str | os.PathLike[str]) -> tuple[Event, ...]:
    """The events of a log. A last line without an end, of a process that was killed, does not count. Raises LogError and OSError."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")[:-1]
    return tuple(_event(line, f"{os.fspath(path)}, line {number}") for number, line in enumerate(lines, 1))


def _event(line: bytes, where: str) -> Event:
    try:
        row = json.loads(line)
        event = Event(str(row["event"]), str(row["time"]), ok=bool(row["ok"]))
        given = row.get("seconds")
        return replace(
            event,
            seconds=None if given is None else float(given),
            files=int(row.get("files", 0)),
            bytes=int(row.get("bytes", 0)),
            detail=str(row.get("detail", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(f"{where}: no event of a deployment ({type(error).__name__}: {error})") from error


def table(events: Iterable[Event]) -> list[str]:
    """The events for people: lines of at most 80 columns."""
    lines = [f"{'step':<10}{'files':>7}{'size':>8}{'time':>8}  what"]
    for event in events:
        name = event.what if event.ok else f"{event.what} !"
        files = f"{event.files:,}" if event.files else ""
        amount = size(event.bytes) if event.bytes else ""
        spent = "" if event.seconds is None else duration(event.seconds)
        lines.append(shortened(f"{name:<10}{files:>7}{amount:>8}{spent:>8}  {event.detail}".rstrip()))
    return lines
