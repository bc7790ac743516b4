"""Digests, and descriptors of what they name. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from snapshot.errors import SnapshotError


class InvalidDigestError(SnapshotError, ValueError):
    """A digest that is not `sha256:` and 64 lower-case hexadecimal digits."""


class Digest(str):
    """`sha256:` and 64 hexadecimal digits. A string, so that it is its own JSON form."""

    __slots__ = ()

    def __new__(cls, text: str) -> Digest:
        # Without a regular expression: compiling it takes longer than all the digests of a warm restore.
        if len(text) != 71 or not text.startswith("sha256:") or text[7:].strip("0123456789abcdef"):
            raise InvalidDigestError(f"not a digest: {text!r} (want sha256: and 64 hexadecimal digits)")
        return super().__new__(cls, text)

    @classmethod
    def of_hex(cls, hexadecimal: str) -> Digest:
        return cls(f"sha256:{hexadecimal}")

    @property
    def hex(self) -> str:
        return self[7:]

    @property
    def short(self) -> str:
        return self[:19]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where a blob is (OCI image-spec, descriptor.md). `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
