"""The statement: what it says of a report, and what is refused. Golden vectors in tests/golden/attestation."""

from __future__ import annotations

import json

import pytest

from diffing import attesting, dsse, keys
from diffing.attesting import Waived, read, statement
from diffing.report import SideSummary, Waiver
from diffing.verdict import Verdict
from snapshot.documents import canonical
from tests.attested import CREATED, GOLDEN, MODEL, TEST_KEY, TEST_PUB, digest, report

PINNED = (GOLDEN / "statement.json").read_bytes()


def changed(*path, **fields):
    """The golden statement with some fields of the object at `path` replaced; `None` takes one out."""
    document = json.loads(PINNED)
    inner = document
    for key in path:
        inner = inner[key]
    for key, value in fields.items():
        if value is None:
            del inner[key]
        else:
            inner[key] = value
    return canonical(document)


def refused(payload, kind=attesting.StatementError):
    with pytest.raises(kind) as caught:
        read(payload, "s")
    return str(caught.value)


def test_a_statement_as_it_was_written_once(monkeypatch):
    monkeypatch.setattr("diffing.attesting.version", lambda: "0.1.0")
    written = statement(report(), model_digest=MODEL, created=CREATED)
    assert canonical(written) == PINNED
    assert json.loads(PINNED) == written


def test_an_envelope_as_it_was_written_once():
    pinned = (GOLDEN / "envelope.json").read_bytes()
    assert dsse.sign(PINNED, keys.private_key(TEST_KEY, "k")) == pinned
    assert dsse.verify(pinned, keys.public_key(TEST_PUB, "k")) == PINNED


def test_what_was_written_once_is_read():
    proof = read(PINNED)
    made = report()
    for name in ("verdict", "passed", "flags", "coverage", "train", "serve", "policy", "rules_version", "counts"):
        assert getattr(proof, name) == getattr(made, name)
    waiver = Waiver("me@example.org", "tried and harmless", "2027-01-31")
    assert proof.waived == (Waived("distribution-version", "packaging", Verdict.DRIFTED, digest("e"), waiver),)
    assert (proof.model_digest, proof.tool, proof.created) == (MODEL, "0.1.0", CREATED)


def test_subjects_are_the_environments_and_the_model():
    subjects = statement(report(), model_digest=MODEL, created=CREATED)["subject"]
    assert [each["name"] for each in subjects] == ["churn-model/3", "/srv/env", "model"]
    assert subjects[1]["digest"] == {
        "sha256": "4" * 64,
        "envparityParityRoot": "5" * 64,
        "envparityStrictDigest": "6" * 64,
    }
    assert subjects[2]["digest"] == {"dirHash": "d0" * 32}
    assert len(statement(report(), model_digest=None, created=CREATED)["subject"]) == 2


def test_a_report_that_cannot_be_signed_says_all_that_is_missing():
    with pytest.raises(attesting.UnattestableError) as caught:
        statement(
            report(train=SideSummary("requirements.txt", "requirements")), model_digest="sha256:0", created="yesterday"
        )
    assert str(caught.value) == (
        "train (requirements.txt) has no parity root: it is of kind requirements, and only environments are attested; "
        "train (requirements.txt) has no strict digest: it is of kind requirements, and only environments are attested; "
        "the model's digest is 'sha256:0' (want dirHash: or sha256: and 64 hexadecimal digits); "
        "the time is 'yesterday' (want it like 2026-01-31T23:59:59Z)"
    )


def test_newer_versions_are_refused_by_name():
    assert refused(changed(predicateType="urn:envparity:parity:v2"), attesting.UnsupportedStatementError) == (
        "s.predicateType: urn:envparity:parity:v2 is newer than this envparity reads (urn:envparity:parity:v1); install a newer one"
    )
    assert refused(changed(_type="https://in-toto.io/Statement/v2"), attesting.UnsupportedStatementError) == (
        "s._type: https://in-toto.io/Statement/v2 is newer than this envparity reads (https://in-toto.io/Statement/v1);"
        " install a newer one"
    )


@pytest.mark.parametrize(
    "found",
    [
        "https://slsa.dev/provenance/v1",
        "urn:envparity:parity:v0",
        "urn:envparity:parity:v1x",
        "urn:envparity:parity:v01",
        "",
        1,
    ],
)
def test_other_predicates_are_refused(found):
    assert refused(changed(predicateType=found)) == (
        f"s.predicateType: want urn:envparity:parity:v1, found {found!r}; that is no statement of envparity attest"
    )


