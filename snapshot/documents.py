"""Canonical JSON, and reading it with the key path for errors (docs/format.md)."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from snapshot.digest import Digest, InvalidDigestError
from snapshot.errors import SnapshotError

#: The version of trees, records and parity roots that this code writes, and the newest that it reads.
SCHEMA = 1

#: The newest version of the config. A config is written as the oldest version that has all that is in it: an environment alone
#: keeps the id that it always had, and an earlier envparity reads it.
CONFIG_SCHEMA = 2

#: Sizes and counts beyond this are refused: no file system has them, and adding them up must not overflow a float.
LARGEST = 2**64 - 1


class FormatError(SnapshotError, ValueError):
    """Bytes that are not what docs/format.md says."""


class UnsupportedSchemaError(FormatError):
    """Written by a newer envparity."""


def canonical(value: object) -> bytes:
    """The one byte form of `value`: ASCII, sorted keys, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def digest_of(data: bytes) -> Digest:
    return Digest.of_hex(sha256(data).hexdigest())


def parse(data: bytes, what: str) -> Any:
    """Read JSON; `what` names the source in the error."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not JSON: {error}") from error


class Reader:
    """One JSON object, with the key path for errors."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(f"{path}: want an object, found {type(value).__name__}")
        self.value = value
        self.path = path

    def get(self, key: str, kind: type) -> Any:
        if key not in self.value:
            raise FormatError(f"{self.path}.{key}: missing")
        found = self.value[key]
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise FormatError(f"{self.path}.{key}: want {kind.__name__}, found {type(found).__name__}")
        return found

    def text(self, key: str) -> str:
        return str(self.get(key, str))

    def optional_text(self, key: str) -> str | None:
        return None if self.value.get(key) is None else self.text(key)

    def count(self, key: str) -> int:
        number = int(self.get(key, int))
        if not 0 <= number <= LARGEST:
            raise FormatError(f"{self.path}.{key}: want a count, found {number}")
        return number

    def flag(self, key: str) -> bool:
        return bool(self.get(key, bool))

    def items(self, key: str) -> list[Any]:
        return list(self.get(key, list))

    def inner(self, key: str) -> Reader:
        return Reader(self.get(key, dict), f"{self.path}.{key}")

    def digest(self, key: str) -> Digest:
        try:
            return Digest(self.text(key))
        except InvalidDigestError as error:
            raise FormatError(f"{self.path}.{key}: {error}") from error

    def schema(self, newest: int = SCHEMA) -> None:
        version = self.count("schema")
        if version > newest:
            raise UnsupportedSchemaError(
                f"{self.path}.schema: {version} is newer than this envparity reads ({newest}); install a newer one"
            )
