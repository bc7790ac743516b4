"""Key paths of errors, and what each reader refuses. The laws are in tests/property."""

from __future__ import annotations

import json

import pytest

from snapshot.digest import Digest, InvalidDigestError
from snapshot.documents import FormatError, Reader, UnsupportedSchemaError, canonical, digest_of, parse
from snapshot.model import Entry, Finding, Kind, Layer, Record
from snapshot.serialize import (
    check_path,
    decode_layer,
    decode_record,
    decode_tree,
    encode_layer,
    encode_record,
    encode_tree,
)
from tests.building import built, file

EMPTY = digest_of(b"").hex


def test_canonical_json_is_ascii_with_sorted_keys_and_no_space():
    assert canonical({"b": [1, None, True], "a": "é\udcff\n"}) == b'{"a":"\\u00e9\\udcff\\n","b":[1,null,true]}'


def test_a_tree_as_it_is_written():
    tree = (
        Entry("bin/tool", "f", 0o755, 3, EMPTY, at=((2, "prefix"),), rule="console-script", counts_as="ab" * 32),
        Entry("hollow", "d", 0o555),
        Entry("lib64", "l", target="lib", rule="venv-link"),
        Entry("out", "l", target="/etc", outside=True),
    )
    assert encode_tree(tree) == (
        b'{"entries":[["bin/tool","f",493,3,"%s",{"as":"%s","at":[[2,"prefix"]],"rule":"console-script"}],'
        b'["hollow","d",365],["lib64","l","lib",{"rule":"venv-link"}],["out","l","/etc",{"outside":true}]],"schema":1}'
    ) % (EMPTY.encode(), b"ab" * 32)


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "a" * 64, "sha256:" + "a" * 65]
)
def test_a_digest_is_refused_with_what_it_should_be(text):
    with pytest.raises(InvalidDigestError) as caught:
        Digest(text)
    assert str(caught.value) == f"not a digest: {text!r} (want sha256: and 64 hexadecimal digits)"


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", "..a", "a..", "-", " ", "\n", "é", "\udcff", ".hidden/x", "~", "$HOME"]
)
def test_paths_that_are_safe(path):
    assert check_path(path, "here") is path


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "./a", "a/./b", "\0", "a\0/b"]
)
def test_paths_that_are_not(path):
    with pytest.raises(FormatError) as caught:
        check_path(path, "here")
    assert str(caught.value) == f"here: unsafe path {path!r} (absolute, empty or with '.' or '..')"


def test_only_a_mount_may_be_empty():
    assert check_path("", "here", empty=True) == ""
    with pytest.raises(FormatError, match=r"here: unsafe path '\.\.'"):
        check_path("..", "here", empty=True)


@pytest.mark.parametrize("path", ["\ud800", "x\udfff", "\udcc3\udca9", "a\udc41"])
def test_a_name_has_one_spelling(path):
    with pytest.raises(FormatError, match=r"here: .* is not the one way to write a file's name"):
        check_path(path, "here")


def test_an_error_names_the_whole_key_path():
    reader = Reader({"a": {"b": [1]}}, "config").inner("a")
    for call, message in [
        (lambda: reader.text("b"), "config.a.b: want str, found list"),
        (lambda: reader.text("c"), "config.a.c: missing"),
        (lambda: reader.inner("b"), "config.a.b: want dict, found list"),
        (lambda: Reader(5, "config.a"), "config.a: want an object, found int"),
    ]:
        with pytest.raises(FormatError) as caught:
            call()
        assert str(caught.value) == message


def test_true_is_no_number():
    with pytest.raises(FormatError, match=r"x\.n: want int, found bool"):
        Reader({"n": True}, "x").count("n")


@pytest.mark.parametrize("number", [-1, 2**64, 10**400])
def test_a_count_has_bounds(number):
    with pytest.raises(FormatError, match=r"x\.n: want a count"):
        Reader({"n": number}, "x").count("n")


@pytest.mark.parametrize("schema", [2, 99])
@pytest.mark.parametrize("read", [decode_tree, decode_record])
def test_a_later_schema_is_refused_with_what_to_do(read, schema):
    with pytest.raises(UnsupportedSchemaError) as caught:
        read(json.dumps({"schema": schema}).encode(), "this")
    assert str(caught.value) == f"this.schema: {schema} is newer than this envparity reads (1); install a newer one"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"{'a': 1}", b'{"a":1}x'])
def test_what_is_no_json_is_refused_with_its_name(data):
    with pytest.raises(FormatError, match=r"^this is not JSON: "):
        parse(data, "this")


def test_a_layer_that_does_not_count_has_no_parity():
    layer = Layer(Kind.BYTECODE, "numpy", None, "", Digest("sha256:" + EMPTY), Digest("sha256:" + EMPTY), 0, 1024, None)
    row = encode_layer(layer)
    assert "parity" not in row
    assert "version" not in row
    assert decode_layer(Reader(row, "layer")) == layer


def test_a_layer_says_what_it_is():
    distribution = built(file("a"), kind=Kind.DISTRIBUTION, name="numpy", version="2.2.1").layer
    assert distribution.label == "numpy 2.2.1"
    assert built(file("a")).layer.label == "unowned"
    assert built(file("a"), kind=Kind.SOURCE, name="app").layer.label == "app (source)"
    assert decode_layer(Reader(encode_layer(distribution), "layer")) == distribution


@pytest.mark.parametrize("row", [["a", "b"], ["a", "b", 3], "abc", None, ["a", "b", "c", "d"]])
def test_a_finding_that_is_none(row):
    data = canonical({"schema": 1, "findings": [row], "prefix": "", "base": "", "tool": ""})
    with pytest.raises(FormatError, match=r"^record\.findings\[0\]: want \[kind, path, detail\]$"):
        decode_record(data)


def test_a_record_keeps_odd_names():
    record = Record((Finding("odd", "\udcff\n", "é"),), "/p\udcff", "/b", "tool")
    assert decode_record(encode_record(record)) == record
