"""docs/attestation.md: what it tells an auditor to run does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from diffing import attesting, dsse, keys
from diffing.modeldigest import model_digest
from snapshot.documents import canonical
from tests.attested import CREATED, GOLDEN, TEST_KEY, TEST_PUB, report

PAGE = (Path(__file__).parents[2] / "docs" / "attestation.md").read_text()
DIGEST, CHECK, KEYID = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def sh(script, directory):
    return subprocess.run(["sh", "-c", script], cwd=directory, check=False, capture_output=True, text=True)


@pytest.fixture
def desk(tmp_path):
    """What the auditor has."""
    shutil.copy(GOLDEN / "envelope.json", tmp_path / "proof.json")
    (tmp_path / "key.pub").write_bytes(TEST_PUB)
    return tmp_path


def test_openssl_alone_verifies(desk):
    done = sh(CHECK, desk)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Signature Verified Successfully\n", "")
    assert (desk / "statement.json").read_bytes() == (GOLDEN / "statement.json").read_bytes()


def test_openssl_alone_verifies_a_large_one(desk):
    made = report(rules_version="1" * 200_000)
    payload = canonical(attesting.statement(made, model_digest=None, created=CREATED))
    (desk / "proof.json").write_bytes(dsse.sign(payload, keys.private_key(TEST_KEY, "k")))
    assert sh(CHECK, desk).returncode == 0


def test_openssl_alone_finds_a_change(desk):
    document = json.loads((desk / "proof.json").read_bytes())
    document["payload"] = document["payload"].replace("J", "K", 1)
    (desk / "proof.json").write_bytes(canonical(document))
    assert sh(CHECK, desk).returncode != 0
    shutil.copy(GOLDEN / "envelope.json", desk / "proof.json")
    (desk / "key.pub").write_bytes(keys.generate()[1])
    assert sh(CHECK, desk).returncode != 0


def test_the_name_of_the_key(desk):
    assert sh(KEYID, desk).stdout.split()[-1] == keys.keyid(keys.public_key(TEST_PUB, "k"))


def test_the_digest_of_a_model(desk):
    (desk / "data").mkdir()
    (desk / "data" / "a name").write_text("x")
    assert f"dirHash:{sh(DIGEST, desk).stdout.strip()}" == model_digest(str(desk))


def test_every_field_of_the_predicate_is_described():
    statement = json.loads((GOLDEN / "statement.json").read_bytes())
    for key, value in statement["predicate"].items():
        assert f"`{key}`" in PAGE
        for inner in value if isinstance(value, dict) else {}:
            assert f"`{inner}`" in PAGE
    for key in statement["subject"][0]["digest"]:
        assert f"`{key}`" in PAGE
    assert f"`{attesting.PREDICATE_TYPE}`" in PAGE
