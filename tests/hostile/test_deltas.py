"""Delta blobs that lie, and manifests that lead them astray: each is refused with one error that names the blob."""

from __future__ import annotations

import random
import struct
import tracemalloc
from dataclasses import replace

import pytest
import zstandard

from snapshot import SnapshotError, delta, verify
from snapshot.codec import DamagedLayerError, note
from snapshot.delta import Range
from snapshot.model import Kind
from snapshot.tars import DEEPEST
from tests.building import built, file
from tests.deltas import Shelf, as_delta, delta_of, frame, head, segment

LAYER = r"layer part 1\.0 \(blob sha256:[0-9a-f]{64}\)"
NOISE = random.Random(3).randbytes(3000)


def part_of(data, path="lib/part.so", name="part", version="1.0"):
    return built(file(path, data), file("lib/same.py", b"same\n"), kind=Kind.DISTRIBUTION, name=name, version=version)


@pytest.fixture
def base():
    return part_of(NOISE, name="base")


@pytest.fixture
def part():
    return part_of(NOISE[:1500] + b"new" + NOISE[1500:])


def test_the_counterpart(ground, base, part):
    """A sound one is restored."""
    ground.publish(as_delta(base, part), beside=[base])
    ground.restore()
    assert (ground.destination / "lib/part.so").read_bytes() == NOISE[:1500] + b"new" + NOISE[1500:]
    assert ground.store.check() == ()


def test_a_base_that_no_manifest_has(ground, base, part):
    ground.publish(as_delta(base, part))
    ground.refuses(rf"{base.layer.diff_id}|layer part 1\.0")


def test_a_base_that_only_another_manifest_has(ground, base, part):
    """It can be restored for as long as the other snapshot is there: that is no sound snapshot."""
    ground.publish(as_delta(base, part))
    ground.publish(base, name="y")
    ground.restore()
    (problem,) = verify("x", ground.store).problems
    assert problem.detail.startswith(f"the manifest has no blob for layer {base.layer.diff_id}")


def test_a_base_that_is_gone(ground, base, part):
    stored = ground.publish(as_delta(base, part), beside=[base])
    digest = stored.content[base.layer.diff_id].digest
    (ground.root / "store" / "blobs" / "sha256" / digest.hex).unlink()
    ground.refuses(digest)


def test_itself_as_base(ground, part):
    ground.publish(as_delta(part, part))
    ground.refuses(LAYER + ": its deltas lead in a circle")


def test_two_that_lead_to_each_other(ground, base, part):
    ground.publish(as_delta(base, part), beside=[as_delta(part, base)])
    ground.refuses(LAYER + ": its deltas lead in a circle")


def rows_of(count):
    versions = [part_of(NOISE + bytes([number]), version=str(number)) for number in range(count)]
    deltas = [as_delta(versions[number - 1], versions[number]) for number in range(1, count)]
    return versions[0], deltas


def test_a_row_that_is_too_long(ground):
    first, deltas = rows_of(DEEPEST + 3)
    ground.publish(deltas[-1], beside=[first, *deltas[:-1]])
    ground.refuses(rf"layer part \d+ \(blob sha256:[0-9a-f]{{64}}\): its deltas .* are over {DEEPEST}")


def test_a_row_that_others_may_write(ground):
    first, deltas = rows_of(DEEPEST)
    ground.publish(deltas[-1], beside=[first, *deltas[:-1]])
    ground.restore()
    assert (ground.destination / "lib/part.so").read_bytes() == NOISE + bytes([DEEPEST - 1])


def test_another_base_in_the_manifest_than_in_the_blob(ground, base, part):
    ground.publish(as_delta(base, part, said=part_of(b"other").layer.diff_id), beside=[base])
    ground.refuses(LAYER + f": the manifest names another base than {base.layer.diff_id}")


