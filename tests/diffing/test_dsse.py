"""Envelopes: what is accepted and what is refused. securesystemslib, openssl and the specification's vector as oracles."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from diffing import dsse, keys
from tests.attested import GOLDEN, TEST_KEY, TEST_PUB

PAYLOAD = b'{"an": "in-toto statement"}'
KEY = keys.private_key(TEST_KEY, "test key")
PUBLIC = keys.public_key(TEST_PUB, "test key")
NAME = keys.keyid(PUBLIC)


def another():
    return keys.private_key(keys.generate()[0], "another")


def rewritten(data, **changed):
    return json.dumps(json.loads(data) | changed).encode()


def row(key, payload=PAYLOAD, payload_type=dsse.PAYLOAD_TYPE, name=None):
    signature = key.sign(dsse.encoded(payload_type, payload))
    return {
        "keyid": keys.keyid(key.public_key()) if name is None else name,
        "sig": base64.b64encode(signature).decode(),
    }


def refused(data, kind, key=PUBLIC):
    with pytest.raises(kind) as caught:
        dsse.verify(data, key, "e")
    return str(caught.value)


def test_there_and_back():
    data = dsse.sign(PAYLOAD, KEY)
    assert data.endswith(b"\n")
    assert dsse.verify(data, PUBLIC) == PAYLOAD
    assert dsse.sign(PAYLOAD, KEY) == data


def test_the_vector_of_the_specification():
    assert dsse.encoded("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.encoded("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "
    data = (
        b'{"payload": "aGVsbG8gd29ybGQ=",\n "payloadType": "http://example.com/HelloWorld",\n "signatures": [{"sig": '
        b'"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}'
    )
    found = dsse.decode(data)
    assert (found.payload_type, found.payload) == ("http://example.com/HelloWorld", b"hello world")
    assert [(each.key, len(each.value)) for each in found.signatures] == [("", 64)]


def test_securesystemslib_accepts_ours():
    envelope = Envelope.from_dict(json.loads(dsse.sign(PAYLOAD, KEY)))
    key = SSlibKey.from_crypto(PUBLIC)
    assert envelope.verify([key], 1) == {NAME: key}
    assert (envelope.payload, envelope.payload_type) == (PAYLOAD, "application/vnd.in-toto+json")


def test_we_accept_what_securesystemslib_made():
    envelope = Envelope(PAYLOAD, dsse.PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(KEY))
    assert dsse.verify(json.dumps(envelope.to_dict()).encode(), PUBLIC) == PAYLOAD


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_accepts_ours(tmp_path):
    envelope = json.loads((GOLDEN / "envelope.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    (tmp_path / "pae").write_bytes(dsse.encoded(envelope["payloadType"], payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    words = ["-pubin", "-inkey", str(GOLDEN / "test-key.pem.pub"), "-rawin", "-in", "pae", "-sigfile", "sig"]
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", *words], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n")


def test_both_alphabets_are_read():
    payload = b"\xfb\xff\xfe" * 9  # `+` and `/` in every group
    data = json.loads(dsse.sign(payload, KEY))
    assert {"+", "/"} <= set(data["payload"])
    data["payload"] = data["payload"].replace("+", "-").replace("/", "_")
    data["signatures"][0]["sig"] = data["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    assert dsse.verify(json.dumps(data).encode(), PUBLIC) == payload


def test_one_good_signature_among_several_is_enough():
    data = dsse.sign(PAYLOAD, KEY)
    for rows in (
        [row(another()), row(KEY)],
        [row(KEY), row(another())],
        [row(KEY, name="ab" * 32)],
        [row(another(), name=NAME), row(KEY, name="")],  # names are hints: one that lies hides nothing
    ):
        assert dsse.verify(rewritten(data, signatures=rows), PUBLIC) == PAYLOAD


def test_a_signature_without_a_name_is_tried():
    bare = row(KEY)
    del bare["keyid"]
    assert dsse.verify(rewritten(dsse.sign(PAYLOAD, KEY), signatures=[bare]), PUBLIC) == PAYLOAD
    assert dsse.verify(rewritten(dsse.sign(PAYLOAD, KEY), signatures=[bare | {"keyid": None}]), PUBLIC) == PAYLOAD


def test_fields_that_nobody_knows_are_ignored():
    assert dsse.verify(rewritten(dsse.sign(PAYLOAD, KEY), extra=[1.5, None]), PUBLIC) == PAYLOAD


def test_unsigned():
    assert refused(rewritten(dsse.sign(PAYLOAD, KEY), signatures=[]), dsse.SignatureError) == "e is not signed"


def test_signed_with_another_key():
    other = another()
    said = refused(dsse.sign(PAYLOAD, other), dsse.SignatureError)
    name = keys.keyid(other.public_key())
    assert said == (
        f"e is not signed with the key {NAME[:12]} (signatures are of '{name[:12]}'); take the signer's public key"
    )
    bare = rewritten(dsse.sign(PAYLOAD, other), signatures=[row(other, name="")])
    assert "(signatures are of no name)" in refused(bare, dsse.SignatureError)


CHANGED = f"e was changed after it was signed, or the signature was: it does not fit the key {NAME[:12]}"


def test_signed_anew_by_somebody_who_takes_the_name():
    forged = base64.b64encode(b"forged").decode()
    data = rewritten(dsse.sign(PAYLOAD, KEY), payload=forged, signatures=[row(another(), b"forged", name=NAME)])
    assert refused(data, dsse.SignatureError) == CHANGED


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": base64.b64encode(PAYLOAD + b" ").decode()},
        {"payload": ""},
        {"payloadType": "text/plain"},
        {"payloadType": ""},
        {"signatures": [{"keyid": NAME, "sig": ""}]},
        {"signatures": [{"keyid": NAME, "sig": base64.b64encode(bytes(64)).decode()}]},
        {"signatures": [row(KEY, payload=b"another one")]},
    ],
)
def test_changed_after_it_was_signed(changed):
    assert refused(rewritten(dsse.sign(PAYLOAD, KEY), **changed), dsse.SignatureError) == CHANGED


def test_another_type_that_the_same_key_signed():
    kind = "application/vnd.something+json"
    data = rewritten(dsse.sign(PAYLOAD, KEY), payloadType=kind, signatures=[row(KEY, payload_type=kind)])
    assert refused(data, dsse.SignatureError) == (
        "e: the signature is good, but of 'application/vnd.something+json' (want application/vnd.in-toto+json)"
    )


def test_the_payload_is_not_parsed_before_its_signature_is_checked(monkeypatch):
    """Whatever the payload is, it is bytes to `verify`: only the envelope goes through the JSON reader."""
    seen = []
    read = dsse.json.loads
    monkeypatch.setattr("diffing.dsse.json.loads", lambda text, **options: seen.append(text) or read(text, **options))
    data = dsse.sign(b"{" * 100_000, KEY)
    assert dsse.verify(data, PUBLIC) == b"{" * 100_000
    assert seen == [data.decode()]


GOOD = dsse.sign(PAYLOAD, KEY)
SIG = json.loads(GOOD)["signatures"][0]["sig"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "e is not JSON as it should be: Expecting value"),
        (b"\xff", "e is not JSON as it should be: 'utf-8' codec can't decode"),
        (b"\xef\xbb\xbf" + GOOD, "e is not JSON as it should be: Unexpected UTF-8 BOM"),
        (GOOD[:-3], "e is not JSON as it should be: "),
        (GOOD + GOOD, "e is not JSON as it should be: Extra data"),
        (GOOD + b"x", "e is not JSON as it should be: Extra data"),
        (b"[" * 100_000, "e is not JSON as it should be: "),
        (GOOD.replace(b"{", b'{"n": NaN, ', 1), "e is not JSON as it should be: NaN is no number of JSON"),
        (GOOD.replace(b"{", b'{"n": 1' + b"0" * 5000 + b", ", 1), "e is not JSON as it should be: Exceeds the limit"),
        (b"[]", "e: want a JSON object, found list"),
        (b"{}", "e.payloadType: want text; this is no DSSE envelope"),
        (rewritten(GOOD, payloadType=1), "e.payloadType: want text; this is no DSSE envelope"),
        (rewritten(GOOD, payloadType="\ud800"), "e.payloadType: '\\ud800' is not Unicode"),
        (rewritten(GOOD, payload=None), "e.payload: want text; this is no DSSE envelope"),
        (rewritten(GOOD, payload="a b="), "e.payload: not base64"),
        (rewritten(GOOD, payload="é==="), "e.payload: not base64"),
        (rewritten(GOOD, payload="QUJDRA"), "e.payload: not base64"),
        (rewritten(GOOD, payload="QUJDRB=="), "e.payload: not base64"),  # bits that nobody decodes
        (rewritten(GOOD, payload="+_+_"), "e.payload: not base64"),
        (rewritten(GOOD, signatures={}), "e.signatures: want a list; this is no DSSE envelope"),
        (rewritten(GOOD, signatures=["x"]), "e.signatures[0]: want an object, found str"),
        (rewritten(GOOD, signatures=[{"keyid": 1, "sig": ""}]), "e.signatures[0].keyid: want text, found int"),
        (rewritten(GOOD, signatures=[{}]), "e.signatures[0].sig: want text"),
        (rewritten(GOOD, signatures=[{"sig": SIG}, {"sig": "?"}]), "e.signatures[1].sig: not base64"),
        (rewritten(GOOD, signatures=[{"sig": SIG}] * 65), "e.signatures: 65 are too many (want at most 64)"),
        (GOOD + b" " * dsse.LARGEST, "e has over 4,194,304 bytes; that is no envelope of envparity"),
    ],
)
def test_what_is_no_envelope(data, said):
    assert refused(data, dsse.EnvelopeError).startswith(said)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (GOOD.replace(b'{"payload"', b'{"payload":"QUJD","payload"'), "payload"),
        (GOOD.replace(b'{"payload"', b'{"payloadType":"x","payload"'), "payloadType"),
        (GOOD.replace(b'{"keyid"', b'{"sig":"QUJD","keyid"'), "sig"),
        (GOOD.replace(b'{"payload"', b'{"\\u0070ayload":"QUJD","payload"'), "payload"),
    ],
)
def test_a_key_that_is_there_twice(data, key):
    assert refused(data, dsse.EnvelopeError) == f"e is not JSON as it should be: the key '{key}' is there twice"
