"""Location-dependent files and links at a destination."""

from __future__ import annotations

import base64
import csv
import io
import os
from hashlib import sha256

import pytest

from snapshot.documents import digest_of
from snapshot.flattening import blueprint_of
from snapshot.model import Environment, Kind
from snapshot.rendering import DestinationNameError, Rendering
from snapshot.serialize import decode_tree
from tests.building import ENVIRONMENT, INTERPRETER, built, file, link, snapshot_of

RECORD = b'../../bin/tool,\nplain.py,sha256=abc,3\n"../../bin/a,b",\nx.dist-info/RECORD,,\n'
SOURCES = (("app", ".envparity/src/app"),)


def rendering(destination, *rows, base=None, environment=ENVIRONMENT, mount="", kind=Kind.UNOWNED):
    part = built(*rows, kind=kind, mount=mount, name="app" if kind is Kind.SOURCE else None)
    snapshot = snapshot_of([part.layer], INTERPRETER, environment)
    made = blueprint_of(digest_of(b"x"), snapshot, {part.layer.tree: decode_tree(part.tree)})
    content = {entry.path: data for entry, data in rows}
    return Rendering(made, destination, base), lambda template: content[template.inner]


def files(destination, *rows, **how):
    made, read = rendering(destination, *rows, **how)
    return {template.path: data for template, data in made.files(read)}


@pytest.mark.parametrize(
    "destination", ["/d", "/a/much/longer/directory/than/it/was/captured/in", "/with a space", "/é"]
)
def test_each_token_becomes_its_directory(destination):
    environment = Environment("venv", ".envparity/python", "none", False, SOURCES)
    data = b"p=\nb=\ns=\nu=file://\n"
    at = ((2, "prefix"), (5, "base"), (8, "source:app"), (18, "prefix+url"))
    (made,) = files(destination, file("x", data, at=at), environment=environment).values()
    quoted = destination.replace(" ", "%20").replace("é", "%C3%A9")
    assert made.decode() == (
        f"p={destination}\nb={destination}/.envparity/python\ns={destination}/.envparity/src/app\nu=file://{quoted}\n"
    )


def test_a_base_of_the_host():
    assert files("/d", file("x", b"\n", at=((0, "base"),)), base="/usr") == {"x": b"/usr\n"}


def test_the_base_of_an_interpreters_own_prefix_is_the_prefix():
    environment = Environment("base", "", "none", False)
    assert files("/d", file("x", b"\n", at=((0, "base"),)), environment=environment) == {"x": b"/d\n"}


def test_a_record_is_true_of_what_was_written():
    def offset(text):
        return RECORD.index(text) + len(text)

    tool, odd = b"#!/bin/python\nprint()\n", b"#!/bin/python\n"
    first, second = offset(b"../../bin/tool,"), offset(b'a,b",')
    at = ((first, "record:bin/tool"), (second, "record:bin/a,b"))
    rows = [
        file("lib/site/x.dist-info/RECORD", RECORD.replace(b"bin/tool,", b"bin/tool,"), at=at),
        file("bin/tool", tool, 0o755, at=((2, "prefix"),)),
        file("bin/a,b", odd, 0o755, at=((2, "prefix"),)),
    ]
    made = files("/some/place", *rows)
    assert list(made)[-1] == "lib/site/x.dist-info/RECORD"
    listed = {row[0]: row[1:] for row in csv.reader(io.StringIO(made["lib/site/x.dist-info/RECORD"].decode()))}
    for path in ("bin/tool", "bin/a,b"):
        digest = base64.urlsafe_b64encode(sha256(made[path]).digest()).rstrip(b"=").decode()
        assert listed[f"../../{path}"] == [f"sha256={digest}", str(len(made[path]))]
    assert listed["plain.py"] == ["sha256=abc", "3"]


def test_a_record_below_a_mount_names_files_of_its_own_mount():
    environment = Environment("venv", ".envparity/python", "none", False, SOURCES)
    rows = [file("x.egg-info/RECORD", b"tool,\n", at=((5, "record:tool"),)), file("tool", b"#!\n", at=((2, "prefix"),))]
    made = files("/d", *rows, environment=environment, mount=SOURCES[0][1], kind=Kind.SOURCE)
    assert made[".envparity/src/app/x.egg-info/RECORD"].startswith(b"tool,sha256=")


@pytest.mark.parametrize(
    "destination", ["/a'b", '/a"b', "/a\nb", "/a\rb", "/a$b", "/a`b", "/a\\b", "/a:b", "/a\tb", "/a\x1bb", "/a\udcffb"]
)
def test_a_destination_that_cannot_stand_in_scripts(destination):
    with pytest.raises(DestinationNameError) as caught:
        rendering(destination, file("a"))
    assert repr(destination) in str(caught.value)
    assert str(caught.value).endswith("choose another destination")


def links(destination, *rows, base=None, environment=ENVIRONMENT):
    made, _ = rendering(destination, *rows, base=base, environment=environment)
    return dict(made.links())


def test_links_into_the_destination_are_relative():
    rows = [
        link("bin/python3", "/bin/python3.11", at=((0, "base"),)),
        link("bin/python", "python3"),
        link("lib/deep/x", "/lib", at=((0, "prefix"),)),
        link("top", "", at=((0, "prefix"),)),
        link("out", "/etc", outside=True),
    ]
    assert links("/d/env", *rows) == {
        "bin/python3": "../.envparity/python/bin/python3.11",
        "bin/python": "python3",
        "lib/deep/x": "..",
        "top": ".",
        "out": "/etc",
    }


def test_links_into_a_base_of_the_host_are_absolute():
    row = link("bin/python3", "/bin/python3.11", at=((0, "base"),))
    assert links("/d/env", row, base="/opt/host") == {"bin/python3": "/opt/host/bin/python3.11"}


@pytest.mark.parametrize("path", ["bin/python", "a/b/c/d", "x"])
def test_a_relative_link_leads_to_what_it_was_made_of(path):
    (target,) = links("/d/env", link(path, "/lib/x", at=((0, "base"),))).values()
    joined = os.path.normpath(os.path.join("/d/env", os.path.dirname(path), target))
    assert joined == "/d/env/.envparity/python/lib/x"
