"""The JSON document: what it refuses, and with which words."""

from __future__ import annotations

import json

import pytest

from diffing import DiffError
from diffing.rendering import document

from .samples import DRIFTED, EQUIVALENT

#: The keys of one report, in order: programs rely on them.
KEYS = [
    "schema",
    "verdict",
    "passed",
    "flags",
    "coverage",
    "train",
    "serve",
    "policy",
    "rules_version",
    "counts",
    "differences",
    "normalised",
    "shares",
    "fix",
]


def changed(**keys):
    return {**document.encode(DRIFTED), **keys}


def refused(value):
    with pytest.raises(document.DocumentError) as caught:
        document.decode_all(value)
    assert isinstance(caught.value, DiffError)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def test_the_keys_of_a_report():
    found = document.encode(DRIFTED)
    assert list(found) == KEYS
    named = {"rule", "severity", "subject", "path", "train", "serve", "reason", "reachable", "waived"}
    assert all(named <= set(each) for each in found["differences"])


def test_several_reports_stand_below_their_baseline():
    found = document.encode_all([DRIFTED, EQUIVALENT])
    assert list(found) == ["schema", "baseline", "reports"]
    assert found["baseline"]["label"] == "churn-model/3"
    assert found["reports"][1] == document.encode(EQUIVALENT)


def test_no_report_is_no_document():
    with pytest.raises(document.DocumentError, match="a document needs a report"):
        document.render([])


def test_a_newer_minor_version_with_more_keys_is_read():
    value = changed(schema="1.7", mood="good")
    value["differences"][0]["colour"] = "red"
    assert document.decode(value) == DRIFTED


@pytest.mark.parametrize("version", ["2.0", "0.9", "11.0"])
def test_another_major_version_is_refused(version):
    assert refused(changed(schema=version)) == (
        f"report.schema: version {version} is not one that this envparity reads (1.0); use one that fits"
    )


def test_another_major_version_among_several_is_refused():
    value = document.encode_all([DRIFTED, EQUIVALENT])
    value["reports"][1]["schema"] = "2.0"
    assert refused(value).startswith("report.reports[1].schema: version 2.0 is not one")


@pytest.mark.parametrize("version", ["1", "", "1.x", "one", "1.0\n"])
def test_what_is_no_version_is_refused(version):
    assert refused(changed(schema=version)) == f"report.schema: want a version such as 1.0, found {version!r}"


def test_what_is_damaged_is_named_by_its_key_path():
    value = changed()
    value["differences"][2]["severity"] = "AWFUL"
    assert refused(value) == (
        "report.differences[2].severity: want one of IDENTICAL, EQUIVALENT, COMPATIBLE, NUMERIC, DRIFTED, INCOMPATIBLE, "
        "found 'AWFUL'"
    )
    value["differences"][2] = 7
    assert refused(value) == "report.differences[2]: want an object, found int"
    assert refused(changed(flags=["INTEGRITY", "LUCK"])) == (
        "report.flags[1]: want one of INTEGRITY, UNKNOWN, found 'LUCK'"
    )
    assert refused(changed(passed="yes")) == "report.passed: want bool, found str"
    assert refused(changed(fix={"command": "x", "summary": "y", "pins": [1]})) == (
        "report.fix.pins[0]: want str, found int"
    )
    del value["serve"]
    assert refused({**value, "differences": []}) == "report.serve: missing"
    assert refused([]) == "report: want an object, found list"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the report is not JSON: "),
        (b"{", "the report is not JSON: "),
        (b"\xff", "the report is not JSON: "),
        (b"[" * 100_000, "the report is not JSON: "),
        (b"null", "report: want an object, found NoneType"),
        (b'{"schema": "1.0", "baseline": {}, "reports": []}', "report.baseline.label: missing"),
    ],
)
def test_what_is_no_document_is_refused(data, message):
    with pytest.raises(document.DocumentError) as caught:
        document.read(data)
    assert str(caught.value).startswith(message)


def test_a_fleet_of_none_is_refused():
    value = {**document.encode_all([DRIFTED, EQUIVALENT]), "reports": []}
    assert refused(value) == "report.reports: want one report or more, found none"


def test_a_count_beyond_all_bounds_is_refused():
    value = json.loads(document.render([DRIFTED]))
    value["counts"]["harmless"] = 10**30
    assert refused(value).startswith("report.counts.harmless: want a count, found 1000")
