"""Ed25519 keys in PEM: made, read, named. Reads and writes key files; needs the extra `signing`."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from diffing.errors import DiffError
from snapshot.documents import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: A file that is larger (bytes) holds no Ed25519 key: those have 119 and 113.
LARGEST = 1 << 16

_MADE_BY = "envparity keygen makes a pair"


class MissingSigningError(DiffError, ImportError):
    """The extra `signing` is not installed."""


class KeyFormatError(DiffError, ValueError):
    """A file that holds no key of the wanted kind."""


class KeyExistsError(DiffError, FileExistsError):
    """A key would replace a file."""


def generate() -> tuple[bytes, bytes]:
    """A new pair as PEM: the private key (PKCS#8, RFC 5958, not encrypted) and the public one (SubjectPublicKeyInfo, RFC 8410).

    Raises MissingSigningError.
    """
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    made = Ed25519PrivateKey.generate()
    return (
        made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def write(private: bytes, public: bytes, path: str) -> str:
    """Write a pair: the private key to `path`, for its owner alone (0600), the public one to `path`.pub, whose path is returned.

    Raises KeyExistsError, and OSError. No file is ever replaced, and when one of the two cannot be written then neither stays.
    """
    beside = f"{path}.pub"
    there = [each for each in (path, beside) if os.path.lexists(each)]
    if there:
        raise KeyExistsError(
            f"{' and '.join(there)} {'exist' if len(there) > 1 else 'exists'} already; a key is never replaced: name another file"
        )
    _write_new(path, private, 0o600)
    try:
        _write_new(beside, public, 0o644)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
    return beside


def _write_new(path: str, content: bytes, mode: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise KeyExistsError(f"{path} exists already; a key is never replaced: name another file") from error
    try:
        with open(fd, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def read_private(path: str) -> Ed25519PrivateKey:
    """Raises KeyFormatError, MissingSigningError, and OSError when there is no such file."""
    return private_key(_read(path), path)


def read_public(path: str) -> Ed25519PublicKey:
    """Raises KeyFormatError, MissingSigningError, and OSError when there is no such file."""
    return public_key(_read(path), path)


def private_key(data: bytes, what: str) -> Ed25519PrivateKey:
    """The private key in `data` (PEM, PKCS#8). `what` names the source in errors.

    Raises KeyFormatError, and MissingSigningError. No error says anything of the key itself.
    """
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise KeyFormatError(f"{what} is a public key; the private one signs (its file without .pub)")
    if b"-----BEGIN ENCRYPTED" in data:
        raise KeyFormatError(f"{what} is encrypted; decrypt it first: openssl pkey -in {what} -out FILE")
    found = _load(lambda: load_pem_private_key(data, None), what, "private")
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyFormatError(f"{what} is no Ed25519 key but {_algorithm(found)}; {_MADE_BY}")
    return found


def public_key(data: bytes, what: str) -> Ed25519PublicKey:
    """The public key in `data` (PEM, SubjectPublicKeyInfo). `what` names the source in errors.

    Raises KeyFormatError, and MissingSigningError.
    """
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY-----" in data:
        raise KeyFormatError(
            f"{what} is a private key; the public one checks (its file with .pub), and who checks need not have the other"
        )
    found = _load(lambda: load_pem_public_key(data), what, "public")
    if not isinstance(found, Ed25519PublicKey):
        raise KeyFormatError(f"{what} is no Ed25519 key but {_algorithm(found)}; {_MADE_BY}")
    return found


def keyid(key: Ed25519PublicKey) -> str:
    """The name of a key: sha256 of its canonical JSON, in hexadecimal, as securesystemslib computes it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    named = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}
    return sha256(canonical(named)).hexdigest()


def _read(path: str) -> bytes:
    with open(path, "rb") as opened:
        return opened.read(LARGEST + 1)


def _load(load: Callable[[], object], what: str, kind: str) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFormatError(f"{what} holds no {kind} key in PEM; {_MADE_BY}") from error


def _algorithm(key: object) -> str:
    """`RSA` of `RSAPrivateKey`."""
    return type(key).__name__.strip("_").removesuffix("PrivateKey").removesuffix("PublicKey")


def _need() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise MissingSigningError(
            "signing and checking signatures needs cryptography: pip install 'envparity[signing]'"
        ) from error
