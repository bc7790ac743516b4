"""What a path says of a file: what it is, and which module an import would have to name to run it."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from snapshot.model import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NATIVE = re.compile(r"\.(?:so|pyd|dylib|a|dll)(?:\.[\d.]+)?\Z")
#: What a loader takes for the library that a file asks for by name.
_LIBRARY = re.compile(r"(?:^|/)lib[^/]*\.so(?:\.[\w.]+)?\Z")
_STDLIB = re.compile(r"(?:^|/)lib(?:64)?/python3\.\d+t?/(?P<rest>.+)\Z")
_SITE = re.compile(r"(?:^|/)(?:site|dist)-packages/(?P<rest>.+)\Z")
#: Tests of the standard library: nothing imports them.
_TESTS = re.compile(r"(?:^|/)(?:test|tests|idle_test|turtledemo)/")
_MODULE_END = re.compile(r"\.(?:pyi?|cpython-[\w.-]+\.so|abi3\.so|so)\Z")


def what_of(path: str, kind: Kind) -> str:
    """`metadata`, `script`, `py`, `native` or `data`."""
    directory, name = posixpath.split(path)
    if ".dist-info/" in path or ".egg-info/" in path or name.endswith(".egg-info"):
        return "metadata"
    if directory == "bin" or (kind is Kind.INTERPRETER and directory.endswith("/bin")):
        return "script"
    if name.endswith((".py", ".pyi")):
        return "py"
    return "native" if _NATIVE.search(name) else "data"


def is_library(path: str) -> bool:
    """Whether a loader can take the file in place of another library of that name: no import has to name it."""
    return _LIBRARY.search(path) is not None


def hides(path: str) -> str:
    """The top-level module that scripts beside the file would import it as: their own directory comes first. Empty: none."""
    directory, _, rest = path.partition("/")
    name = _MODULE_END.sub("", rest.partition("/")[0])
    return name if directory == "bin" and name.isidentifier() and (name != rest or "/" in rest) else ""


def module_of(path: str, kind: Kind, found: Mapping[str, Sequence[str]] | None) -> str | None:
    """The top-level module whose import can bring this file in: for files that no distribution owns. None: there is none.

    A file in a site directory counts as its first directory's module, unless that name is found elsewhere on both sides. `found` are
    the paths of modules by top-level name, on either side; None where a side does not have them recorded.
    """
    if kind not in (Kind.UNOWNED, Kind.ENVIRONMENT):
        return None
    match = _SITE.search(path) or _STDLIB.search(path)
    name = _MODULE_END.sub("", match["rest"].partition("/")[0]) if match else ""
    if not name.isidentifier():
        return None
    if found is not None and name in found and not any(_within(path, module) for module in found[name]):
        return None
    return name


def _within(path: str, module: str) -> bool:
    """Whether a file is a module's: the very file, or beside a package's `__init__.py`, or in a namespace's directory."""
    directory = posixpath.dirname(module) if posixpath.basename(module).startswith("__init__.") else module
    return path == module or path.startswith(directory + "/")


def standard_module(path: str) -> str | None:
    """The dotted name of a standard library's module, empty for what no import brings in, None for anything else
    (an executable, a shared library): whatever runs can depend on that.
    """
    match = _STDLIB.search(path)
    if match is None:
        return "" if re.search(r"(?:^|/)(?:share|include)/", path) else None
    rest = match["rest"]
    if _TESTS.search(rest) or rest.startswith(("config-", "site-packages/")):
        return ""
    if rest.startswith("lib-dynload/"):
        return rest.removeprefix("lib-dynload/").partition(".")[0]
    if not rest.endswith(".py"):
        return ""
    return rest.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
