"""Laws of the proof: it gives back what the report says, and a single changed byte is refused."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffing import dsse, keys
from diffing.attesting import StatementError, read, statement
from diffing.report import Counts, Coverage, PolicySummary, SideSummary, Unknown, Waiver
from diffing.verdict import Flag, Verdict
from snapshot.documents import canonical
from tests.attested import CREATED, GOLDEN, TEST_KEY, TEST_PUB, difference, report

law = settings(deadline=None)

KEY = keys.private_key(TEST_KEY, "test key")
PUBLIC = keys.public_key(TEST_PUB, "test key")
ENVELOPE = (GOLDEN / "envelope.json").read_bytes()
PAYLOAD = (GOLDEN / "statement.json").read_bytes()

# Labels are paths too: bytes that are not UTF-8 come as lone surrogates (PEP 383).
TEXTS = st.text(max_size=12) | st.binary(max_size=6).map(lambda data: data.decode("utf-8", "surrogateescape"))
HEX = st.binary(min_size=32, max_size=32).map(bytes.hex)
DIGESTS = HEX.map("sha256:{}".format)
NUMBERS = st.integers(0, 10**12)
VERDICTS = st.sampled_from(Verdict)
FLAGS = st.lists(st.sampled_from(Flag), unique=True).map(tuple)
SIDES = st.builds(
    SideSummary,
    label=TEXTS,
    kind=st.sampled_from(["snapshot", "environment"]),
    snapshot=st.none() | DIGESTS,
    parity_root=DIGESTS,
    strict_digest=DIGESTS,
)


def tuples(of, most=3):
    return st.lists(of, max_size=most).map(tuple)


# Both are sorted where reports are made.
OVERRIDES = st.dictionaries(TEXTS, st.none() | VERDICTS, max_size=3).map(lambda rows: tuple(sorted(rows.items())))
COUNTED = st.dictionaries(VERDICTS, NUMBERS).map(lambda rows: tuple(sorted(rows.items())))

REPORTS = st.builds(
    report,
    verdict=VERDICTS,
    passed=st.booleans(),
    flags=FLAGS,
    coverage=st.builds(Coverage, NUMBERS, NUMBERS, tuples(st.builds(Unknown, TEXTS, TEXTS, TEXTS))),
    train=SIDES,
    serve=SIDES,
    policy=st.builds(PolicySummary, TEXTS, TEXTS, VERDICTS, FLAGS, tuples(TEXTS), OVERRIDES),
    rules_version=TEXTS,
    counts=st.builds(Counts, NUMBERS, st.none() | NUMBERS, COUNTED, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    differences=tuples(st.builds(difference, TEXTS, VERDICTS, st.none() | st.builds(Waiver, TEXTS, TEXTS, TEXTS))),
)
MODELS = st.none() | DIGESTS | HEX.map("dirHash:{}".format)


@law
@given(REPORTS, MODELS)
def test_a_proof_says_what_the_report_said(made, model):
    payload = canonical(statement(made, model_digest=model, created=CREATED))
    proof = read(dsse.verify(dsse.sign(payload, KEY), PUBLIC))
    for name in ("verdict", "passed", "flags", "coverage", "train", "serve", "policy", "rules_version", "counts"):
        assert getattr(proof, name) == getattr(made, name)
    waived = [each for each in made.differences if each.waived]
    assert [(each.rule, each.subject, each.severity, each.digest, each.waiver) for each in proof.waived] == [
        (each.rule, each.subject, each.severity, each.digest, each.waived) for each in waived
    ]
    assert (proof.model_digest, proof.created) == (model, CREATED)


@law
@given(REPORTS, MODELS)
def test_a_statement_is_json_as_it_stands(made, model):
    document = statement(made, model_digest=model, created=CREATED)
    assert json.loads(canonical(document)) == document


def flipped(data, at, by):
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


@law
@given(st.data(), st.sampled_from(["payload", "sig"]), st.integers(1, 255))
def test_any_flipped_byte_of_payload_and_signature_is_refused(data, what, by):
    document = json.loads(ENVELOPE)
    holder = document if what == "payload" else document["signatures"][0]
    content = base64.b64decode(holder[what])
    at = data.draw(st.integers(0, len(content) - 1))
    holder[what] = base64.b64encode(flipped(content, at, by)).decode()
    with pytest.raises(dsse.SignatureError, match="was changed after it was signed"):
        dsse.verify(json.dumps(document).encode(), PUBLIC)


@law
@given(st.integers(0, len(ENVELOPE) - 1), st.integers(1, 255))
def test_a_flipped_byte_of_the_file_is_refused_or_changes_nothing_that_is_signed(at, by):
    """What stands outside of payload, type and signature is a hint: the name of the key, white space."""
    try:
        found = dsse.verify(flipped(ENVELOPE, at, by), PUBLIC)
    except (dsse.EnvelopeError, dsse.SignatureError):
        return
    assert found == PAYLOAD


@law
@given(st.integers(0, len(ENVELOPE) - 2))
def test_what_is_cut_off_is_refused(size):
    with pytest.raises(dsse.EnvelopeError):
        dsse.verify(ENVELOPE[:size], PUBLIC)


@law
@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(canonical))
def test_whatever_lies_there_gets_one_of_our_errors(data):
    with pytest.raises((dsse.EnvelopeError, dsse.SignatureError)):
        dsse.verify(data, PUBLIC)


@law
@given(st.binary(max_size=300))
def test_any_bytes_can_be_signed(payload):
    assert dsse.verify(dsse.sign(payload, KEY), PUBLIC) == payload


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@law
@given(st.data(), JSON)
def test_a_statement_with_anything_in_it_is_read_or_refused_and_never_breaks(data, odd):
    """Somebody who holds the key may sign nonsense: then there is one clear error."""
    document = json.loads(PAYLOAD)
    inner = document
    while True:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not inner[key] or not isinstance(inner[key], (dict, list)) or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = odd
    with suppress(StatementError):
        read(canonical(document))
