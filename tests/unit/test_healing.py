"""Damaged files in the cache: found whatever was done to them, replaced, and never handed on."""

from __future__ import annotations

import os
import shutil

import pytest

from snapshot import restore

from .placing import cached, good, published


@pytest.fixture
def store(tmp_path):
    return published(tmp_path)


def edited(path):
    with path.open("r+b") as opened:
        opened.write(b"a = 9\n")


def truncated(path):
    os.truncate(path, 0)


def deleted(path):
    path.unlink()


def replaced_by_a_directory(path):
    path.unlink()
    path.mkdir()
    (path / "inner").write_text("x")
    (path / "inner").chmod(0o444)


def replaced_by_a_link(path):
    path.unlink()
    path.symlink_to(path.with_name("run"))


def replaced_by_a_copy(path):
    """Another file's content, with the times kept: `cp -p`."""
    times = path.stat()
    path.write_bytes(b"a = 7\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1000))


def made_executable(path):
    path.chmod(0o755)


def appended_to(path):
    with path.open("ab") as opened:
        opened.write(b"b = 1\n")


def emptied_directory(path):
    shutil.rmtree(path.parent)


def parent_replaced_by_a_file(path):
    shutil.rmtree(path.parent)
    path.parent.write_text("a file")


HARM = [
    edited, truncated, deleted, replaced_by_a_directory, replaced_by_a_link, replaced_by_a_copy, made_executable, appended_to,
    emptied_directory, parent_replaced_by_a_file,
]  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("how", ["hardlink", "copy"])
def test_a_damaged_file_in_the_cache_is_healed_and_never_handed_on(store, tmp_path, harm, how):
    restore("x", tmp_path / "first", store, link="hardlink")
    harm(cached(store, "lib/a.py"))
    restore("x", tmp_path / "second", store, link=how)
    good(tmp_path / "second")
    assert cached(store, "lib/a.py").read_bytes() == b"a = 1\n"
    third = restore("x", tmp_path / "third", store, link="hardlink")
    good(tmp_path / "third")
    assert third.linked_files == 4


@pytest.mark.parametrize("harm", [edited, truncated, made_executable, appended_to])
def test_an_edit_through_a_link_stays_where_it_was_made(store, tmp_path, harm):
    """Healing makes a new file: what others have, they keep, and what one has edited is not undone behind his back."""
    restore("x", tmp_path / "first", store, link="hardlink")
    restore("x", tmp_path / "second", store, link="hardlink")
    harm(tmp_path / "first/lib/a.py")
    before = (tmp_path / "first/lib/a.py").read_bytes(), (tmp_path / "first/lib/a.py").stat()
    restore("x", tmp_path / "third", store, link="hardlink")
    good(tmp_path / "third")
    for name in ("first", "second"):
        path = tmp_path / name / "lib/a.py"
        assert (path.read_bytes(), path.stat().st_ino, path.stat().st_mode) == (
            before[0],
            before[1].st_ino,
            before[1].st_mode,
        )
    assert not (tmp_path / "third/lib/a.py").samefile(tmp_path / "first/lib/a.py")
    assert (tmp_path / "third/lib/run").samefile(tmp_path / "first/lib/run")


def test_an_edit_that_forges_size_and_time_is_found_by_full_verification(store, tmp_path):
    restore("x", tmp_path / "first", store, link="hardlink")
    path = tmp_path / "first/lib/a.py"
    times = path.stat()
    edited(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = restore("x", tmp_path / "second", store, link="hardlink", verify="full")
    assert done.verified == "full"
    good(tmp_path / "second")
    assert path.read_bytes() == b"a = 9\n"


@pytest.mark.parametrize("harm", [edited, truncated, deleted, replaced_by_a_directory])
def test_a_damaged_template_in_the_cache_is_healed(store, tmp_path, harm):
    restore("x", tmp_path / "first", store)
    harm(cached(store, "bin/tool"))
    restore("x", tmp_path / "second", store)
    good(tmp_path / "second")


def test_several_damaged_files_of_several_layers(store, tmp_path):
    restore("x", tmp_path / "first", store, link="hardlink")
    for path in ("lib/a.py", "lib/run", "lib/empty", "lib/other.py", "bin/tool"):
        cached(store, path).unlink()
    restore("x", tmp_path / "second", store, link="hardlink")
    good(tmp_path / "second")


def test_a_directory_of_the_cache_that_became_a_link_is_not_written_through(store, tmp_path):
    """Healing must not follow it: what lies behind is somebody else's."""
    restore("x", tmp_path / "first", store)
    directory = cached(store, "lib/a.py").parent
    outside = tmp_path / "outside"
    directory.rename(outside)
    directory.symlink_to(outside)
    (outside / "a.py").unlink()
    (outside / "a.py").write_bytes(b"theirs")
    restore("x", tmp_path / "second", store)
    good(tmp_path / "second")
    assert (outside / "a.py").read_bytes() == b"theirs"


def test_a_layer_that_is_gone_from_the_cache_is_unpacked_again(store, tmp_path):
    restore("x", tmp_path / "first", store)
    shutil.rmtree(cached(store, "lib/other.py").parent.parent)
    restore("x", tmp_path / "second", store)
    good(tmp_path / "second")
