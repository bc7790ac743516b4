"""What the laws of `snapshot` are tried on: names of files, entries, trees, places."""

from __future__ import annotations

import string
from hashlib import sha256

from hypothesis import strategies as st

from snapshot.model import Entry
from snapshot.scan import decode, encode

#: File names as the system has them: any bytes but `/` and NUL. Many of few letters, so that directories are shared.
_NAME_BYTES = st.one_of(
    st.sampled_from(
        [b"a", b"b", b"lib", b"x.py", b"x", b"\n", b"\xff", "é".encode(), b"a b", b"...", b"-", b"=", b" "]
    ),
    st.binary(min_size=1, max_size=6).map(lambda data: data.replace(b"/", b"_").replace(b"\0", b"0")),
    st.integers(90, 255).map(lambda size: b"n" * size),
).filter(lambda name: name not in {b".", b".."})
NAMES = _NAME_BYTES.map(decode)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
TARGETS = st.one_of(
    st.binary(max_size=6).map(lambda data: decode(data.replace(b"\0", b"/"))),
    st.integers(95, 300).map(lambda size: "t" * size),
    PATHS,
)
CONTENTS = st.one_of(st.binary(max_size=40), st.integers(500, 1100).map(lambda size: b"c" * size))
TOKENS = st.sampled_from(["prefix", "base", "source:x", "prefix+url", "record:bin/x"])
RULES = st.sampled_from([(None, None), (None, None), ("record", None), ("console-script", "e" * 64)])


@st.composite
def substitutions(draw, room):
    offsets = sorted(draw(st.lists(st.integers(0, room), max_size=3)))
    return tuple((offset, draw(TOKENS)) for offset in offsets)


@st.composite
def entries(draw, path, content=None):
    kind = draw(st.sampled_from("fffld"))
    if kind == "d":
        return Entry(path, "d", draw(st.sampled_from([0o755, 0o555])))
    if kind == "l":
        target = draw(TARGETS)
        at = draw(st.sampled_from([(), (), ((0, "prefix"),)]))
        rule = draw(st.sampled_from([None, None, "venv-link"]))
        return Entry(path, "l", target=target, at=at, rule=rule, outside=draw(st.booleans()))
    data = draw(CONTENTS) if content is None else content
    rule, counts_as = draw(RULES)
    return Entry(
        path,
        "f",
        draw(st.sampled_from([0o644, 0o755, 0o444, 0o555])),
        len(data),
        sha256(data).hexdigest(),
        at=draw(substitutions(len(data))),
        rule=rule,
        counts_as=counts_as,
    )


def in_order(rows):
    """As a tree has them: each path once, sorted by its bytes."""
    return tuple(sorted({entry.path: entry for entry in rows}.values(), key=lambda entry: encode(entry.path)))


TREES = st.lists(PATHS.flatmap(entries), max_size=8).map(in_order)


@st.composite
def stored_files(draw):
    """Entries with the bytes of each file: what a layer's tar is made of. No entry lies below a file or link."""
    rows = {}
    for path in draw(st.lists(PATHS, max_size=6)):
        data = draw(CONTENTS)
        entry = draw(entries(path, data))
        rows[path] = (entry, data if entry.type == "f" else b"")
    leaves = {path for path, (entry, _) in rows.items() if entry.type != "d"}
    kept = {path: row for path, row in rows.items() if not any(path.startswith(leaf + "/") for leaf in leaves)}
    return [kept[path] for path in sorted(kept, key=encode)]


#: Directories that can be taken for an environment's wherever their name stands, in characters that no URL quotes.
_WORDS = st.text(string.ascii_lowercase + string.digits, min_size=3, max_size=9)
DIRECTORIES = st.lists(_WORDS, min_size=2, max_size=5).map(lambda names: "/" + "/".join(names))
#: What may stand before and after a path in a text so that the path ends there.
BEFORE = st.sampled_from([b"", b" ", b"=", b'"', b"'", b":", b"\n", b"(", b"file://", b"-I", b"-L", b"\0", b"\xff"])
AFTER = st.sampled_from([b"", b" ", b"/bin/python", b"/", b'"', b"'", b":", b"\n", b")", b",", b"\0", b"\xff", b"\r\n"])
