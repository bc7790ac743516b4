"""DSSE envelopes (version 1): signed bytes with their type, and the signatures of them. No I/O; needs the extra `signing`.

https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.2. The payload is not looked at before
its signature has been checked.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffing.errors import DiffError
from diffing.keys import keyid
from snapshot.documents import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: The type of in-toto statements in JSON (in-toto attestation, spec/v1/envelope.md).
PAYLOAD_TYPE = "application/vnd.in-toto+json"

#: Bytes of an envelope, and signatures on it, beyond which it is refused. A statement has a few kilobytes.
LARGEST = 4 << 20
MOST_SIGNATURES = 64


class EnvelopeError(DiffError, ValueError):
    """Bytes that are no DSSE envelope."""


class SignatureError(DiffError, ValueError):
    """An envelope that is not signed with the given key, or that was changed since."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`key` is what the envelope says of the key: a hint that nobody signed."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope taken apart. Nothing of it is to be believed before `verify`."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """An envelope around `payload` (an in-toto statement), signed with `key`: canonical JSON and a line end."""
    signature = key.sign(encoded(PAYLOAD_TYPE, payload))
    row = {"keyid": keyid(key.public_key()), "sig": base64.b64encode(signature).decode("ascii")}
    document = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [row],
    }
    return canonical(document) + b"\n"


def verify(data: bytes, key: Ed25519PublicKey, what: str = "envelope") -> bytes:
    """The payload of the envelope in `data`, once a signature of `key` on it has been checked. `what` names the source in errors.

    One good signature of `key` is enough, wherever in the list it stands and whatever key it claims to be of. Raises EnvelopeError for
    what is no envelope, SignatureError for one that is unsigned, signed by others only, or changed; and for another type of payload.
    """
    envelope = decode(data, what)
    signed = encoded(envelope.payload_type, envelope.payload)
    if not any(_fits(key, signature.value, signed) for signature in envelope.signatures):
        raise SignatureError(_refusal(envelope, keyid(key), what))
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"{what}: the signature is good, but of {envelope.payload_type!a} (want {PAYLOAD_TYPE})")
    return envelope.payload


def encoded(payload_type: str, payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding (PAE) of protocol.md."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def decode(data: bytes, what: str = "envelope") -> Envelope:
    """Take an envelope apart, without checking any signature. Raises EnvelopeError.

    Fields that the specification does not name are ignored, as it demands.
    """
    if len(data) > LARGEST:
        raise EnvelopeError(f"{what} has over {LARGEST:,} bytes; that is no envelope of envparity")
    document = strict_json(data, what)
    payload_type = _text(document, "payloadType", what)
    try:
        payload_type.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EnvelopeError(f"{what}.payloadType: {payload_type!a} is not Unicode") from error
    rows = document.get("signatures")
    if not isinstance(rows, list):
        raise EnvelopeError(f"{what}.signatures: want a list; this is no DSSE envelope")
    if len(rows) > MOST_SIGNATURES:
        raise EnvelopeError(f"{what}.signatures: {len(rows):,} are too many (want at most {MOST_SIGNATURES})")
    payload = _bytes(document, "payload", what)
    return Envelope(
        payload_type, payload, tuple(_signature(row, f"{what}.signatures[{i}]") for i, row in enumerate(rows))
    )


def strict_json(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data` (UTF-8), read the one way everybody reads it: no key twice, no NaN, nothing behind it.

    Raises EnvelopeError.
    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"{what} is not JSON as it should be: {error}") from error
    if not isinstance(found, dict):
        raise EnvelopeError(f"{what}: want a JSON object, found {type(found).__name__}")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!a} is there twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _signature(row: object, what: str) -> Signature:
    if not isinstance(row, dict):
        raise EnvelopeError(f"{what}: want an object, found {type(row).__name__}")
    key = row.get("keyid") or ""
    if not isinstance(key, str):
        raise EnvelopeError(f"{what}.keyid: want text, found {type(key).__name__}")
    return Signature(key, _bytes(row, "sig", what))


def _text(document: dict[str, Any], key: str, what: str) -> str:
    if not isinstance(document.get(key), str):
        raise EnvelopeError(f"{what}.{key}: want text; this is no DSSE envelope")
    return str(document[key])


def _bytes(document: dict[str, Any], key: str, what: str) -> bytes:
    """Base64, standard or URL-safe (RFC 4648): the one text that these bytes have in that alphabet, padding included."""
    text = _text(document, key, what)
    for alphabet in (b"+/", b"-_"):
        try:
            found = base64.b64decode(text, alphabet, validate=True)
        except (binascii.Error, ValueError):
            continue
        if base64.b64encode(found, alphabet).decode("ascii") == text:
            return found
    raise EnvelopeError(f"{what}.{key}: not base64")


def _fits(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _refusal(envelope: Envelope, wanted: str, what: str) -> str:
    if not envelope.signatures:
        return f"{what} is not signed"
    if any(signature.key == wanted for signature in envelope.signatures):
        return f"{what} was changed after it was signed, or the signature was: it does not fit the key {wanted[:12]}"
    named = ", ".join(sorted({f"{each.key[:12]!a}" if each.key else "no name" for each in envelope.signatures})[:3])
    return f"{what} is not signed with the key {wanted[:12]} (signatures are of {named}); take the signer's public key"
