"""What the reader of facts refuses, and says; and what it passes over."""

from __future__ import annotations

import pytest

from snapshot.documents import FormatError, UnsupportedSchemaError, canonical
from snapshot.facts.document import FACTS_SCHEMA, decode_facts, encode_facts
from snapshot.facts.model import Facts, Module, Variable, Variables


def decode(**document):
    return decode_facts(canonical({"schema": FACTS_SCHEMA, **document}))


def test_nothing_collected():
    assert encode_facts(Facts()) == b'{"schema":1}'
    assert decode() == Facts()


def test_nothing_found_is_not_the_same_as_not_collected():
    assert encode_facts(Facts(startup=())) == b'{"schema":1,"startup":[]}'
    assert decode(startup=[]) == Facts(startup=())
    assert decode(startup=None) == Facts()


def test_defaults_are_left_out():
    facts = Facts(modules=(Module("x", "lib/x.py", ""),), variables=Variables((Variable("A", "other"),)))
    assert encode_facts(facts) == (
        b'{"modules":[{"name":"x","owner":"","path":"lib/x.py"}],"schema":1,"variables":{"items":[{"name":"A","type":"other"}]}}'
    )


def test_a_newer_schema_is_refused():
    with pytest.raises(UnsupportedSchemaError, match=r"facts\.schema: 2 is newer than this envparity reads \(1\)"):
        decode_facts(b'{"schema":2}')


def test_keys_of_a_later_writer_are_passed_over():
    assert decode(weather="fine", modules=[{"name": "x", "path": "", "owner": "", "speed": 3}]) == Facts(
        modules=(Module("x", "", ""),)
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"modules": [{"name": "x", "path": "y"}]}, r"facts\.modules\[0\]\.owner: missing"),
        ({"modules": {}}, r"facts\.modules: want a list, found dict"),
        ({"modules": ["x"]}, r"facts\.modules\[0\]: want an object, found str"),
        ({"search_path": ["a", 1]}, r"facts\.search_path\[1\]: want text, found int"),
        (
            {"startup": [{"path": "a", "kind": "pth", "code": 1, "owner": ""}]},
            r"facts\.startup\[0\]\.code: want true or false, found int",
        ),
        (
            {"build": {"build": "", "compiler": "", "settings": [["a"]]}},
            r"facts\.build\.settings\[0\]: want 2 values, found 1",
        ),
    ],
)
def test_what_is_wrong_is_named(document, message):
    with pytest.raises(FormatError, match=message):
        decode(**document)


def test_no_json_at_all():
    with pytest.raises(FormatError, match="facts of churn/3 is not JSON"):
        decode_facts(b"\xff", "facts of churn/3")
    with pytest.raises(FormatError, match="facts: want an object, found list"):
        decode_facts(b"[]")
    with pytest.raises(FormatError, match=r"facts\.schema: missing"):
        decode_facts(b"{}")
