"""`envparity keygen`, `attest` and `verify-attestation`: files, exit codes, lines for people, JSON."""

from __future__ import annotations

import json
import os
import re
import stat
import sys

import pytest

from diffing import dsse, keys
from diffing.modeldigest import model_digest
from diffing.report import Coverage, SideSummary, Unknown, Waiver
from diffing.verdict import Verdict
from snapshot.digest import Digest
from snapshot.documents import digest_of
from snapshot.serialize import encode_snapshot
from tests.attested import GOLDEN, MODEL, TEST_KEY, TEST_PUB, difference, digest, report

PUB = GOLDEN / "test-key.pem.pub"
ENVELOPE = GOLDEN / "envelope.json"
KEYID = keys.keyid(keys.public_key(TEST_PUB, "test key"))


@pytest.fixture
def trained(store, make, library):
    """Snapshots `churn/3`, and `churn/4` with a file edited."""
    for name, core in (("churn/3", b"1"), ("churn/4", b"edited")):
        described = make.training(core=core)
        library.environments[make.publish(store, described, name).snapshot] = described


@pytest.mark.parametrize(("serve", "code"), [("churn/3", 0), ("churn/4", 1)])
def test_what_is_signed_is_what_diff_says(envparity, trained, key, tmp_path, serve, code):
    out = tmp_path / "proof.json"
    found = envparity.json("diff", "churn/3", serve, code=code)
    envparity("attest", "churn/3", serve, "--key", key, "--output", out, code=code)
    proved = envparity.json("verify-attestation", out, "--key", PUB, "--against", serve, code=code)
    predicate = proved["statement"]["predicate"]
    shared = predicate.keys() & found.keys()
    assert {"verdict", "passed", "flags", "coverage", "train", "serve", "policy", "counts"} <= shared
    assert {name: predicate[name] for name in shared} == {name: found[name] for name in shared}
    assert proved["against"] == {"subject": serve, "parity_root": found["serve"]["parity_root"], "same": True}
    assert proved["ok"] is (code == 0)


def test_a_file_of_requirements_is_no_side(envparity, trained, key, tmp_path):
    (tmp_path / "requirements.txt").write_text("click==8.1.7\n")
    said = envparity.error("attest", tmp_path / "requirements.txt", "churn/3", "--key", key)
    assert "has no parity root: it is of kind requirements, and only environments are attested" in said


def test_keygen(envparity, tmp_path):
    path = tmp_path / "key"
    said = envparity("keygen", path).stdout.splitlines()
    keyid = keys.keyid(keys.read_public(f"{path}.pub"))
    assert said == [
        f"private key  {path}  (keep it safe; it is not encrypted)",
        f"public key   {path}.pub",
        f"keyid        {keyid}",
    ]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert path.read_text() not in "\n".join(said)
    document = envparity.json("keygen", tmp_path / "other")
    assert (document["private"], document["public"]) == (str(tmp_path / "other"), str(tmp_path / "other.pub"))
    assert document["keyid"] == keys.keyid(keys.read_public(document["public"])) != keyid


def test_keygen_replaces_nothing(envparity, tmp_path):
    (tmp_path / "key.pub").write_text("mine")
    said = envparity.error("keygen", tmp_path / "key")
    assert said == f"{tmp_path}/key.pub exists already; a key is never replaced: name another file"
    assert [path.name for path in tmp_path.glob("key*")] == ["key.pub"]
    assert envparity.error("keygen", tmp_path / "no" / "key") == f"{tmp_path}/no/key: No such file or directory"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "test-key.pem"
    path.write_bytes(TEST_KEY)
    return path


@pytest.fixture
def compared(monkeypatch):
    """What the comparison would find, and what it was asked for."""
    found = {"report": report(), "asked": []}

    def report_of(invocation, train, serve, **options):
        found["asked"].append((train, serve, options))
        return found["report"]

    monkeypatch.setattr("registration.commands.attest.report_of", report_of)
    return found


