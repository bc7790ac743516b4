"""`[tool.envparity]` of a project's pyproject.toml: what its captures are allowed and leave out."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registration.errors import RegistrationError
from registration.parameters import parse_size

if TYPE_CHECKING:
    from typing import Any

_FILE = "pyproject.toml"
_SIZES = ("size-limit", "budget")
_KEYS = (*_SIZES, "exclude")


class ConfigurationError(RegistrationError, ValueError):
    """A pyproject.toml that cannot be read, or a table in it that says something else than it may."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the file says; None for what it does not say. Sizes in bytes."""

    path: str | None = None
    size_limit: int | None = None
    budget: int | None = None
    exclude: tuple[str, ...] | None = None


def find_configuration(directory: str | os.PathLike[str]) -> Configuration:
    """Read the table of the first pyproject.toml that has one, in `directory` or above it. Raises ConfigurationError."""
    place = os.path.abspath(directory)
    while True:
        path = os.path.join(place, _FILE)
        table = _table(path)
        if table is not None:
            return _read(table, path)
        above = os.path.dirname(place)
        if above == place:
            return Configuration()
        place = above


def _table(path: str) -> Any:
    """`[tool.envparity]`; None when there is no such file or table."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; whether it has [tool.envparity] cannot be seen") from error
    if sys.version_info >= (
        3,
        11,
    ):  # here, and not above: only two commands need it, and only where there is such a file
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigurationError(f"{path}: not TOML: {error}") from error
    tool = content.get("tool")
    return tool.get("envparity") if isinstance(tool, dict) else None


def _read(table: Any, path: str) -> Configuration:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: tool.envparity is no table; want [tool.envparity]")
    unknown = sorted(table.keys() - set(_KEYS))
    if unknown:
        raise ConfigurationError(f"{path}: tool.envparity.{unknown[0]} is not known; want {', '.join(_KEYS)}")
    sizes = {key: _size(table[key], f"{path}: tool.envparity.{key}") for key in _SIZES if key in table}
    exclude = table.get("exclude")
    if exclude is not None and not (isinstance(exclude, list) and all(isinstance(text, str) for text in exclude)):
        raise ConfigurationError(f"{path}: tool.envparity.exclude: want a list of patterns, such as ['*/tests/*']")
    return Configuration(
        path, sizes.get("size-limit"), sizes.get("budget"), None if exclude is None else tuple(exclude)
    )


def _size(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ConfigurationError(f"{where}: want a size, such as '500MB' or a number of bytes")
    try:
        return parse_size(str(value))
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
