"""Templates with substitutions back to bytes: what `snapshot.relocate` took out of a file goes in again. Pure; no I/O.

docs/format.md, "Location", has the tokens.
"""

from __future__ import annotations

import binascii

from snapshot.errors import SnapshotError

At = tuple[tuple[int, str], ...]

#: pip, distlib and installer write a trampoline where a `#!` line would be longer (kernels before 5.1 cut at 127 bytes).
SHEBANG_LIMIT = 127

_URLSAFE = str.maketrans("+/", "-_")


class UnknownTokenError(SnapshotError, KeyError):
    """A template that names a place which the snapshot does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


def render(template: bytes, at: At, values: dict[str, bytes]) -> bytes:
    """Put the location back in. `values` has the bytes for each token. Raises UnknownTokenError."""
    pieces: list[bytes] = []
    end = 0
    for offset, token in at:
        pieces.append(template[end:offset])
        pieces.append(_value(token, values))
        end = offset
    pieces.append(template[end:])
    data = b"".join(pieces)
    if template.startswith(b"#!") and at and at[0][0] == 2:
        return _runnable(data, _value(at[0][1], values))
    return data


def _value(token: str, values: dict[str, bytes]) -> bytes:
    name = place_of(token)
    if name not in values:
        raise UnknownTokenError(f"a file of this snapshot depends on {name!r}, which the snapshot does not have")
    return quoted(values[name]) if token.endswith("+url") else values[name]


def _runnable(script: bytes, directory: bytes) -> bytes:
    """A script whose first line the kernel takes: `#!`, or a /bin/sh trampoline where that is too long or has a space."""
    line, _, rest = script.partition(b"\n")
    if len(line) + 1 <= SHEBANG_LIMIT and b" " not in directory:
        return script
    path, _, arguments = line[2 + len(directory) :].partition(b" ")
    call = b'"' + directory + path + b'"' + (b" " + arguments if arguments else b"")
    return b"#!/bin/sh\n'''exec' " + call + b" \"$0\" \"$@\"\n' '''\n" + rest


def hash_field(hexadecimal: str) -> str:
    """A digest as RECORD writes it: urlsafe base64 without padding (PEP 376)."""
    encoded = binascii.b2a_base64(bytes.fromhex(hexadecimal), newline=False).decode("ascii")
    return encoded.rstrip("=").translate(_URLSAFE)


def record_value(hexadecimal: str, size: int) -> bytes:
    """`sha256=…,SIZE` of a RECORD row."""
    return f"sha256={hash_field(hexadecimal)},{size}".encode("ascii")


def quoted(path: bytes) -> bytes:
    """Percent-encoded as in a `file:` URL."""
    from urllib.parse import quote

    return quote(path).encode("ascii")


def place_of(token: str) -> str:
    return token.removesuffix("+url")
