"""Laws of redaction: no password is left, nothing else is touched, and it is done once."""

from __future__ import annotations

import json
import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapshot.secrets import redact

law = settings(deadline=None)

# What may stand in a URL's user part by any tool's reading; a quote before a comma ends the text it stands in.
PASSWORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"), exclude_characters="/\\"),
    min_size=6,
    max_size=20,
).filter(lambda text: not re.search(r"""["'][\s,:;)\]}]|["']$|\s""", text))
SCHEMES = st.sampled_from(["https://", "git+https://", "HTTP://", "postgresql+psycopg2://", "ssh://"])
HOSTS = st.sampled_from(["host", "host:8080/simple", "example.org/a@b/c.git@v1", "10.0.0.1"])


def urls(password):
    return st.builds(
        lambda scheme, user, host: f"{scheme}{user}{password}@{host}", SCHEMES, st.sampled_from(["", "me:"]), HOSTS
    )


@law
@given(
    PASSWORDS.flatmap(lambda password: st.tuples(st.just(password), urls(password))),
    st.sampled_from(["", "\n", " ", "x = "]),
)
def test_no_password_is_left(pair, before):
    password, url = pair
    assume(password.strip("*") and password != "git")
    masked, count = redact((before + url + "\nrest").encode())
    assert count == 1
    assert password.encode() not in masked
    assert masked.startswith(before.encode() + url.partition("://")[0].encode() + b"://****@")
    assert masked.endswith(url.rpartition(password)[2].encode() + b"\nrest")


@law
@given(PASSWORDS.filter(lambda password: password.strip("*")).flatmap(urls))
def test_no_password_is_left_in_json(url):
    document = {"url": url, "vcs_info": {"vcs": "git"}, "mail": "someone@example.org"}
    for ascii_only in (True, False):
        masked, count = redact(json.dumps(document, ensure_ascii=ascii_only, separators=(",", ":")).encode())
        assert count == 1
        found = json.loads(masked)
        assert found["url"].startswith(url.partition("://")[0] + "://****@")
        assert (found["vcs_info"], found["mail"]) == (document["vcs_info"], document["mail"])


@law
@given(st.binary(max_size=60) | st.text("htps:/@ab'\"\\ \n${}*,", max_size=60).map(str.encode))
def test_once_is_enough(data):
    masked, count = redact(data)
    assert redact(masked) == (masked, 0)
    assert (count == 0) == (masked == data)


@law
@given(st.lists(st.sampled_from([b"https://host/x", b"a@b", b"git@host", b" ", b"\n", b"://", b"x"]), max_size=8))
def test_what_has_no_user_is_not_touched(pieces):
    data = b" ".join(pieces)
    assert redact(data) == (data, 0)