def test_no_base_in_the_manifest(ground, base, part):
    lying = as_delta(base, part)
    lying.notes.clear()
    ground.publish(lying, beside=[base])
    ground.refuses(LAYER + f": the manifest names another base than {base.layer.diff_id}")


def test_an_encoding_that_nobody_knows(ground, part):
    part.media_type = "application/vnd.envparity.layer.v9.delta+zstd"
    ground.publish(part)
    ground.refuses(
        LAYER + r": application/vnd.envparity.layer.v9.delta\+zstd is unknown to this envparity; install a newer"
    )


def test_a_base_that_holds_something_else(ground, base, part):
    """Its blob is sound, and not the tar that it is said to be."""
    lying = part_of(NOISE[::-1], name="base")
    base.tar = lying.tar
    ground.publish(as_delta(part_of(NOISE, name="base"), part), beside=[base])
    ground.refuses("does not have the digest that its tree says")


def one(base, part, changes=()):
    """The delta of `part` as a single segment, with changes in its head."""
    return head(base, part, changes) + body(part)


def body(part, **how):
    return segment([[len(part.tar)]], frame(part.tar), **how)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"base_size": 1}, "it is larger than 1 bytes"),
        ({"base_size": 0}, "it is larger than 0 bytes"),
        ({"base_size": -1}, "base_size: want a count"),
        ({"base_size": True}, "base_size: want int"),
        ({"base_size": 1.5}, "base_size: want int"),
        ({"base_size": 10**400}, "base_size: want a count"),
        ({"size": 1}, "it makes more than the 1 bytes that it declares"),
        ({"size": 0}, "it goes on"),
        ({"size": -1}, "size: want a count"),
        ({"size": 10**12}, "it ends too early"),
        ({"schema": 2}, "schema: want 1, found 2; install a newer envparity"),
        ({"schema": "1"}, "schema: want int"),
        ({"base": "sha256:short"}, "base: "),
        ({"base": None}, "base: want str"),
    ],
)
def test_a_head_that_lies(ground, base, part, changes, match):
    ground.publish(as_delta(base, part, one(base, part, changes)), beside=[base])
    ground.refuses(f"layer part 1.0.*({match})")


def test_a_head_that_needs_more_than_there_is(ground, base, part):
    """What a delta says of its base counts before anything is written."""
    ground.publish(as_delta(base, part, one(base, part, {"base_size": 10**12})), beside=[base])
    ground.refuses("cache has too few MB free and unpacking needs 1,000,000 MB; make room or move the store")


@pytest.mark.parametrize(
    ("operations", "match"),
    [
        ([[10, 5630]], "lies outside of the base"),
        ([[10, 2**62]], "lies outside of the base"),
        ([[10, 2**70]], "lies outside of the base"),
        ([[2**62, 0]], "lies outside of the base"),
        ([[10, -1]], "is no range of bytes"),
        ([[-10, 5]], "is no range of bytes"),
        ([[-10]], "is no range of bytes"),
        ([[True]], "is no range of bytes"),
        ([[1.0, 2]], "is no range of bytes"),
        ([["1"]], "is no range of bytes"),
        ([[1, 2, 3]], "is no range of bytes"),
        ([[]], "is no range of bytes"),
        ([1], "is no range of bytes"),
        ([None], "is no range of bytes"),
        ({}, "operations: want list"),
        ([], "0 new"),
        ([[0]], "0 new"),
        ([[0, 0]], "0 new"),
        ([[2**40]], "67,108,864 bytes each, not more"),
        ([[1, 0]] * 100_000, "it makes more than"),
    ],
)
def test_a_segment_that_lies(ground, base, part, operations, match):
    assert len(base.tar) == len(part.tar) == 5632
    blob = head(base, part) + segment(operations)
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses(f"{LAYER}.*{match}")


