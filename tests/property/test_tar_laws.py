"""Laws of the tar framing: what others read in it is what the tree says, and nothing else can be read by us."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from hashlib import sha256

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapshot import archive
from snapshot.codec import DamagedLayerError
from snapshot.digest import Digest
from snapshot.home import FIXED_MTIME
from snapshot.model import Entry, Kind, Layer
from snapshot.scan import decode, encode
from snapshot.unpack import Unpacker, read_layer

from .strategies import PATHS, TARGETS, entries, stored_files

law = settings(deadline=None)
TYPES = {"f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "d": tarfile.DIRTYPE}


def tar_of(rows):
    """The tar of a layer as `pack` frames it."""
    pieces = []
    for entry, data in rows:
        pieces += [archive.header(entry), data, archive.padding(len(data))]
    return b"".join([*pieces, archive.END])


def layer_of(rows, data):
    tree = tuple(entry for entry, _ in rows)
    digest = Digest.of_hex(sha256(data).hexdigest())
    files = sum(entry.type == "f" for entry in tree)
    return Layer(Kind.UNOWNED, "unowned", None, "", digest, digest, files, len(data), None), tree


def extracted(rows, tar):
    """Read a layer that holds `tar` by what `rows` declare; the content of each file."""
    layer, tree = layer_of(rows, tar_of(rows))
    found = {}

    def take(entry, pieces):
        found[entry.path] = b"".join(map(bytes, pieces))

    read_layer(iter((tar,)), layer, tree, "blob", take)
    return found


@law
@given(stored_files())
def test_the_size_of_the_tar_follows_from_the_tree(rows):
    assert archive.tar_size(entry for entry, _ in rows) == len(tar_of(rows))
    assert len(tar_of(rows)) % archive.BLOCK == 0


@law
@given(stored_files())
def test_pythons_tarfile_reads_what_the_tree_says(rows):
    with tarfile.open(fileobj=io.BytesIO(tar_of(rows)), errors="surrogateescape", encoding="utf-8") as tar:
        members = tar.getmembers()
        assert len(members) == len(rows)
        for member, (entry, data) in zip(members, rows, strict=True):
            # For a directory and for an empty target tarfile takes off what ends in a slash.
            assert member.name == entry.path
            assert member.type == TYPES[entry.type]
            assert member.linkname.rstrip("/") == entry.target.rstrip("/")
            assert (member.mtime, member.uid, member.gid, member.uname) == (FIXED_MTIME, 0, 0, "")
            assert member.mode == (0o777 if entry.type == "l" else entry.mode)
            if entry.type == "f":
                assert tar.extractfile(member).read() == data


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar on this machine")
@settings(law, max_examples=25)
@given(stored_files())
def test_the_systems_tar_extracts_what_the_tree_says(rows):
    # tar reports a zero-length target instead of making such a link.
    assume(all(entry.type != "l" or entry.target for entry, _ in rows))
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            ["tar", "-x", "--no-same-owner", "-p", "-C", directory],
            input=tar_of(rows),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for entry, data in rows:
            path = os.path.join(os.fsencode(directory), encode(entry.path))
            status = os.lstat(path)
            assert status.st_mtime == FIXED_MTIME or entry.type == "d"
            if entry.type == "l":
                assert decode(os.readlink(path)) == entry.target
                continue
            assert status.st_mode & 0o7777 == entry.mode
            if entry.type == "f":
                with open(path, "rb") as file:
                    assert file.read() == data
        names = {os.path.join(top, name) for top, _, files in os.walk(os.fsencode(directory)) for name in files}
        assert len(names) >= sum(entry.type == "f" for entry, _ in rows)


@law
@given(PATHS, TARGETS, st.sampled_from("fl"), st.integers(0, 2**63))
def test_a_header_says_any_size_name_and_target(path, target, kind, size):
    entry = Entry(path, kind, 0o644, size if kind == "f" else 0, target=target if kind == "l" else "")
    header = archive.header(entry)
    assert len(header) % archive.BLOCK == 0
    stream = io.BytesIO(header)
    with tarfile.open(fileobj=stream, errors="surrogateescape", encoding="utf-8") as tar:
        member = tar.next()
    assert (member.name, member.size) == (path, entry.size)
    assert member.linkname.rstrip("/") == entry.target.rstrip("/")


@law
@given(PATHS.flatmap(lambda path: st.tuples(entries(path), entries(path))))
def test_two_entries_have_the_same_header_only_when_a_tar_cannot_tell_them_apart(pair):
    one, other = ((entry.type, entry.mode, entry.size, entry.target) for entry in pair)
    assert (archive.header(pair[0]) == archive.header(pair[1])) == (one == other)


@law
@given(stored_files())
def test_a_layer_is_read_back_by_its_own_reader(rows):
    assert extracted(rows, tar_of(rows)) == {entry.path: data for entry, data in rows if entry.type == "f"}


@law
@given(stored_files().filter(len), st.data())
def test_a_changed_byte_of_the_framing_is_refused(rows, data):
    tar = bytearray(tar_of(rows))
    spans, end = [], 0
    for entry, content in rows:
        size = len(archive.header(entry))
        spans.append((end, end + size))
        end += size + len(content) + len(archive.padding(len(content)))
        spans.append((end - len(archive.padding(len(content))), end))
    spans.append((end, len(tar)))
    start, stop = data.draw(st.sampled_from([span for span in spans if span[0] < span[1]]))
    tar[data.draw(st.integers(start, stop - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedLayerError, match=r"layer unowned \(blob blob\): at .* it is not what its tree says"):
        extracted(rows, bytes(tar))


@law
@given(stored_files(), st.binary(min_size=1, max_size=1024))
def test_whatever_follows_the_end_is_refused(rows, more):
    with pytest.raises(DamagedLayerError, match="larger than it declares"):
        extracted(rows, tar_of(rows) + more)


@law
@given(stored_files(), st.data())
def test_a_tar_that_ends_early_is_refused(rows, data):
    tar = tar_of(rows)
    with pytest.raises(DamagedLayerError, match="ends too early"):
        extracted(rows, tar[: data.draw(st.integers(0, len(tar) - 1))])


@settings(law, max_examples=30)
@given(stored_files().filter(lambda rows: any(data for _, data in rows)), st.data())
def test_a_changed_byte_of_a_file_is_refused_when_it_is_unpacked(rows, data):
    position = data.draw(st.sampled_from([number for number, (_, content) in enumerate(rows) if content]))
    entry, content = rows[position]
    altered = bytearray(content)
    altered[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    tar = tar_of([*rows[:position], (entry, bytes(altered)), *rows[position + 1 :]])
    layer, tree = layer_of(rows, tar_of(rows))
    with tempfile.TemporaryDirectory() as directory:
        unpacker = Unpacker(directory, "layer x", lambda _: None)
        with pytest.raises(DamagedLayerError) as caught:
            read_layer(iter((tar,)), layer, tree, "blob", unpacker.take)
    assert f"{entry.path!r} does not have the digest" in str(caught.value)


@settings(law, max_examples=30)
@given(stored_files())
def test_unpacking_makes_the_files_and_nothing_else(rows):
    layer, tree = layer_of(rows, tar_of(rows))
    with tempfile.TemporaryDirectory() as directory:
        unpacker = Unpacker(directory, "layer x", lambda _: None)
        read_layer(iter((tar_of(rows),)), layer, tree, "blob", unpacker.take)
        root = os.fsencode(directory)
        made = {
            decode(os.path.relpath(os.path.join(top, name), root)) for top, _, names in os.walk(root) for name in names
        }
        assert made == {entry.path for entry in tree if entry.type == "f"}
        for entry, data in rows:
            if entry.type == "f":
                path = os.path.join(root, encode(entry.path))
                assert os.stat(path).st_mode & 0o7777 == entry.mode
                assert int(os.stat(path).st_mtime) == FIXED_MTIME
                with open(path, "rb") as file:
                    assert file.read() == data


@law
@given(PATHS.flatmap(entries))
def test_a_header_depends_on_nothing_that_is_not_in_the_tar(entry):
    bare = Entry(entry.path, entry.type, entry.mode, entry.size, target=entry.target)
    assert archive.header(bare) == archive.header(entry)
