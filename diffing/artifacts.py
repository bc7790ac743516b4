"""The files of a model, one by one: pickles bare, compressed and in archives, skops schemas, arrays, and source code."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import zipfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from diffing.bytestream import DAMAGED, Stream, unpacked
from diffing.errors import DiffError
from diffing.opcodes import LONGEST_NAME, DamagedPickleError
from diffing.pickles import Contents, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What is unpacked of one compressed file, in bytes.
MOST_UNPACKED = 4 << 30
_MOST_MEMBERS = 100_000
_LARGEST_SOURCE = 8 << 20
#: Of a name in source: Python's parser takes memory by their square.
_MOST_DOTS = 1000
_NAMES = re.compile(rb"[^\w\s.\\\x80-\xff]")
_LARGEST_SCHEMA = 64 << 20
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav", ".cloudpickle", ".cpkl", ".dill", ".pkl.gz", ".pkl.bz2", ".pkl.xz")
_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ARRAY = b"\x93NUMPY"


@dataclass(slots=True)
class Findings:
    """What all files together say. Rows begin with the file's name."""

    names: set[tuple[str, str, str]] = field(default_factory=set)
    imports: set[tuple[str, str, str]] = field(default_factory=set)
    mentions: set[tuple[str, str]] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)

    def take(self, label: str, contents: Contents) -> None:
        self.names |= {(label, found.module, found.name) for found in contents.names}
        self.imports |= {(label, module, "") for module in contents.imports}
        self.mentions |= {(label, module) for module in contents.mentions}
        self.problems |= {f"{label}: {problem}" for problem in contents.problems}


def read_artifact(path: str, label: str, found: Findings) -> bool:
    """Add what the file at `path` uses to `found`, under the name `label`. False: it is nothing that can name a module."""
    try:
        with open(path, "rb") as file:
            if path.endswith(".py"):
                return _source(file.read(_LARGEST_SOURCE + 1), label, found)
            head = file.read(16)
            file.seek(0)
            if head.startswith(b"PK\x03\x04"):
                return _archive(file, label, found)
            size = os.fstat(file.fileno()).st_size
            return _file(file, head, label, found, named=path.endswith(_SUFFIXES), size=size)
    except OSError as error:
        found.problems.add(f"{label}: {error.strerror or 'cannot be read'}")
        return True


def _file(file: IO[bytes], head: bytes, label: str, found: Findings, *, named: bool, size: int | None) -> bool:
    """A bare or compressed pickle. `named`: its name says that it is one, so that anything else is a problem."""
    if head.startswith(_ARRAY):
        return _array(file, label, found, size)
    if head.startswith(_STARTS):
        return _pickles(Stream(file, size=size, most=None if size is not None else MOST_UNPACKED), label, found)
    if head.startswith(b"\x04\x22\x4d\x18") and named:
        found.problems.add(f"{label}: compressed with lz4, which cannot be read here")
        return True
    inner = unpacked(file, head)
    if inner is not None:
        try:
            stream = Stream(inner, most=MOST_UNPACKED)
            if not named and not stream.peek(2).startswith(_STARTS):
                return False
        except DAMAGED:
            if not named:
                return False
            found.problems.add(f"{label}: its compression is damaged")
            return True
        return _pickles(stream, label, found)
    if named:
        return _pickles(Stream(file, size=size, most=None if size is not None else MOST_UNPACKED), label, found)
    return False


def _pickles(stream: Stream, label: str, found: Findings) -> bool:
    """One pickle, and those that follow it directly. What else follows a pickle is data to whoever loads it."""
    contents = Contents()
    try:
        scan(stream, contents)
        while stream.peek(2) in _STARTS:
            scan(stream, contents)
    except (DamagedPickleError, *DAMAGED) as error:
        why = str(error) if isinstance(error, DiffError) else "its compression is damaged"
        contents.problems.add(f"a damaged pickle: {why}")
    except DiffError as error:
        contents.problems.add(f"a pickle that is not read to its end: {error}")
    found.take(label, contents)
    return True


def _array(file: IO[bytes], label: str, found: Findings, size: int | None) -> bool:
    """Numpy's own format (numpy.lib.format): a pickle lies in it when the elements are objects."""
    stream = Stream(file, size=size, most=None if size is not None else MOST_UNPACKED)
    try:
        wide = stream.read(8)[6] > 1
        header = stream.read(int.from_bytes(stream.read(4 if wide else 2), "little"))
    except (DiffError, *DAMAGED):
        found.problems.add(f"{label}: a damaged array")
        return True
    if b"O" in header.partition(b"'fortran_order'")[0].partition(b"'descr'")[2]:
        return _pickles(stream, label, found)
    return True


def _archive(file: IO[bytes], label: str, found: Findings) -> bool:
    """A zip file: torch's (data.pkl), skops' (schema.json), numpy's (npz)."""
    read = False
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                found.problems.add(f"{label}: more than {_MOST_MEMBERS:,} members")
                return True
            for member in members:
                name = f"{label}:{member.filename}"
                with archive.open(member) as opened:
                    inner = io.BufferedReader(cast("io.RawIOBase", opened))
                    if os.path.basename(member.filename) == "schema.json":
                        read |= _schema(inner.read(_LARGEST_SCHEMA + 1), name, found)
                        continue
                    named = member.filename.endswith(_SUFFIXES)
                    read |= _file(inner, inner.peek(16)[:16], name, found, named=named, size=None)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, *DAMAGED) as error:
        found.problems.add(f"{label}: a zip file that cannot be read ({error})")
        return True
    return read


def _schema(data: bytes, label: str, found: Findings) -> bool:
    """Skops' schema: nested nodes that name a module and a class each, or the path of a function's module."""
    try:
        if len(data) > _LARGEST_SCHEMA:
            raise ValueError(f"more than {_LARGEST_SCHEMA:,} bytes")
        waiting: list[Any] = [json.loads(data)]
    except (ValueError, RecursionError) as error:
        found.problems.add(f"{label}: a schema that cannot be read ({error})")
        return True
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            for key, named in (("__module__", "__class__"), ("module_path", "function")):
                if isinstance(node.get(key), str):
                    found.names.add((label, node[key], str(node.get(named, ""))))
    return True


_DYNAMIC = {"import_module", "__import__"}


def _source(data: bytes, label: str, found: Findings) -> bool:
    """The imports of a source file, those within functions too."""
    try:
        if len(data) > _LARGEST_SOURCE:
            raise ValueError(f"more than {_LARGEST_SOURCE:,} bytes")
        if any(stretch.count(b".") > _MOST_DOTS for stretch in _NAMES.split(data)):
            raise ValueError(f"a name with more than {_MOST_DOTS:,} dots")
        tree = ast.parse(data)
        imports = set(_imports(tree))
        found.imports |= {(label, module, name) for module, name in imports if len(module) + len(name) <= LONGEST_NAME}
        if any(len(module) + len(name) > LONGEST_NAME for module, name in imports):
            found.problems.add(f"{label}: imports a name of more than {LONGEST_NAME} characters")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found.problems.add(f"{label}: source that cannot be read ({re.sub(chr(10), ' ', str(error))})")
    return True


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Rows of a module and what is taken of it (a module itself, perhaps). Relative imports stay within the model."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from ((node.module, "" if alias.name == "*" else alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if called in _DYNAMIC and isinstance(node.args[0].value, str):
                yield node.args[0].value, ""
