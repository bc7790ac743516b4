"""pylock.toml (PEP 751), read by `packaging.pylock`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from diffing.requirements import Item, Requirements, masked, read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from packaging.pylock import Package


#: Of a line: a TOML reader takes memory by the square of a key's dots.
_MOST_DOTS = 1000


def read_lock(path: str, label: str, problems: list[str]) -> Requirements | None:
    """The packages of a lock file; None and one problem more when it is none."""
    try:
        from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError
    except ModuleNotFoundError:  # MLflow 3.1 to 3.9 go with older releases only
        problems.append(f"{label}: reading lock files needs packaging 26 or later: pip install 'packaging>=26'")
        return None
    text = read_text(path, label, problems)
    if text is None:
        return None
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        problems.append(f"{label}: a line with more than {_MOST_DOTS:,} dots; that is no lock file")
        return None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not TOML, or nested without end
        problems.append(f"{label}: not TOML: {error}")
        return None
    wrong = [f"{label}: {masked(str(problem))}" for rows in (table.get("packages"),) for problem in _each(rows)]
    if wrong:
        problems += wrong
        return None
    try:
        lock = Pylock.from_dict(table)
    except (PylockValidationError, PylockUnsupportedVersionError) as error:
        problems.append(f"{label}: {masked(str(error))}")
        return None
    items = tuple(_item(package, label) for package in lock.packages)
    return Requirements(label, "pylock", items, str(lock.requires_python or ""), tuple(lock.default_groups or ()))


def _each(rows: Any) -> list[str]:
    """What is wrong with each package: by itself, since the reader stops at the first."""
    from packaging.pylock import Pylock, PylockValidationError

    problems = []
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        try:
            Pylock.from_dict({"lock-version": "1.0", "created-by": "-", "packages": [row]})
        except PylockValidationError as error:
            problems.append(str(error).replace("packages[0]", f"packages[{number}]"))
    return problems


def _item(package: Package, label: str) -> Item:
    source = package.vcs or package.archive or package.directory
    files = [*(package.wheels or ()), *([package.sdist] if package.sdist else ()), *filter(None, [package.archive])]
    return Item(
        name=str(package.name),
        file=label,
        line=None,
        specifier=SpecifierSet(f"=={package.version}" if package.version is not None else ""),
        condition=package.marker,
        url=masked(getattr(source, "url", None) or getattr(source, "path", None) or ""),
        vcs=package.vcs.type if package.vcs else "",
        commit=package.vcs.commit_id if package.vcs else "",
        subdirectory=(source.subdirectory or "") if source else "",
        hashes=tuple(sorted(f"{kind}:{value}" for file in files for kind, value in file.hashes.items())),
        editable=bool(package.directory and package.directory.editable),
    )
