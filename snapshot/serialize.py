"""Canonical JSON to the model and back (docs/format.md). Errors name the key path that is wrong."""

from __future__ import annotations

import re
from typing import Any

from snapshot.documents import CONFIG_SCHEMA, LARGEST, SCHEMA, FormatError, Reader, canonical, parse
from snapshot.model import Entry, Environment, Finding, Interpreter, Kind, Layer, Record, Snapshot, Tree

#: Levels of directories. Whoever removes such a tree opens one of them after the other (`shutil.rmtree`).
DEEPEST = 500

_HEXADECIMAL = re.compile(r"[0-9a-f]{64}\Z")
_TAG = re.compile(r"[A-Za-z0-9_.-]*\Z")


#: An empty name, `.` or `..`: also what a leading, trailing or double slash makes.
_UNSAFE = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)")


def _is_unsafe(path: str) -> bool:
    """What `_UNSAFE` finds; most paths need not be searched for it."""
    plain = path and path[0] not in "./" and path[-1] != "/" and "/." not in path and "//" not in path
    return not plain and _UNSAFE.search(path) is not None


def check_path(path: str, where: str, *, empty: bool = False) -> str:
    """Refuse a path that could leave the directory it is relative to."""
    if empty and not path:
        return path
    if "\0" in path or _is_unsafe(path):
        raise FormatError(f"{where}: unsafe path {path!r} (absolute, empty or with '.' or '..')")
    if path.count("/") >= DEEPEST:
        raise FormatError(f"{where}: {path[:40]!r}... has over {DEEPEST} levels")
    return check_name_bytes(path, where)


def check_name_bytes(text: str, where: str) -> str:
    """Refuse text that is not how PEP 383 writes some bytes: two texts must not name the same file."""
    if not text.isascii():
        try:
            same = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
        except UnicodeEncodeError:
            same = False
        if not same:
            raise FormatError(f"{where}: {text!a} is not the one way to write a file's name (PEP 383)")
    return text


def encode_tree(tree: Tree) -> bytes:
    rows: list[list[object]] = []
    for entry in tree:
        if entry.type == "f":
            row: list[object] = [entry.path, "f", entry.mode, entry.size, entry.sha256]
        elif entry.type == "l":
            row = [entry.path, "l", entry.target]
        else:
            row = [entry.path, "d", entry.mode]
        extra: dict[str, object] = {}
        if entry.at:
            extra["at"] = [list(pair) for pair in entry.at]
        if entry.rule:
            extra["rule"] = entry.rule
            if entry.counts_as:
                extra["as"] = entry.counts_as
        if entry.outside:
            extra["outside"] = True
        if extra:
            row.append(extra)
        rows.append(row)
    return canonical({"schema": SCHEMA, "entries": rows})


_WIDTH = {"f": 5, "l": 3, "d": 3}
_FILE_MODES = frozenset({0o644, 0o755, 0o444, 0o555})
_MODES = {"f": _FILE_MODES, "d": frozenset({0o755, 0o555}), "l": frozenset({0})}


def decode_tree(data: bytes, what: str = "tree") -> Tree:
    """Read a tree and refuse whatever could reach outside: order, paths, types, modes and sizes are checked."""
    reader = Reader(parse(data, what), what)
    reader.schema()
    return decode_rows(reader.items("entries"), what)


def decode_rows(rows: list[Any], what: str) -> Tree:
    """Rows of one tree, in its order, as entries, checked as `decode_tree` says."""
    entries: list[Entry] = []
    last = b""
    for number, row in enumerate(rows):
        entry = _plain_file(row)
        if entry is None:
            where = f"{what}.entries[{number}]"
            entry = _entry(row, where)
            check_path(entry.path, where)
        key = entry.path.encode("utf-8", "surrogateescape")
        if key <= last:
            raise FormatError(f"{what}.entries[{number}]: {entry.path!r} is out of order or there twice")
        last = key
        entries.append(entry)
    return tuple(entries)


