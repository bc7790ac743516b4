"""The root of this package's errors. Leaf classes stand beside the code that raises them."""

from __future__ import annotations


class RegistrationError(Exception):
    """Anything that `registration` refuses. The message says what, where, and what to do."""