def test_attest_to_standard_output(envparity, compared, key):
    done = envparity("attest", "churn-model/3", "/srv/env", "--key", key)
    statement = json.loads(dsse.verify(done.stdout.encode(), keys.public_key(TEST_PUB, "k")))
    assert statement["predicate"]["verdict"] == "DRIFTED"
    assert statement["predicate"]["model"] is None
    assert compared["asked"] == [("churn-model/3", "/srv/env", {"model": None, "policy": None, "fingerprint": None})]


def test_attest_to_a_file(envparity, compared, key, tmp_path):
    out = tmp_path / "proof.json"
    out.write_text("an older one")
    said = envparity("attest", "a", "b", "--key", key, "--output", out).stdout.splitlines()
    assert said == ["PARITY: PASSED  DRIFTED  UNKNOWN", f"signed by {KEYID}", f"wrote  {out}"]
    payload = dsse.verify(out.read_bytes(), keys.public_key(TEST_PUB, "k"))
    document = envparity.json("attest", "a", "b", "--key", key, "--output", out)
    assert (document["output"], document["keyid"]) == (str(out), KEYID)
    assert document["statement"]["subject"] == json.loads(payload)["subject"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("proof")] == ["proof.json"]


def test_the_model_is_signed_too(envparity, compared, key, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}\n")
    (tmp_path / "policy.toml").write_text("")
    words = ("--model", tmp_path / "model", "--policy", tmp_path / "policy.toml", "--no-fingerprint")
    done = envparity("attest", "a", "b", "--key", key, *words)
    statement = json.loads(dsse.verify(done.stdout.encode(), keys.public_key(TEST_PUB, "k")))
    assert statement["predicate"]["model"] == model_digest(str(tmp_path / "model"))
    options = {"model": str(tmp_path / "model"), "policy": str(tmp_path / "policy.toml"), "fingerprint": False}
    assert compared["asked"] == [("a", "b", options)]


def test_a_failed_check_is_signed_and_exit_code_1(envparity, compared, key, tmp_path):
    compared["report"] = report(passed=False, verdict=Verdict.INCOMPATIBLE)
    out = tmp_path / "proof.json"
    said = envparity("attest", "a", "b", "--key", key, "--output", out, code=1).stdout
    assert said.startswith("PARITY: FAILED  INCOMPATIBLE  UNKNOWN\n")
    said = envparity("verify-attestation", out, "--key", PUB, code=1).stdout
    assert "PARITY: FAILED  INCOMPATIBLE  UNKNOWN\n" in said
    assert envparity.json("verify-attestation", out, "--key", PUB, code=1)["ok"] is False


def test_nothing_is_written_when_nothing_can_be_signed(envparity, compared, key, tmp_path):
    out = tmp_path / "proof.json"
    compared["report"] = report(train=SideSummary("requirements.txt", "requirements"))
    said = envparity.error("attest", "requirements.txt", "b", "--key", key, "--output", out)
    assert said.startswith("train (requirements.txt) has no parity root: it is of kind requirements")
    assert not out.exists()


def test_a_key_that_cannot_sign_is_an_error_before_anything_is_compared(envparity, compared):
    said = envparity.error("attest", "a", "b", "--key", PUB)
    assert said == f"{PUB} is a public key; the private one signs (its file without .pub)"
    assert "does not exist" in envparity.error("attest", "a", "b", "--key", "/nowhere")
    assert "Missing option '--key'" in envparity.error("attest", "a", "b")
    assert compared["asked"] == []


def test_an_output_that_cannot_be_written(envparity, compared, key, tmp_path):
    out = tmp_path / "no" / "proof.json"
    assert "No such file or directory" in envparity.error("attest", "a", "b", "--key", key, "--output", out)