def _plain_file(row: Any) -> Entry | None:
    """What most rows are: a file without anything special about it. None: ask `_entry`, which says what is wrong or odd."""
    if not isinstance(row, list) or len(row) != 5:
        return None
    path, kind, mode, size, digest = row
    if (
        kind == "f"
        and type(mode) is int
        and mode in _FILE_MODES
        and type(size) is int
        and 0 <= size <= LARGEST
        and isinstance(digest, str)
        and _HEXADECIMAL.match(digest)
        and isinstance(path, str)
        and len(path) < DEEPEST
        and path.isascii()
        and not _is_unsafe(path)
        and "\0" not in path
    ):
        return Entry(path, "f", mode, size, digest)
    return None


def _entry(row: Any, where: str) -> Entry:
    if not isinstance(row, list) or len(row) < 2 or not isinstance(row[1], str) or row[1] not in _WIDTH:
        raise FormatError(f"{where}: want a list [path, 'f', 'l' or 'd', ...]")
    path, kind = row[:2]
    width = _WIDTH[kind]
    if not width <= len(row) <= width + 1:
        raise FormatError(f"{where}: {len(row)} fields for an entry of type {kind!r}")
    mode = 0 if kind == "l" else row[2]
    if type(mode) is not int or mode not in _MODES[kind]:
        raise FormatError(f"{where}: mode {mode!r} for an entry of type {kind!r}")
    size, digest = (row[3], row[4]) if kind == "f" else (0, "")
    if type(size) is not int or not 0 <= size <= LARGEST:
        raise FormatError(f"{where}: want a size, found {size!r}")
    if kind == "f" and not (isinstance(digest, str) and _HEXADECIMAL.match(digest)):
        raise FormatError(f"{where}: want a sha256 in hexadecimal, found {digest!r}")
    target = row[2] if kind == "l" else ""
    if not isinstance(path, str) or not isinstance(target, str) or "\0" in target:
        raise FormatError(f"{where}: path and target are text without NUL")
    check_name_bytes(target, where)
    if len(row) == width:
        return Entry(path, kind, mode, size, digest, target)
    extra = Reader(row[width], where)
    room = {"f": size, "l": len(target), "d": -1}[kind]
    return Entry(
        path,
        kind,
        mode,
        size,
        digest,
        target,
        _substitutions(extra, room),
        extra.text("rule") if "rule" in extra.value else None,
        extra.text("as") if "as" in extra.value else None,
        extra.flag("outside") if "outside" in extra.value else False,
    )


