"""Facts to canonical JSON and back (docs/format.md, "Facts"). Errors name the key path that is wrong.

The document follows the values of `snapshot.facts.model`, field by field: a value that is its field's default is left out, a tuple is a
list, an aspect that was not collected is absent. A reader passes over keys that it does not know.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin, get_type_hints

from snapshot.documents import FormatError, Reader, canonical, parse
from snapshot.facts.model import Facts

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Takes a value of the JSON and its key path.
    Decoder = Callable[[object, str], Any]

#: The version of the document that this code writes, and the newest that it reads.
FACTS_SCHEMA = 1


def encode_facts(facts: Facts) -> bytes:
    """Equal facts give equal bytes."""
    return canonical({"schema": FACTS_SCHEMA, **plain(facts)})


def decode_facts(data: bytes, what: str = "facts") -> Facts:
    """Raises FormatError, and UnsupportedSchemaError for a document of a newer envparity."""
    value = parse(data, what)
    Reader(value, what).schema(FACTS_SCHEMA)
    return facts_of(value, what)


def plain(facts: Facts) -> dict[str, Any]:
    """The document as JSON values, without its version."""
    return cast("dict[str, Any]", _plain(facts))


def facts_of(value: object, what: str) -> Facts:
    """The reverse. Raises FormatError."""
    return cast("Facts", _decoder(Facts)(value, what))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not is_dataclass(value):
        return value
    row = {}
    for field in fields(value):
        found = getattr(value, field.name)
        if field.default is MISSING or found != field.default:
            row[field.name] = _plain(found)
    return row


@cache
def _decoder(kind: Any) -> Decoder:
    """What reads a value of the type `kind`: text, a flag, a tuple, one of the model's classes, or one of these or nothing."""
    if kind is str:
        return _text
    if kind is bool:
        return _flag
    if is_dataclass(kind):
        return _object(cast("type[Any]", kind))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(_decoder(next(each for each in arguments if each is not type(None))))
    if origin is tuple:
        return _items(_decoder(arguments[0])) if arguments[1] is Ellipsis else _row(tuple(map(_decoder, arguments)))
    raise TypeError(f"facts have no values of type {kind}")


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{path}: want text, found {type(value).__name__}")
    return value


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise FormatError(f"{path}: want true or false, found {type(value).__name__}")
    return value


def _optional(inner: Decoder) -> Decoder:
    return lambda value, path: None if value is None else inner(value, path)


def _list(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"{path}: want a list, found {type(value).__name__}")
    return value


def _items(inner: Decoder) -> Decoder:
    def decode(value: object, path: str) -> tuple[Any, ...]:
        found = _list(value, path)
        try:
            return tuple([inner(item, path) for item in found])
        except FormatError:  # now the path of each is worth its time
            return tuple([inner(item, f"{path}[{number}]") for number, item in enumerate(found)])

    return decode


def _row(inner: tuple[Decoder, ...]) -> Decoder:
    def decode(value: object, path: str) -> tuple[Any, ...]:
        found = _list(value, path)
        if len(found) != len(inner):
            raise FormatError(f"{path}: want {len(inner)} values, found {len(found)}")
        return tuple(
            [each(item, f"{path}[{number}]") for number, (each, item) in enumerate(zip(inner, found, strict=True))]
        )

    return decode


def _object(kind: type[Any]) -> Decoder:
    hints = get_type_hints(kind)
    known = [(field.name, _decoder(hints[field.name]), field.default is MISSING) for field in fields(kind)]

    def decode(value: object, path: str) -> Any:
        row = Reader(value, path).value
        read = {}
        for name, inner, needed in known:
            if name in row:
                read[name] = inner(row[name], f"{path}.{name}")
            elif needed:
                raise FormatError(f"{path}.{name}: missing")
        return kind(**read)

    return decode