def test_verify(envparity):
    said = envparity("verify-attestation", ENVELOPE, "--key", PUB).stdout
    assert said == (
        f"signed by {KEYID}\n"
        "PARITY: PASSED  DRIFTED  UNKNOWN\n"
        f"policy strict.toml: max NUMERIC, no INTEGRITY  ({digest('7')[:19]})\n"
        "train  churn-model/3\n"
        f"       {digest('2')}\n"
        "serve  /srv/env\n"
        f"       {digest('5')}\n"
        f"model  {MODEL}\n"
        "coverage 98% (not compared: GPU driver)\n"
        "waived packaging (distribution-version, DRIFTED)\n"
        "       by me@example.org until 2027-01-31: tried and harmless\n"
        "created 2026-11-22T18:00:00Z by envparity 0.1.0, rules 1.0\n"
    )
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_long_reasons_are_folded_and_not_cut(envparity, compared, key, tmp_path):
    reason = " ".join(f"reason{number}" for number in range(30))
    waived = difference("packaging", Verdict.DRIFTED, Waiver("me", reason, "2027-01-31"))
    unknown = tuple(Unknown(f"an aspect {number}", "both", "") for number in range(20))
    compared["report"] = report(differences=(waived,), coverage=Coverage(80, 100, unknown))
    envparity("attest", "a", "b", "--key", key, "--output", tmp_path / "proof.json")
    said = envparity("verify-attestation", tmp_path / "proof.json", "--key", PUB).stdout
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert reason in " ".join(said.split())
    assert "an aspect 19)" in " ".join(said.split())


def test_verify_opens_no_store(envparity):
    envparity("verify-attestation", ENVELOPE, "--key", PUB)
    assert not envparity.store_path.exists()


def test_verify_as_json_has_the_statement(envparity):
    document = envparity.json("verify-attestation", ENVELOPE, "--key", PUB)
    assert document == {
        "ok": True,
        "keyid": KEYID,
        "statement": json.loads((GOLDEN / "statement.json").read_bytes()),
    }


def test_texts_cannot_play_with_the_terminal(envparity, compared, key, tmp_path):
    odd = "\x1b[2J\n"
    compared["report"] = report(
        train=SideSummary(f"{odd}\udcff", "environment", None, digest("2"), digest("3")),
        rules_version=odd,
        coverage=Coverage(1, 2, (Unknown(odd, "both", odd),)),
    )
    out = tmp_path / "proof.json"
    envparity("attest", "a", "b", "--key", key, "--output", out)
    said = envparity("verify-attestation", out, "--key", PUB).stdout
    assert "\x1b" not in said
    assert "train  \\x1b[2J\\n\\xff\n" in said


def test_a_changed_envelope_is_one_line(envparity, tmp_path):
    changed = tmp_path / "changed.json"
    document = json.loads(ENVELOPE.read_bytes())
    document["payload"] = document["payload"].replace("J", "K", 1)
    changed.write_text(json.dumps(document))
    for words in ((), ("--json",)):
        said = envparity.error("verify-attestation", changed, "--key", PUB, *words)
        assert said == (
            f"{changed} was changed after it was signed, or the signature was: it does not fit the key {KEYID[:12]}"
        )


def test_another_key_is_one_line(envparity, tmp_path):
    envparity("keygen", tmp_path / "other")
    said = envparity.error("verify-attestation", ENVELOPE, "--key", tmp_path / "other.pub")
    assert said.startswith(f"{ENVELOPE} is not signed with the key ")
    said = envparity.error("verify-attestation", ENVELOPE, "--key", tmp_path / "other")
    assert "is a private key; the public one checks" in said


def test_what_is_no_attestation_is_one_line(envparity, key, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"not JSON")
    assert envparity.error("verify-attestation", path, "--key", PUB).startswith(f"{path} is not JSON as it should be")
    path.write_bytes(dsse.sign(b'{"_type":"https://in-toto.io/Statement/v1"}', keys.read_private(str(key))))
    assert envparity.error("verify-attestation", path, "--key", PUB) == (
        f"{path}.predicateType: want urn:envparity:parity:v1, found None; that is no statement of envparity attest"
    )
    with path.open("wb") as opened:
        opened.truncate(1 << 40)  # not read whole
    assert "has over 4,194,304 bytes" in envparity.error("verify-attestation", path, "--key", PUB)


