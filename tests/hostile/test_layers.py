"""Layers whose blob is not what the tree says, and blobs that are not what they should be."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import pytest
import zstandard

from snapshot import tars
from snapshot.codec import MAX_WINDOW
from snapshot.model import Entry, Kind
from tests.building import as_given, built, file, layer_blob, link, tar_of

LAYER = r"layer unowned \(blob sha256:[0-9a-f]{64}\): "


def tar_with(*members):
    """A tar by Python's tarfile: members are (name, type, linkname, data)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind, target, data in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, target, len(data)
            member.mtime, member.mode = 1_000_000_000, 0o644
            member.devmajor = member.devminor = 1
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def lying(tree_rows, tar):
    """A layer with the tree of `tree_rows` whose blob holds `tar`, and whose diff_id is that of `tar`."""
    tree = tuple(entry for entry, _ in tree_rows)
    return as_given(tree, tar)


@pytest.mark.parametrize(
    "member",
    [
        ("a", tarfile.CHRTYPE, "", b""),
        ("a", tarfile.BLKTYPE, "", b""),
        ("a", tarfile.FIFOTYPE, "", b""),
        ("a", tarfile.LNKTYPE, "../victim", b""),
        ("a", tarfile.SYMTYPE, "../victim", b""),
        ("a", tarfile.DIRTYPE, "", b""),
        ("a", tarfile.CONTTYPE, "", b""),
        ("../victim", tarfile.REGTYPE, "", b""),
        ("/tmp/victim", tarfile.REGTYPE, "", b""),
        ("a", tarfile.REGTYPE, "", b"more than the tree says"),
        ("a", tarfile.GNUTYPE_LONGNAME, "", b"../victim"),
    ],
)
def test_a_member_that_the_tree_does_not_have(ground, member):
    ground.publish(lying([file("a")], tar_with(member)))
    ground.refuses(LAYER + "at 'a' it is not what its tree says; delete that blob and capture again")


def test_a_member_more(ground):
    rows = [file("a", b"1"), file("z/../../victim", b"evil")]
    ground.publish(lying(rows[:1], tar_of(rows)))
    ground.refuses(LAYER + "at 'its end' it is not what its tree says")


def test_a_member_behind_the_end(ground):
    tar = tar_of([file("a", b"1")])
    ground.publish(lying([file("a", b"1")], tar + tar_of([file("../victim", b"evil")])))
    ground.refuses(LAYER + "it is larger than it declares; nothing of it is used")


def test_a_member_in_a_second_frame(ground):
    """Frames are read as one tar: what comes behind its end is too much, in whatever frame it is."""
    part = built(file("a", b"1"))
    part.blob = layer_blob(part.tar) + layer_blob(tar_of([file("evil", b"evil")]))
    ground.publish(part)
    ground.refuses(LAYER + "it is larger than it declares; nothing of it is used")


def test_a_tar_in_many_frames_some_of_them_empty(ground):
    part = built(file("a", b"1"))
    part.blob = b"".join(layer_blob(part.tar[at : at + 100]) + layer_blob(b"") for at in range(0, len(part.tar), 100))
    ground.publish(part)
    ground.restore()
    assert (ground.destination / "a").read_bytes() == b"1"


@pytest.mark.parametrize("cut", [1, 512, 1024, 1025, 1536])
def test_a_tar_that_ends_early(ground, cut):
    rows = [file("a", b"1")]
    ground.publish(lying(rows, tar_of(rows)[:-cut]))
    ground.refuses(LAYER + "it ends too early")


def test_a_file_with_other_content(ground):
    ground.publish(lying([file("lib/a", b"good")], tar_of([(file("lib/a", b"good")[0], b"evil")])))
    ground.refuses(LAYER + "'lib/a' does not have the digest that its tree says; delete that blob and capture again")


def test_padding_that_is_not_empty(ground):
    rows = [file("a", b"1")]
    tar = bytearray(tar_of(rows))
    tar[600] = 7
    ground.publish(lying(rows, bytes(tar)))
    ground.refuses(LAYER + "at 'a' it is not what its tree says")


def test_a_link_with_another_target(ground):
    ground.publish(lying([link("a", "b"), file("b", b"1")], tar_of([link("a", "../victim"), file("b", b"1")])))
    ground.refuses(LAYER + "at 'a' it is not what its tree says")


def test_a_mode_that_the_tree_does_not_have(ground):
    ground.publish(lying([file("a", b"1")], tar_of([(Entry("a", "f", 0o4755, 1), b"1")])))
    ground.refuses(LAYER + "at 'a' it is not what its tree says")


def test_one_layer_of_many_is_damaged(ground):
    """The others were sound, and are not restored without it."""
    good = [built(file(f"lib/{name}", name.encode()), kind=Kind.DISTRIBUTION, name=name) for name in ("p", "q", "r")]
    ground.publish(*good, lying([file("a", b"good")], tar_of([(file("a", b"good")[0], b"evil")])))
    ground.refuses(LAYER + "'a' does not have the digest")


def frame(data, **parameters):
    return zstandard.ZstdCompressor(**parameters).compress(data)


def zeros(size, prefix=b"", **parameters):
    """A frame of `prefix` and `size` zeros, made without holding them."""
    compressor = zstandard.ZstdCompressor(level=1, **parameters).compressobj()
    pieces = [compressor.compress(prefix)]
    block = bytes(1 << 24)
    while size > 0:
        pieces.append(compressor.compress(block[:size]))
        size -= len(block)
    return b"".join([*pieces, compressor.flush()])


