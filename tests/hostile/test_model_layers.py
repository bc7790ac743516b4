"""Model layers that were made to do harm. They do not count in the parity root, so they must not reach what does."""

from __future__ import annotations

import pytest

from snapshot.documents import FormatError
from snapshot.home import HOME, MODEL_MOUNT
from snapshot.model import LARGEST_NOTE, Entry, Kind
from snapshot.trees import read_note
from tests.building import as_given, built, file, link, tar_of

ENVIRONMENT = built(file("lib/real.py", b"1"))


def model(*rows, **how):
    return built(*rows, kind=Kind.MODEL, **{"name": "model", "mount": MODEL_MOUNT, **how})


def notes(*rows, **how):
    return model(*rows, **{"name": "notes", "mount": HOME, **how})


@pytest.mark.parametrize(
    ("name", "mount"),
    [
        ("model", ""),
        ("model", ".envparity"),
        ("model", ".envparity/python"),
        ("model", ".envparity/model/deeper"),
        ("notes", ".envparity/model"),
        ("notes", ""),
        ("other", ".envparity/model"),
        ("notes", ".envparity/src"),
    ],
)
def test_a_layer_in_another_place(ground, name, mount):
    ground.publish(ENVIRONMENT, model(file("lib/evil.py", b"2"), name=name, mount=mount))
    ground.refuses("a model has one layer 'model' and one 'notes', and none in " + repr(mount))


def test_another_kind_where_a_model_lies(ground):
    ground.publish(built(file("x", b"1"), mount=MODEL_MOUNT))
    ground.refuses(r"unknown mount '\.envparity/model'")


def test_notes_of_another_kind(ground):
    ground.publish(built(file("x", b"1"), mount=HOME))
    ground.refuses(r"unknown mount '\.envparity'")


def test_two_models(ground):
    ground.publish(ENVIRONMENT, model(file("a", b"1")), model(file("b", b"2")))
    ground.refuses("a model has one layer 'model'")


@pytest.mark.parametrize(
    "path",
    ["python", "src", "restored.json", "model", ".hidden", "a b", "python/bin/python3", "src/x/evil.py", "n" * 101],
)
def test_a_note_that_is_none(ground, path):
    ground.publish(ENVIRONMENT, notes(file(path, b"1")))
    ground.refuses("layer notes .model.: .* is no note")


def test_a_note_that_is_a_link_or_a_directory(ground):
    ground.publish(ENVIRONMENT, notes(link("x", "model")), name="link")
    ground.publish(ENVIRONMENT, notes((Entry("x", "d", 0o555), b"")), name="directory")
    for name in ("link", "directory"):
        ground.refuses("'x' is no note", name=name)


@pytest.mark.parametrize(
    "row",
    [
        link("x", "../python/bin/python3"),
        link("x", ".."),
        link("x", "/etc/passwd"),
        link("x", "/etc/passwd", outside=True),
        link("a/x", "../../restored.json"),
        link("x", "/", at=((0, "prefix"),)),
        link("x", "/bin/python3", at=((0, "base"),)),
        file("x", b"12", at=((1, "prefix"),)),
    ],
)
def test_what_leads_out_of_the_model(ground, row):
    ground.publish(ENVIRONMENT, model(file("a/b", b"1"), row))
    ground.refuses("leads out of the model")


def test_a_model_below_a_link_of_its_own(ground):
    ground.publish(ENVIRONMENT, model(link("a", "b"), file("a/x", b"1"), file("b/y", b"2")))
    ground.refuses("is a file or link, and a directory elsewhere")


def test_a_note_that_would_fill_the_memory(ground):
    size = LARGEST_NOTE + 1
    entry = Entry("big", "f", 0o644, size, "ab" * 32)
    ground.publish(
        ENVIRONMENT, as_given((entry,), tar_of([(entry, bytes(size))]), kind=Kind.MODEL, name="notes", mount=HOME)
    )
    with pytest.raises(FormatError, match=r"'big' has 16,777,217 bytes, over 16,777,216: it is no note"):
        read_note(ground.store, "x", "big")


def test_a_note_with_another_content(ground):
    entry, _ = file("n", b"right")
    ground.publish(
        ENVIRONMENT, as_given((entry,), tar_of([(entry, b"wrong")]), kind=Kind.MODEL, name="notes", mount=HOME)
    )
    with pytest.raises(FormatError, match="'n' does not have the digest of its tree"):
        read_note(ground.store, "x", "n")


def test_a_parity_of_its_own_does_not_count(ground):
    """Entries without the rule of a model have a parity digest; the root goes without it all the same."""
    plain = ground.publish(ENVIRONMENT, name="plain")
    counting = ground.publish(ENVIRONMENT, model(file("a", b"1")), name="with")
    assert any(layer.kind is Kind.MODEL and layer.parity for layer in counting.snapshot.layers)
    assert counting.snapshot.parity_root == plain.snapshot.parity_root
    assert counting.id != plain.id