def test_without_the_extra_the_error_names_it(envparity, compared, key, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for words in (
        ("keygen", tmp_path / "new"),
        ("attest", "a", "b", "--key", key),
        ("verify-attestation", ENVELOPE, "--key", PUB),
    ):
        assert envparity.error(*words).endswith("pip install 'envparity[signing]'")


@pytest.fixture
def proof_of(envparity, compared, key, tmp_path):
    """Signs that some description was what served."""

    def make(described):
        root = described.snapshot.parity_root
        compared["report"] = report(serve=SideSummary("serve", "environment", None, root, Digest(digest("6"))))
        envparity("attest", "a", "b", "--key", key, "--output", tmp_path / "proof.json")
        return tmp_path / "proof.json"

    return make


def test_against_the_same_environment(envparity, library, make, store, environment, proof_of):
    described = make.training()
    proof = proof_of(described)
    library.environments["live"] = described
    said = envparity("verify-attestation", proof, "--key", PUB, "--against", "live").stdout
    assert said.endswith("same: live has the parity root that was signed\n")
    reference = make.publish(store, described, "churn/3")
    library.environments[reference.snapshot] = described
    document = envparity.json("verify-attestation", proof, "--key", PUB, "--against", "churn/3")
    assert document["ok"] is True
    assert document["against"] == {
        "subject": "churn/3",
        "parity_root": described.snapshot.parity_root,
        "same": True,
    }


def test_against_another_environment_names_both_roots(envparity, library, make, environment, proof_of):
    signed, found = make.training(), make.training(core=b"edited")
    proof = proof_of(signed)
    library.environments["live"] = found
    said = envparity("verify-attestation", proof, "--key", PUB, "--against", "live", code=1).stdout
    assert said.endswith(
        "differs: live is not the environment that was signed\n"
        f"signed {signed.snapshot.parity_root}\n"
        f"found  {found.snapshot.parity_root}\n"
    )
    document = envparity.json("verify-attestation", proof, "--key", PUB, "--against", "live", code=1)
    assert (document["ok"], document["against"]["same"]) == (False, False)


def test_against_nothing_is_an_error(envparity):
    said = envparity.error("verify-attestation", ENVELOPE, "--key", PUB, "--against", "nowhere")
    assert "nor is there a directory nowhere" in said


def test_a_bad_signature_ends_it_before_the_environment_is_read(envparity, library, environment, tmp_path):
    envparity("keygen", tmp_path / "other")
    envparity.error("verify-attestation", ENVELOPE, "--key", tmp_path / "other.pub", "--against", "live")
    assert library.calls == []


@pytest.mark.parametrize("command", [(), ("attest",), ("verify-attestation",)])
def test_help_has_a_line_for_each_exit_code(envparity, command):
    said = envparity(*command, "--help").stdout
    assert re.search(r"^  Exit codes: 0 .*$", said, re.MULTILINE)
    assert "\\b" not in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_exit_codes_stand_below_each_other(envparity):
    said = envparity("verify-attestation", "--help").stdout
    for code in (1, 2):
        assert re.search(rf"^ +{code} \w", said, re.MULTILINE)


def test_a_proof_rests_on_every_byte(envparity, trained, library, environment, key, make, tmp_path):
    """What is signed, and what is held against it, is never taken from the cache; the statement has the snapshot's id."""
    library.environments["live"] = described = make.training()
    out = tmp_path / "proof.json"
    envparity("attest", "churn/3", "live", "--key", key, "--output", out)
    proved = envparity.json("verify-attestation", out, "--key", PUB, "--against", "live")
    asked = [call[2] for call in library.calls if call[0] == "describe"]
    assert [(each.get("cache"), each["identify"]) for each in asked] == [(None, True), (None, False)]
    digest = proved["statement"]["subject"][1]["digest"]
    assert digest["sha256"] == digest_of(encode_snapshot(described.snapshot)).hex