def test_other_statements_are_refused():
    assert refused(changed(_type="https://in-toto.io/Statement/v0.1")).startswith("s._type: want https://in-toto.io/")
    assert refused(b"{}") == (
        "s._type: want https://in-toto.io/Statement/v1, found None; that is no statement of envparity attest"
    )


def test_what_is_missing_is_named_all_at_once():
    document = json.loads(PINNED)
    for key in ("verdict", "passed", "model", "counts"):
        del document["predicate"][key]
    del document["predicate"]["train"]["parity_root"]
    del document["predicate"]["waivers"][0]["owner"]
    assert refused(canonical(document)) == (
        "s.predicate.verdict: missing; s.predicate.passed: missing; s.predicate.train.parity_root: missing; "
        "s.predicate.model: missing; s.predicate.counts: missing; s.predicate.waivers[0].owner: missing"
    )
    assert refused(changed(predicate=None)) == "s.predicate: missing"
    assert refused(changed(subject=None)) == "s.subject: missing"


@pytest.mark.parametrize(
    ("path", "fields", "said"),
    [
        (
            ["predicate"],
            {"verdict": ""},
            "verdict: '' is none of IDENTICAL, EQUIVALENT, COMPATIBLE, NUMERIC, DRIFTED, INCOMPATIBLE",
        ),
        (["predicate"], {"verdict": 0}, "verdict: want text, found a number"),
        (["predicate"], {"passed": 1}, "passed: want true or false, found a number"),
        (["predicate"], {"flags": ["ODD"]}, "flags[0]: 'ODD' is none of INTEGRITY, UNKNOWN"),
        (
            ["predicate"],
            {"flags": [[]]},
            "flags[0]: want text, found a list; s.predicate.flags[0]: '[]' is none of INTEGRITY, UNKNOWN",
        ),
        (["predicate"], {"waivers": [1]}, "waivers[0]: want an object, found a number"),
        (["predicate"], {"coverage": []}, "coverage: want an object, found a list"),
        (["predicate"], {"created": "2026-11-22"}, "created: '2026-11-22' has not the form that it should have"),
        (["predicate"], {"model": "md5:0"}, "model: 'md5:0' has not the form that it should have"),
        (["predicate", "coverage"], {"known": -1}, "coverage.known: want a count, found -1"),
        (["predicate", "coverage"], {"known": True}, "coverage.known: want a number, found true or false"),
        (["predicate", "counts"], {"reachable": "1"}, "counts.reachable: want a number, found text"),
        (
            ["predicate", "serve"],
            {"strict_digest": "5" * 64},
            f"serve.strict_digest: '{'5' * 64}' has not the form that it should have",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_key_path(path, fields, said):
    assert refused(changed(*path, **fields)) == f"s.predicate.{said}"


def test_null_is_said_where_null_may_be():
    document = json.loads(PINNED)
    document["predicate"]["counts"]["reachable"] = None
    assert read(canonical(document)).counts.reachable is None
    document["predicate"]["train"]["parity_root"] = None
    assert refused(canonical(document)) == "s.predicate.train.parity_root: want text, found null"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (["subject", 0, "digest"], {"envparityParityRoot": "0" * 64}),
        (["subject", 1, "digest"], {"envparityStrictDigest": None}),
        (["subject", 1], {"name": "other"}),
        (["subject", 1], {"digest": []}),
        (["subject", 1, "annotations"], {"role": "train"}),
        (["subject", 2], {"annotations": None}),
        (["subject", 2, "digest"], {"dirHash": "0" * 64}),
        (["predicate", "train"], {"snapshot": digest("0")}),
        ([], {"subject": []}),
    ],
)
def test_subjects_that_are_not_those_of_the_predicate(path, fields):
    """Other tools look at the subjects alone: the two must not say different things."""
    assert refused(changed(*path, **fields)) == "s.subject: not what the predicate says of train, serve and model"


def test_a_later_minor_version_may_say_more():
    document = json.loads(PINNED)
    document["more"] = document["predicate"]["more"] = {"x": 1.5}
    document["subject"][0]["digest"]["sha512"] = "0"
    document["subject"][0]["uri"] = "x:y"
    document["predicate"]["policy"]["more"] = None
    assert read(canonical(document)) == read(PINNED)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", PINNED + b"{}", PINNED.replace(b'"passed":true', b'"passed":false,"passed":true')]
)
def test_what_is_no_json_object(payload):
    assert refused(payload).startswith(("s is not JSON as it should be: ", "s: want a JSON object"))
