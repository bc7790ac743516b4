"""What stops a benchmark. The command line prints the message and exits with 2."""

from __future__ import annotations


class BenchmarkError(Exception):
    """A run that cannot go on. The message says what, where, and what to do."""


class MissingToolError(BenchmarkError, FileNotFoundError):
    """A program that a measurement needs is not on this machine."""


class CommandFailedError(BenchmarkError, RuntimeError):
    """A measured or preparing command ended with an exit code other than 0."""
