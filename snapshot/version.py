"""The version of this code, as the distribution's metadata has it."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """Read when it is asked for: the import and the look-up take 20 ms."""
    from importlib_metadata import PackageNotFoundError
    from importlib_metadata import version as of

    try:
        return of("envparity")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"