def _substitutions(extra: Reader, room: int) -> tuple[tuple[int, str], ...]:
    """`at`: offsets into something of `room` bytes, in ascending order."""
    if "at" not in extra.value:
        return ()
    last, at = 0, []
    for number, pair in enumerate(extra.items("at")):
        where = f"{extra.path}.at[{number}]"
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) is not int or not isinstance(pair[1], str):
            raise FormatError(f"{where}: want [offset, token]")
        if not last <= pair[0] <= room:
            raise FormatError(f"{where}: offset {pair[0]} is out of order, or past the end at {room}")
        last = pair[0]
        at.append((pair[0], pair[1]))
    return tuple(at)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The canonical config; its digest is the snapshot id. Raises UnidentifiedError where a layer has no diff_id."""
    return canonical(
        {
            "schema": _config_schema(snapshot),
            "interpreter": {name: getattr(snapshot.interpreter, name) for name in Interpreter.__slots__},
            "environment": {
                "kind": snapshot.environment.kind,
                "base_mount": snapshot.environment.base_mount,
                "bytecode": snapshot.environment.bytecode,
                "system_site_packages": snapshot.environment.system_site_packages,
                "sources": dict(snapshot.environment.sources),
            },
            "layers": [encode_layer(layer) for layer in sorted(snapshot.layers, key=lambda layer: layer.sort_key)],
            "parity_root": snapshot.parity_root,
        }
    )


def _config_schema(snapshot: Snapshot) -> int:
    """The oldest version of the config that has what is in this one."""
    new = snapshot.environment.bytecode == "imported" or any(layer.kind is Kind.MODEL for layer in snapshot.layers)
    return CONFIG_SCHEMA if new else 1


def encode_layer(layer: Layer) -> dict[str, object]:
    row: dict[str, object] = {
        "kind": layer.kind.value,
        "name": layer.name,
        "version": layer.version,
        "mount": layer.mount,
        "diff_id": layer.diff_id,
        "tree": layer.tree,
        "files": layer.files,
        "size": layer.size,
        "parity": layer.parity,
    }
    return {name: value for name, value in row.items() if value is not None}


def decode_snapshot(data: bytes, what: str = "config") -> Snapshot:
    reader = Reader(parse(data, what), what)
    reader.schema(CONFIG_SCHEMA)
    found = reader.inner("interpreter")
    interpreter = Interpreter(
        **{
            name: found.text(name)
            for name in ("implementation", "version", "cache_tag", "soabi", "platform", "executable")
        },
        captured=found.flag("captured"),
        digest=found.digest("digest"),
    )
    check_path(interpreter.executable, f"{found.path}.executable")
    if not _TAG.match(interpreter.cache_tag):  # it becomes part of file names
        raise FormatError(f"{found.path}.cache_tag: {interpreter.cache_tag!r} is no cache tag")
    place = reader.inner("environment")
    sources = place.inner("sources")
    environment = Environment(
        kind=place.text("kind"),
        base_mount=check_path(place.text("base_mount"), f"{place.path}.base_mount", empty=True),
        bytecode=place.text("bytecode"),
        system_site_packages=place.flag("system_site_packages"),
        sources=tuple(
            sorted((name, check_path(sources.text(name), f"{sources.path}.{name}")) for name in sources.value)
        ),
    )
    if environment.kind not in ("venv", "base"):
        raise FormatError(f"{place.path}.kind: {environment.kind!r} is neither venv nor base")
    if environment.bytecode not in ("none", "kept", "compiled", "imported"):
        raise FormatError(
            f"{place.path}.bytecode: {environment.bytecode!r} is neither none, kept, compiled nor imported"
        )
    layers = tuple(
        decode_layer(Reader(row, f"{what}.layers[{number}]")) for number, row in enumerate(reader.items("layers"))
    )
    snapshot = Snapshot(interpreter, environment, layers, reader.digest("parity_root"))
    given, wanted = reader.count("schema"), _config_schema(snapshot)
    if given != wanted:
        # Two forms of one snapshot would be two ids.
        raise FormatError(f"{what}.schema: {given} for what is written as {wanted}")
    return snapshot


def decode_layer(reader: Reader) -> Layer:
    try:
        kind = Kind(reader.text("kind"))
    except ValueError as error:
        raise FormatError(
            f"{reader.path}.kind: {reader.text('kind')!r} is no kind of layer that this envparity knows; install a newer one"
        ) from error
    return Layer(
        kind=kind,
        name=reader.text("name"),
        version=reader.optional_text("version"),
        mount=check_path(reader.text("mount"), f"{reader.path}.mount", empty=True),
        tar=reader.digest("diff_id"),
        tree=reader.digest("tree"),
        files=reader.count("files"),
        size=reader.count("size"),
        parity=reader.digest("parity") if "parity" in reader.value else None,
    )


def encode_record(record: Record) -> bytes:
    return canonical(
        {
            "schema": SCHEMA,
            "findings": [[item.kind, item.path, item.detail] for item in record.findings],
            "prefix": record.prefix,
            "base": record.base,
            "tool": record.tool,
        }
    )


def decode_record(data: bytes, what: str = "record") -> Record:
    reader = Reader(parse(data, what), what)
    reader.schema()
    findings = []
    for number, row in enumerate(reader.items("findings")):
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(part, str) for part in row):
            raise FormatError(f"{what}.findings[{number}]: want [kind, path, detail]")
        findings.append(Finding(*row))
    return Record(tuple(findings), reader.text("prefix"), reader.text("base"), reader.text("tool"))
