"""The version of this code, as the distribution's metadata has it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _version() -> str:
    try:
        return version("envparity")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0+unknown"


VERSION = _version()