@pytest.mark.parametrize(
    ("dictionary", "match"),
    [
        ([[5631, 2]], "lies outside of the base"),
        ([[-1, 2]], "is no range of bytes"),
        ([[0]], "is no range of bytes"),
        ([[0, True]], "is no range of bytes"),
        ([[0, 5632]] * 20_000, "67,108,864 bytes each, not more"),
        ("all", "dictionary: want list"),
    ],
)
def test_a_dictionary_that_lies(ground, base, part, dictionary, match):
    blob = head(base, part) + body(part, dictionary=dictionary)
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses(f"{LAYER}.*{match}")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda tar: segment([[len(tar)]], frame(tar[:-1])), "its frame declares another size than 5632 bytes"),
        (lambda tar: segment([[len(tar)]], frame(tar + b"x")), "its frame declares another size than 5632 bytes"),
        (lambda tar: segment([[len(tar)]], b"no frame"), "error when determining content size"),
        (lambda tar: segment([[len(tar)]], frame(tar)[:-1]), "its frame ends too early"),
        (lambda tar: segment([[len(tar)]], frame(tar), packed=0), "0 packed bytes for 5632 new ones"),
        (lambda tar: segment([[len(tar)]], frame(tar), packed=2**40), "67,108,864 bytes each"),
        (lambda tar: segment([[len(tar)]], frame(tar), packed=len(frame(tar)) + 1), "it ends too early"),
        (lambda tar: segment([[len(tar), 0]], b"x"), "1 packed bytes for 0 new ones"),
        (lambda tar: segment([[512]], frame(tar[:512])), "it ends too early"),
        (lambda tar: segment([[len(tar)]], frame(tar)) * 2, "it goes on"),
        (lambda tar: segment([[len(tar)]], frame(tar)) + b"\0", "it goes on"),
        (lambda tar: segment([[1]], frame(tar[:1])) + segment([[len(tar)]], frame(tar)), "it makes more than"),
    ],
)
def test_a_frame_that_lies(ground, base, part, make, match):
    ground.publish(as_delta(base, part, head(base, part) + make(part.tar)), beside=[base])
    ground.refuses(f"{LAYER}.*({match})")


def test_a_frame_that_makes_another_file(ground, base, part):
    evil = part_of(NOISE[:1500] + b"evi" + NOISE[1500:])
    ground.publish(as_delta(base, part, head(base, part) + body(evil)), beside=[base])
    ground.refuses("'lib/part.so' does not have the digest that its tree says")


@pytest.mark.parametrize(
    ("blob", "match"),
    [
        (b"", "it ends too early"),
        (b"\x50\x2a", "it ends too early"),
        (note(b"{}")[:-1], "it ends too early"),
        (struct.pack("<II", 0x184D2A5E, 5) + b"what?", "error when determining content size"),
        (struct.pack("<II", 0x184D2A5E, 0), "error when determining content size"),
        (struct.pack("<II", 0x184D2A5E, 2**32 - 1), "it is not made as a delta is"),
        (struct.pack("<II", 0x184D2A5F, 0), "it is not made as a delta is"),
        (frame(b"a tar, it may be"), "it is not made as a delta is"),
        (note(b"not JSON"), "is not JSON"),
        (note(b"[" * 100_000), "is not JSON"),
        (note(b'{"schema":' + b"1" * 5000 + b"}"), "is not JSON"),
        (note(b"[]"), "want an object"),
        (note(b"{}"), "schema: missing"),
    ],
)
def test_a_blob_that_is_no_delta(ground, base, part, blob, match):
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses(f"{LAYER}.*({match})")


@pytest.fixture
def shelf(base):
    shelf = Shelf()
    shelf.whole(base)
    return shelf


def test_a_delta_that_is_cut(shelf, base, part):
    """At any byte. The blob's digest is that of what is left, so only its form can tell."""
    whole = delta_of(base, part)
    for end in range(len(whole)):
        shelf.delta(base, part, blob=whole[:end])
        with pytest.raises(SnapshotError, match="layer any"):
            shelf.verified(part)