@pytest.fixture
def unpacked(monkeypatch):
    """How many bytes came out of the decoder."""
    counted = [0]
    original = tars.decompress

    def counting(source, what):
        for chunk in original(source, what):
            counted[0] += len(chunk)
            yield chunk

    monkeypatch.setattr(tars, "decompress", counting)
    return counted


def test_a_bomb_behind_the_declared_end(ground, unpacked):
    part = built(file("a", b"1"))
    part.blob = zeros(2 << 30, part.tar)
    assert len(part.blob) < 1 << 20
    ground.publish(part)
    ground.refuses(LAYER + "it is larger than it declares; nothing of it is used")
    assert unpacked[0] < 16 << 20


def test_a_bomb_in_place_of_a_layer(ground, unpacked):
    part = built(file("a", b"1"))
    part.blob = zeros(2 << 30)
    ground.publish(part)
    ground.refuses(LAYER + "at 'a' it is not what its tree says")
    assert unpacked[0] < 16 << 20


def test_a_bomb_in_place_of_a_tree(ground):
    part = built(file("a", b"1"))
    part.stored_tree = zeros(4 << 30, part.tree)
    assert zstandard.frame_content_size(part.stored_tree) == -1
    ground.publish(part)
    ground.refuses("tree of unowned: declares -1 bytes, at most 536870912 are accepted")


def test_a_tree_that_declares_too_much(ground):
    part = built(file("a", b"1"))
    stored = bytearray(frame(bytes(1 << 20)))
    # RFC 8878: magic number, descriptor, and (a single segment of more than 64 kB) four bytes of content size.
    assert stored[4] & 0xE0 == 0xA0
    stored[5:9] = (1 << 31).to_bytes(4, "little")
    part.stored_tree = bytes(stored)
    ground.publish(part)
    ground.refuses("tree of unowned: declares 2147483648 bytes, at most 536870912 are accepted")


def test_a_tree_that_declares_too_little(ground):
    part = built(file("a", b"1"))
    stored = bytearray(frame(bytes(1 << 20)))
    stored[5:9] = (100).to_bytes(4, "little")
    part.stored_tree = bytes(stored)
    ground.publish(part)
    ground.refuses(r"tree of unowned: .*(too small|corruption|incorrect|error)")


def test_a_window_that_is_too_large(ground):
    """A decoder would have to hold that much in memory."""
    part = built(file("a", b"1"))
    parameters = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    part.blob = compressor.compress(part.tar) + compressor.flush()
    assert zstandard.get_frame_parameters(part.blob).window_size > MAX_WINDOW
    ground.publish(part)
    ground.refuses(LAYER + "zstd decompress error: Frame requires too much memory for decoding")


@pytest.mark.parametrize("blob", [b"", b"not zstandard at all", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\x04\0\0\0skip"])
def test_a_blob_that_is_no_frame(ground, blob):
    part = built(file("a", b"1"))
    ground.publish(replace(part, blob=blob))
    ground.refuses(LAYER)
    ground.publish(replace(part, stored_tree=blob), name="y")
    ground.refuses("tree of unowned: ", name="y")


def test_a_frame_that_wants_a_dictionary(ground):
    part = built(file("a", b"1"))
    trained = zstandard.train_dictionary(1024, [bytes([n % 7, n % 5]) * 40 for n in range(400)])
    part.blob = zstandard.ZstdCompressor(dict_data=trained).compress(part.tar)
    ground.publish(part)
    ground.refuses(LAYER + "zstd decompress error: Dictionary mismatch")


def stored_blob(ground, digest):
    return ground.root / "store" / "blobs" / "sha256" / digest.hex


def damage(path, change):
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(data))


CHANGES = {
    "empty": lambda data: b"",
    "cut by one": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "first byte": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "last byte": lambda data: data[:-1] + bytes([data[-1] ^ 0x80]),
    "middle byte": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("what", ["layer", "tree", "config", "manifest"])
def test_a_damaged_blob_is_named(ground, what, change):
    part = built(*(file(f"lib/{name}", name.encode() * 50) for name in ("p", "q", "r")), link("z", "lib/p"))
    stored = ground.publish(part)
    reference = ground.store.resolve("x")
    digest = {
        "layer": stored.content[part.layer.diff_id].digest,
        "tree": stored.content[part.layer.tree].digest,
        "config": stored.id,
        "manifest": reference.manifest.digest,
    }[what]
    damage(stored_blob(ground, digest), change)
    ground.refuses(digest)


@pytest.mark.parametrize("position", range(0, 200, 7))
def test_no_flipped_byte_of_a_layer_goes_unnoticed(ground, position):
    part = built(file("lib/a", bytes(range(200))))
    stored = ground.publish(part)
    digest = stored.content[part.layer.diff_id].digest
    path = stored_blob(ground, digest)
    position = position * len(path.read_bytes()) // 200
    damage(path, lambda data: data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
    ground.refuses(digest)


def test_a_damaged_blob_is_not_needed_when_the_layer_is_unpacked(ground):
    """The counterpart: what was verified and unpacked stays usable."""
    part = built(file("lib/a", b"1"))
    stored = ground.publish(part)
    ground.restore()
    damage(stored_blob(ground, stored.content[part.layer.diff_id].digest), CHANGES["empty"])
    ground.destination = ground.place / "second"
    ground.restore()
    assert (ground.destination / "lib/a").read_bytes() == b"1"
