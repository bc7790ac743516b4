"""Every byte is verified before it counts."""

from __future__ import annotations

import io

import pytest

from snapshot.digest import Descriptor
from snapshot.documents import digest_of
from snapshot.store import DamagedBlobError, DamagedIndexError, MissingBlobError, Store
from snapshot.store.memory import MemoryBackend
from snapshot.store.reading import VerifyingReader

DATA = bytes(range(256)) * 20


class Trickle(io.BytesIO):
    """Gives a few bytes at a time, as a pipe or a network file may."""

    def read(self, size=-1, /):
        return super().read(min(size, 7) if size >= 0 else 7)


def reader(stored: bytes, promised: bytes = DATA, kind: type[io.BytesIO] = io.BytesIO) -> VerifyingReader:
    return VerifyingReader(kind(stored), Descriptor("x/y", digest_of(promised), len(promised)), "STORE")


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
@pytest.mark.parametrize("size", [1, 100, 5120, 10_000])
def test_good_blob(size, kind):
    with reader(DATA, kind=kind) as found:
        assert b"".join(iter(lambda: found.read(size), b"")) == DATA
        assert found.read() == b""
        assert found.read(1) == b""


def test_read_all():
    assert reader(DATA, kind=Trickle).read() == DATA
    assert reader(b"", b"").read() == b""


def test_read_of_nothing_is_not_the_end():
    found = reader(DATA)
    assert found.read(0) == b""
    assert found.read() == DATA


def test_readinto():
    found = reader(DATA)
    buffer = bytearray(3000)
    assert found.readinto(buffer) == 3000
    assert bytes(buffer) == DATA[:3000]
    assert found.readinto(memoryview(buffer)) == 2120
    assert bytes(buffer[:2120]) == DATA[3000:]
    assert found.readinto(buffer) == 0


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (DATA[:-1] + b"x", "it has the content sha256:"),
        (DATA[:-1], "it ends after 5119 of 5120 bytes"),
        (b"", "it ends after 0 of 5120 bytes"),
        (DATA + b"x", "it is longer than the 5120 bytes that it should have"),
    ],
)
@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
def test_bad_blob_is_named(stored, message, kind):
    with pytest.raises(DamagedBlobError, match=f"blob {digest_of(DATA)} in STORE is damaged: {message}"):
        reader(stored, kind=kind).read()


@pytest.mark.parametrize("stored", [DATA[:-1] + b"x", DATA + b"x"])
def test_last_byte_is_not_handed_out_unverified(stored):
    found = reader(stored)
    assert len(found.read(len(DATA) - 1)) == len(DATA) - 1
    for _ in range(2):
        with pytest.raises(DamagedBlobError):
            found.read(1)


def test_empty_blob_that_has_bytes():
    with pytest.raises(DamagedBlobError, match="is longer than the 0 bytes"):
        reader(b"x", b"").read()


def test_finish_verifies_what_was_not_read():
    found = reader(DATA)
    found.read(10)
    found.finish()
    bad = reader(DATA[:-1] + b"x")
    bad.read(10)
    with pytest.raises(DamagedBlobError):
        bad.finish()


def test_size_that_lies_does_not_claim_memory():
    asked = []

    class Asked(io.BytesIO):
        def read(self, size=-1, /):
            asked.append(size)
            return super().read(size)

    descriptor = Descriptor("x/y", digest_of(DATA), 1 << 60)
    with pytest.raises(DamagedBlobError, match="ends after 5120 of 1152921504606846976 bytes"):
        VerifyingReader(Asked(DATA), descriptor, "STORE").read()
    assert max(asked) <= 1 << 20


def test_close_closes_the_file():
    raw = io.BytesIO(DATA)
    with VerifyingReader(raw, Descriptor("x/y", digest_of(DATA), len(DATA)), "STORE"):
        assert not raw.closed
    assert raw.closed


def test_store_reads_and_opens_verified():
    backend = MemoryBackend()
    store = Store(backend)
    good, bad = Descriptor("x/y", digest_of(b"good"), 4), Descriptor("x/y", digest_of(b"bad!"), 4)
    backend.blobs = {good.digest: b"good", bad.digest: b"evil"}
    assert store.read(good) == b"good"
    with store.open(good) as file:
        assert file.read() == b"good"
    with pytest.raises(DamagedBlobError, match=bad.digest):
        store.read(bad)
    with pytest.raises(MissingBlobError, match=f"blob {digest_of(b'none')} is not in memory"):
        store.read(Descriptor("x/y", digest_of(b"none"), 4))


def test_damaged_index_says_so():
    backend = MemoryBackend()
    backend.index = b'{"schemaVersion":2,'
    with pytest.raises(DamagedIndexError, match=r"the index of memory is damaged: index\.json is not JSON.*put a copy"):
        Store(backend).references()