def test_a_delta_with_a_flipped_bit(shelf, base, part):
    """At any position. What is read all the same is the same to the byte."""
    whole = delta_of(base, part)
    refused = 0
    for position in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        shelf.delta(base, part, blob=bytes(changed))
        try:
            assert shelf.verified(part) == part.tar
        except SnapshotError as error:
            refused += 1
            said = str(error)
            assert said.startswith("layer any")
    assert refused > 0.9 * 8 * len(whole)


def zeros(size):
    compressor = zstandard.ZstdCompressor(level=1).compressobj(size=size)
    block = bytes(1 << 22)
    pieces = []
    while size > 0:
        pieces.append(compressor.compress(block[:size]))
        size -= len(block)
    return b"".join([*pieces, compressor.flush()])


@pytest.fixture
def peak():
    """Bytes that Python's objects took at most, beyond what a sound delta takes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("wanted", [None, [], [Range(512, 10)]])
def test_a_base_that_holds_something_else_is_not_built_upon(shelf, base, wanted):
    """Whatever is needed of it: what a delta copies is in no dictionary, and a delta of other bytes gives a layer that is lost."""
    size = len(base.tar)
    shelf.file(base, wanted).close()
    shorter = replace(base, layer=replace(base.layer, size=size - 512))
    with pytest.raises(
        DamagedLayerError, match=rf"^layer any: it is larger than {size - 512} bytes; nothing of it is used"
    ):
        shelf.file(shorter, wanted)
    other = part_of(NOISE[::-1])
    shelf.content[other.layer.diff_id] = blob = shelf.content[base.layer.diff_id]
    remedy = rf"delete blob {blob.digest} and capture again$"
    with pytest.raises(DamagedLayerError, match=rf"^layer any: its tar is not {other.layer.diff_id}; {remedy}"):
        shelf.file(other, wanted)


def test_a_note_that_unpacks_to_gigabytes(ground, base, part, peak):
    packed = zeros(1 << 31)
    assert len(packed) < 1 << 20
    blob = struct.pack("<II", 0x184D2A5E, len(packed)) + packed
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses(LAYER + r": declares 2147483648 bytes, at most \d+ are accepted")
    assert peak() < 64 << 20


def test_a_note_of_many_operations(ground, base, part, peak):
    """Text that unpacks to a thousand times its size, and objects that take ten times that."""
    packed = note(b'{"packed":0,"dictionary":[],"operations":[' + b"[0,0]," * 10_000_000 + b"[0,0]]}")
    assert len(packed) < 1 << 20
    ground.publish(as_delta(base, part, head(base, part) + packed), beside=[base])
    ground.refuses(LAYER + r": declares \d+ bytes, at most \d+ are accepted")
    assert peak() < 256 << 20


def test_a_frame_that_unpacks_to_gigabytes(ground, base, part, peak):
    packed = zeros(1 << 31)
    blob = head(base, part) + segment([[len(part.tar)]], packed)
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses(LAYER + ": its frame declares another size than 5632 bytes")
    assert peak() < 64 << 20


def test_a_base_that_unpacks_to_more_than_there_is_room_for(ground, base, part, peak):
    """What is left of the disk is not filled to see whether it fits."""
    base.blob = zeros(1 << 31)
    blob = one(base, part, {"base_size": 10**15})
    ground.publish(as_delta(base, part, blob), beside=[base])
    ground.refuses("has too few MB free and unpacking needs 1,000,000,000 MB; make room or move the store")
    problems = verify("x", ground.store).problems
    assert [problem for problem in problems if "takes 1,000,000,000 MB, and" in problem.detail]
    assert peak() < 64 << 20


def test_the_bounds_are_those_of_a_reader():
    """What is written can be read: by this version, and by those that were there when it was written."""
    assert delta.SEGMENT <= delta.LARGEST
    assert delta.DICTIONARY <= delta.LARGEST
    assert delta.LARGEST == 64 << 20
