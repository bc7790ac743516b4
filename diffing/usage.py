"""What a model uses: the modules that its pickles name and its code imports. Everything is read, nothing is loaded.

This is an edge of `diffing` that reads files: a model directory, a pickle, or a list of module names.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffing.artifacts import Findings, read_artifact
from diffing.errors import DiffError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A list of modules or an MLmodel file is text for people; a larger one is none.
_LARGEST_TEXT = 16 << 20
#: What `sys.modules` may have: compiled modules begin with digits, files of any name can be imported.
_MODULE = re.compile(r"[\w-]+(?:\.[\w-]+)*\Z")
#: Flavors of MLflow whose library is called otherwise.
_FLAVORS = {"pytorch": "torch", "spark": "pyspark", "sklearn": "sklearn"}


class ModelError(DiffError, ValueError):
    """A model that cannot be read at all."""


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One thing that a model uses: `module` (dotted), `name` in it (empty: the module itself), and the `file` that says so.

    `how` is `pickle` (an object of it lies in a pickle), `code` (source imports it), `flavor` (MLflow loads the model with it),
    `listed`, or `mention`: a pickled function holds a text that may be a module's name.
    """

    module: str
    name: str
    file: str
    how: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model uses. `requirements` is the path of the requirements.txt that came with it.

    `problems` are files that could not be read in full: there may be more than `uses` says.
    """

    label: str
    uses: tuple[Use, ...]
    requirements: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether there is a list of the modules that the model imports when it runs: that is all, then."""
        return any(use.how == "listed" for use in self.uses)

    @property
    def modules(self) -> frozenset[str]:
        return frozenset(use.module for use in self.uses if use.how != "mention")


def read_model(path: str | os.PathLike[str]) -> Usage:
    """Find out what a model uses.

    `path`: an MLflow model directory, a pickle (joblib, cloudpickle, torch, skops, compressed or not), or a text or JSON file
    that lists modules. Raises ModelError when there is nothing to read.
    """
    path = os.fspath(path)
    label = os.path.basename(os.path.abspath(path))
    try:
        kind = os.stat(path).st_mode
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from error
    if stat.S_ISDIR(kind):
        return _directory(path, label)
    if not stat.S_ISREG(kind):
        raise ModelError(f"the model {path} is neither a directory nor a file")
    found = Findings()
    if read_artifact(path, label, found):
        return _usage(label, found)
    return read_modules(_text(path), path, label)


def read_modules(text: str, what: str, label: str) -> Usage:
    """What a list of modules says: names, one a line with `#` for comments, or JSON: a list, or an object whose `modules` is one, and whose
    `pickled`, if it is there, has those that the model's pickles name.

    `what` names the list in errors, `label` in reports. Raises ModelError.
    """
    modules, pickled = _listed(text, what)
    rows = [(name, how) for names, how in ((modules, "listed"), (pickled, "pickle")) for name in names]
    return Usage(label, tuple(sorted(Use(name, "", label, how) for name, how in rows)))


def _usage(label: str, found: Findings, extra: Iterable[Use] = (), requirements: str | None = None) -> Usage:
    uses = {
        *extra,
        *(Use(module, name, file, "pickle") for file, module, name in found.names),
        *(Use(module, name, file, "code") for file, module, name in found.imports),
        *(Use(module, "", file, "mention") for file, module in found.mentions),
    }
    return Usage(label, tuple(sorted(uses)), requirements, tuple(sorted(found.problems)))


def _directory(path: str, label: str) -> Usage:
    found, uses = Findings(), set()
    for name in _files(path, found):
        file = os.path.join(path, name)
        if name == "MLmodel":
            uses |= set(_mlmodel(file, found))
        else:
            read_artifact(file, name, found)
    requirements = os.path.join(path, "requirements.txt")
    return _usage(label, found, uses, requirements if os.path.isfile(requirements) else None)


def _files(root: str, found: Findings) -> Iterator[str]:
    """Every regular file below `root`, relative to it. What a link to a directory leads to is not followed."""

    def failed(error: OSError) -> None:
        found.problems.add(f"{os.path.relpath(error.filename, root)}: {error.strerror}")

    for directory, directories, names in os.walk(root, onerror=failed):
        directories.sort()
        for name in sorted(names):
            file = os.path.join(directory, name)
            try:
                regular = stat.S_ISREG(os.stat(file).st_mode)
            except OSError as error:
                found.problems.add(f"{os.path.relpath(file, root)}: {error.strerror}")
                continue
            if regular:
                yield os.path.relpath(file, root)
        for name in directories:
            if os.path.islink(os.path.join(directory, name)):
                found.problems.add(f"{os.path.relpath(os.path.join(directory, name), root)}: a link to a directory")


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_TEXT + 1)
        if len(data) > _LARGEST_TEXT:
            raise ModelError(f"{path} is no model that can be read: neither a pickle nor a list of modules")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no model that can be read: neither a pickle nor text") from error


_FLAVOR = re.compile(r"(?P<indent> +)(?P<name>[\w.-]+):\s*\Z")
_LOADER = re.compile(r" +loader_module:\s*['\"]?(?P<module>[\w.]+)['\"]?\s*\Z")


def _mlmodel(path: str, found: Findings) -> Iterator[Use]:
    """Flavors and loader of an MLmodel file. It is YAML that MLflow writes in one form only: block style, a key a line."""
    try:
        lines = _text(path).splitlines()
    except ModelError as error:
        found.problems.add(f"MLmodel: {error}")
        return
    within, indent = False, ""
    for line in lines:
        if line[:1] not in {" ", "", "#"}:
            within, indent = line.startswith("flavors:"), ""
        elif within and (match := _FLAVOR.match(line)) and match["indent"] == (indent or match["indent"]):
            indent, name = match["indent"], match["name"]
            if name != "python_function":
                yield Use(_FLAVORS.get(name, name), "", "MLmodel", "flavor")
        elif within and (match := _LOADER.match(line)):
            yield Use(match["module"], "", "MLmodel", "flavor")


def _listed(text: str, path: str) -> tuple[list[str], list[str]]:
    """The modules, and those of which pickles hold something."""
    pickled: Any = []
    if text.lstrip()[:1] in {"[", "{"}:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{path} is no list of modules: {error}") from error
        if isinstance(found, dict) and found.get("schema", 1) != 1:
            raise ModelError(
                f"{path} is a list of modules of schema {found['schema']!r}, and 1 is read; install a newer envparity"
            )
        rows = found.get("modules") if isinstance(found, dict) else found
        pickled = found.get("pickled", []) if isinstance(found, dict) else []
        if not isinstance(rows, list) or not isinstance(pickled, list):
            raise ModelError(f'{path} is no list of modules: want [NAME, …] or {{"modules": [NAME, …]}}')
        named = [(f"item {number}", row) for number, row in enumerate(rows, 1)]
    else:
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        named = [(f"line {number}", line) for number, line in enumerate(lines, 1) if line]
    every = [*named, *((f"pickled {number}", name) for number, name in enumerate(pickled, 1))]
    wrong = [
        f"{where}: {str(name)[:60]!r}" for where, name in every if not (isinstance(name, str) and _MODULE.match(name))
    ]
    if wrong:
        most = "; ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise ModelError(f"{path} is no list of modules: {most}")
    return sorted({name for _, name in named}), sorted(set(pickled))
