"""What is masked, and what must stay."""

from __future__ import annotations

import json

import pytest

from snapshot.model import Kind
from snapshot.secrets import is_secret_file, may_hold_secrets, redact


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (b"https://user:secret@host/x", b"https://****@host/x"),
        (b"https://secret@host", b"https://****@host"),
        (b"git+https://user:secret@host/x.git@v1#egg=x", b"git+https://****@host/x.git@v1#egg=x"),
        (b"postgresql+psycopg2://u:secret@h:5432/db", b"postgresql+psycopg2://****@h:5432/db"),
        (b"https://u:se@cret@host", b"https://****@host"),
        (b"https://u:se'cret@host", b"https://****@host"),
        (b'https://u:se"cret@host', b"https://****@host"),
        (b"https://u:se\\cret@host", b"https://****@host"),
        (b"https://u:s\xc3\xa9cret\xff@host", b"https://****@host"),
        (b"https://u:se%40cret@host", b"https://****@host"),
        (b"https://u:se?c#ret@host", b"https://****@host"),
        (b"https://git:secret@host", b"https://****@host"),
        (b"https://${USER}:secret@host", b"https://****@host"),
        (b"https://user:${PASSWORD}@host", b"https://****@host"),
        (b"https://u:secret@a https://u:secret@b", b"https://****@a https://****@b"),
        (b"'https://u:secret@a','https://u:secret@b'", b"'https://****@a','https://****@b'"),
        (b'"https:\\/\\/u:secret@host\\/x"', b'"https:\\/\\/****@host\\/x"'),
        (b"HTTPS://U:secret@HOST", b"HTTPS://****@HOST"),
        (b"https://host/x.whl?sig=secret&se=2026", b"https://host/x.whl?****"),
        (b"x @ https://host/x.whl?sig=secret#sha256=ab", b"x @ https://host/x.whl?****#sha256=ab"),
        (b"https://u:secret@host/x?token=secret", b"https://****@host/x?****"),
        (b'{"url": "https:\\/\\/host\\/x?a=se\\/cret", "b": 1}', b'{"url": "https:\\/\\/host\\/x?****", "b": 1}'),
        (b"pip: [https://host/x?t=secret, numpy]", b"pip: [https://host/x?****, numpy]"),
        (b"(see https://host/x?t=secret)", b"(see https://host/x?****)"),
        (b"a = 'https://host?secret', 'https://host/?x=secret'", b"a = 'https://host?****', 'https://host/?****'"),
        (b"index-url = https://u:secret@host/simple\nextra = x", b"index-url = https://****@host/simple\nextra = x"),
    ],
)
def test_credentials_are_masked(text, masked):
    found, count = redact(text)
    assert found == masked
    assert count == masked.count(b"****")
    assert b"cret" not in found
    assert redact(found) == (found, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"https://host/x",
        b"https://host/path@v1",
        b"https://host/a/b@c.d",
        b"ssh://git@github.com/a/b",
        b"git+ssh://git@github.com/a/b.git@main",
        b"https://${USER}:${PASSWORD}@host",
        b"https://${TOKEN}@host",
        b"https://****@host",
        b"https://host/x?token=${TOKEN}",
        b"https://host/x?****#sha256=ab",
        b"is it https://host/x? yes, https://host?",
        b"someone@example.org",
        b"see https://host, or mail someone@example.org",
        b'{"url":"https://host","mail":"a@b"}',
        b"{'url':'https://host','mail':'a@b'}",
        b'["https://host/x","a@b"]',
        b"file:///opt/a@b",
        b"C://",
    ],
)
def test_what_is_no_credential_stays(text):
    assert redact(text) == (text, 0)


def test_a_masked_direct_url_is_still_json():
    document = {"url": 'https://me:p@ss"w\\ord@host/x.git', "vcs_info": {"vcs": "git", "commit_id": "a" * 40}}
    masked, count = redact(json.dumps(document).encode())
    assert count == 1
    assert json.loads(masked) == {**document, "url": "https://****@host/x.git"}


@pytest.mark.parametrize("path", [".netrc", "home/.pypirc", "a/.env", "a/credentials.json", "x/id_rsa"])
def test_files_of_credentials(path):
    assert is_secret_file(path)


@pytest.mark.parametrize("path", ["netrc.py", "a/.environ", ".env/x", "id_rsa.pub", "credentials.py"])
def test_files_that_are_none(path):
    assert not is_secret_file(path)


@pytest.mark.parametrize(("path", "may"), [("pip.conf", True), ("x/direct_url.json", True), ("x/METADATA", False)])
def test_files_that_may_hold_them(path, may):
    assert may_hold_secrets(path, Kind.DISTRIBUTION) is may


def test_what_has_a_user_part_without_its_query():
    found, _ = redact(b"https://host?x=secret/b#c@d")
    assert found == b"https://****@d"
    assert redact(found) == (found, 0)


@pytest.mark.parametrize(
    "text", [b"a://" * 50_000, b"a://x?" * 50_000, b"https://h" + b"\\/" * 100_000, b"a://h?" + b",)" * 100_000]
)
def test_a_text_that_is_made_to_take_long(text):
    """Each byte is looked at a few times, however the URLs in it begin and never end."""
    found, _ = redact(text)
    assert redact(found) == (found, 0)
