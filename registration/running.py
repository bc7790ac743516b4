"""Run a command of an environment for a bounded time, with all that it starts."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffing.requirements import masked
from registration.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Sequence


#: What is kept of an output, in bytes from its end.
_MOST = 1 << 20


class TookTooLongError(RegistrationError, TimeoutError):
    """A command that was stopped when its time was over."""


class NotStartedError(RegistrationError, OSError):
    """A command that cannot be run at all."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `output` is what it wrote to both streams, with secrets in URLs masked."""

    code: int
    output: str

    @property
    def last(self) -> str:
        """The last line that says anything, or the signal that ended it."""
        if self.code < 0:
            return f"it was ended by {signal.Signals(-self.code).name}"
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "no message"


class Running:
    """A command under way, in a process group of its own. As a context manager: nothing that it started outlives the block.

    `what` it does, and the `hint` what to do, are for the message when it takes longer than `seconds`. Its standard input is `stdin`,
    or with None what `tell` gives it. Raises NotStartedError.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        what: str,
        seconds: float,
        hint: str,
        stdin: bytes | None = b"",
        directory: str | None = None,
    ) -> None:
        self.what = what
        self._seconds = seconds
        self._hint = hint
        self._begin = time.monotonic()
        self._done: Done | None = None
        with ExitStack() as stack:
            given = stack.enter_context(tempfile.TemporaryFile())
            given.write(stdin or b"")
            given.seek(0)
            self._output = stack.enter_context(tempfile.TemporaryFile())
            try:
                self._process = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.PIPE if stdin is None else given,
                    stdout=self._output,
                    stderr=subprocess.STDOUT,
                    cwd=directory,
                    start_new_session=True,
                )
            except OSError as error:
                raise NotStartedError(f"cannot run {command[0]}: {error.strerror}") from error
            stack.callback(self._end)
            # It becomes readable when the process ends, at once; `Popen.wait` looks twenty times a second.
            self._handle = stack.enter_context(open(os.pidfd_open(self._process.pid), "rb"))
            given.close()
            self._stack = stack.pop_all()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tell(self, data: bytes) -> None:
        """All of its standard input; its time begins now."""
        self._begin = time.monotonic()
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError), self._process.stdin as pipe:  # it may have ended: `result` says how
            pipe.write(data)

    def result(self) -> Done:
        """How it ended; it can be asked again. Raises TookTooLongError. It is stopped in any case."""
        if self._done is None:
            with self:
                self._done = self._wait()
        return self._done

    def _wait(self) -> Done:
        late = self._begin + self._seconds - time.monotonic()
        ended = select.poll()
        ended.register(self._handle, select.POLLIN)
        # For the process, not for the end of its output: what it started in the background may keep that open.
        if not ended.poll(max(0, late) * 1000):
            raise TookTooLongError(f"{self.what} took more than {self._seconds:g} s and was stopped; {self._hint}")
        self._end()
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - _MOST))
        return Done(self._process.returncode, masked(self._output.read().decode("utf-8", "replace")))

    def stop(self) -> None:
        """End it with all that it started, wherever it is."""
        self._stack.close()

    def _end(self) -> None:
        if self._process.returncode is None:  # its pid is its own for as long as nobody has waited for it
            with suppress(ProcessLookupError):  # where the program lets the system wait for its processes
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def run(
    command: Sequence[str], *, what: str, seconds: float, hint: str, stdin: bytes = b"", directory: str | None = None
) -> Done:
    """Run `command` in `directory`, for at most `seconds`, and wait. The rest as for `Running`, and raises what it raises."""
    with Running(command, what=what, seconds=seconds, hint=hint, stdin=stdin, directory=directory) as running:
        return running.result()
