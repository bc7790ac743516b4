"""The difference as JSON."""

from __future__ import annotations

import json

from diffing import compare
from diffing.document import as_document
from diffing.testing import description, file, layer, link
from snapshot.model import Kind


def test_everything_is_in_the_document():
    one = description(
        [
            layer(Kind.DISTRIBUTION, "click", "8.1.7", [file("click.py", b"1")]),
            layer(Kind.UNOWNED, "unowned", None, [link("here", "there")]),
        ]
    )
    other = description([layer(Kind.DISTRIBUTION, "click", "8.1.8", [file("click.py", b"22")])], version="3.11.9")
    diff = compare(one, other)
    document = as_document(diff)
    assert json.loads(json.dumps(document)) == {
        "equal": False,
        "parity_roots": {"before": one.snapshot.parity_root, "after": other.snapshot.parity_root},
        "facts": [{"name": "interpreter.version", "before": "3.11.7", "after": "3.11.9"}],
        "distributions": [
            {
                "name": "click",
                "change": "changed",
                "before": "8.1.7",
                "after": "8.1.8",
                "files": {"added": 0, "removed": 0, "changed": 1},
            }
        ],
        "files": [
            {
                "path": "click.py",
                "change": "changed",
                "what": ["content"],
                "before": {
                    "path": "click.py",
                    "owner": "click 8.1.7",
                    "type": "file",
                    "executable": False,
                    "content": diff.files[0].before.content,
                    "size": 1,
                },
                "after": {
                    "path": "click.py",
                    "owner": "click 8.1.8",
                    "type": "file",
                    "executable": False,
                    "content": diff.files[0].after.content,
                    "size": 2,
                },
            },
            {
                "path": "here",
                "change": "removed",
                "what": [],
                "before": {
                    "path": "here",
                    "owner": "unowned",
                    "type": "link",
                    "executable": False,
                    "content": "there",
                    "size": 0,
                },
                "after": None,
            },
        ],
    }
