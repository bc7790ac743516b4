"""The laws of the facts document: it reads back as it was written, equal facts have equal bytes, and nothing else is read as facts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot.documents import FormatError, canonical
from snapshot.facts.document import decode_facts, encode_facts
from snapshot.facts.model import Facts
from tests.property.facts import FACTS


@given(FACTS)
def test_what_was_written_is_read(facts):
    encoded = encode_facts(facts)
    assert decode_facts(encoded) == facts
    assert encode_facts(decode_facts(encoded)) == encoded


@given(FACTS)
def test_it_is_ascii_without_floats_and_in_one_form(facts):
    encoded = encode_facts(facts)
    assert encoded.isascii()
    assert canonical(json.loads(encoded, parse_float=_refuse)) == encoded


def _refuse(number):
    raise AssertionError(f"a float: {number}")


@given(FACTS, FACTS)
def test_different_facts_have_different_documents(one, other):
    assert (one == other) == (encode_facts(one) == encode_facts(other))


@given(FACTS)
def test_what_is_missing_is_what_was_not_collected(facts):
    read = decode_facts(encode_facts(facts))
    assert read.missing == facts.missing
    assert all(getattr(read, name) is None for name in read.missing)


@given(FACTS.filter(lambda facts: facts != Facts()), st.data())
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(facts, data):
    """Any one value in the document, replaced by one that has no place anywhere in it."""
    document = json.loads(encode_facts(facts))
    places = list(_places(document, "facts"))
    holder, key, path = data.draw(st.sampled_from(places))
    holder[key] = 1.5
    with pytest.raises(FormatError) as caught:
        decode_facts(json.dumps(document).encode())
    assert str(caught.value).startswith(f"{path}: ")


def _places(value, path):
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        below = f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]"
        yield value, key, below
        yield from _places(inner, below)
