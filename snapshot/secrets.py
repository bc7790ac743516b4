"""Secrets that environments hold: taken out of what is stored, named in a finding without their value."""

from __future__ import annotations

import posixpath
import re

from snapshot.model import Kind

#: Files that hold nothing but credentials.
SECRET_FILES = frozenset(
    {".netrc", "_netrc", ".pypirc", ".git-credentials", ".env", "id_rsa", "id_ed25519", "id_ecdsa", "credentials.json"}
)
_CONFIGURATION = frozenset({"direct_url.json", "pip.conf", "pip.ini", "uv.toml", ".condarc", "condarc"})
#: What a model was made with, beside it: may name a package index.
_OF_A_MODEL = re.compile(
    r"(?:[\w.-]*requirements[\w.-]*\.(?:txt|lock|in)|(?:conda|python_env)\.ya?ml|pylock[\w.-]*\.toml)\Z"
)

# The user part of a URL, up to the last @ before the path: a password may hold one, and quotes that do not end the text. It
# stays when it only names an environment variable (PEP 610 allows ${NAME}) or is git's own user. JSON may write / as \/.
_USER = re.compile(
    rb"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}:(?:\\?/){2})"
    rb"(?P<user>(?:[^/\\\s\"']|\\[^/\s]|[\"'](?![\s,:;)\]}]))+)@"
)
# What follows a URL's path: tokens of storage services and indexes stand there. It ends with the text, at a fragment, or where the text's
# own quotes end. A URL without one is a match too: otherwise each place within a long text would be a place to begin.
_QUERY = re.compile(
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{0,30}:(?:\\?/){2}[^\s\"'?#\\]*(?:\\/[^\s\"'?#\\]*)*)(?:\?(?P<query>(?:[^\s\"'#\\]|\\[^\s])+))?"
)
_HARMLESS = re.compile(rb"(?:[A-Za-z_]+=)?(?:\$\{[A-Z0-9_]+\}|\*+)\Z")
_VARIABLE = re.compile(rb"(?:\$\{[A-Z0-9_]+\}(?::\$\{[A-Z0-9_]+\})?|git|\*+)\Z")
MASK = b"****"


def is_secret_file(path: str) -> bool:
    """Whether a file is left out by its name. A package's own module of that name is none of them."""
    return posixpath.basename(path) in SECRET_FILES


def may_hold_secrets(path: str, kind: Kind) -> bool:
    """Whether `redact` is applied to the file of a layer of this kind."""
    name = path[path.rfind("/") + 1 :]
    return name in _CONFIGURATION or (kind is Kind.MODEL and bool(_OF_A_MODEL.match(name)))


def redact(data: bytes) -> tuple[bytes, int]:
    """`data` with the user part and the query of every URL masked, and how many there were. A masked text is its own redaction."""
    count = 0

    def mask(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if _VARIABLE.match(match["user"]):
            return match.group()
        count += 1
        return match["scheme"] + MASK + b"@"

    def mask_query(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if match["query"] is None:
            return match.group()
        query = match["query"].rstrip(b",;)]}")  # what follows the URL in a text
        if not query or _HARMLESS.match(query) or _HARMLESS.match(match["query"]):
            return match.group()
        count += 1
        return match["url"] + b"?" + MASK + match["query"][len(query) :]

    while True:
        # Without its query a URL can have a user part that it did not have.
        masked = _QUERY.sub(mask_query, _USER.sub(mask, data))
        if masked == data:
            return data, count
        data = masked
