"""Run a command of an environment for a bounded time, with all that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress
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


def run(
    command: Sequence[str], *, what: str, seconds: float, hint: str, stdin: bytes = b"", directory: str | None = None
) -> Done:
    """Run `command` in `directory`, for at most `seconds`. `what` it does, and the `hint` what to do, are for the message when it takes longer.

    It gets a process group of its own, so that nothing that it started outlives it. Raises TookTooLongError and NotStartedError.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                command, stdin=given, stdout=output, stderr=subprocess.STDOUT, cwd=directory, start_new_session=True
            )
        except OSError as error:
            raise NotStartedError(f"cannot run {command[0]}: {error.strerror}") from error
        try:
            # For the process, not for the end of its output: what it started in the background may keep that open.
            process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TookTooLongError(f"{what} took more than {seconds:g} s and was stopped; {hint}") from error
        finally:
            # Also when it ended by itself, and when Control-C ended the waiting.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - _MOST))
        return Done(process.returncode, masked(output.read().decode("utf-8", "replace")))
