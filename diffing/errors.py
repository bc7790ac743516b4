"""The root of this package's errors, and what a comparison can refuse."""

from __future__ import annotations


class DiffError(Exception):
    """Anything that `diffing` refuses. The message says what, where, and what to do."""


class MissingTreeError(DiffError, LookupError):
    """A layer differs, but its description does not say which files it holds."""
