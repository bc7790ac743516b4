"""From the cache into a tree: which way files are put there, and what becomes of damaged ones."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from snapshot import place, restore
from snapshot.bytecode import stale_because
from snapshot.interpreter import run_probe
from snapshot.model import FIXED_MTIME, Kind
from snapshot.place import LinkError
from snapshot.restoring import DestinationError
from snapshot.store import Store
from tests.building import ENVIRONMENT, INTERPRETER, built, file, link, publish

ROWS = (
    file("lib/a.py", b"a = 1\n"),
    file("lib/run", b"#!/bin/sh\n", 0o755),
    file("lib/shut", b"read only", 0o444),
    file("lib/empty"),
    file("lib/also_empty"),
    file("bin/tool", b"#!/bin/python\n", 0o755, at=((2, "prefix"),)),
    link("lib64", "lib"),
)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    publish(made, built(*ROWS), built(file("lib/other.py", b"b = 2\n"), kind=Kind.DISTRIBUTION, name="other"))
    return made


def can_reflink(directory):
    source, target = directory / "from", directory / "to"
    source.write_bytes(b"x")
    try:
        place._reflink(os.fsencode(source), os.fsencode(target), 0o644, 0)
    except OSError:
        return False
    finally:
        source.unlink()
        target.unlink(missing_ok=True)
    return True


def cached(store, path):
    """Where the cache has a file."""
    (found,) = Path(store.cache, "layers").glob(f"*/{path}")
    return found


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and ".envparity" not in path.parts
    }


def good(env):
    """What every restore to `env` must have made, however it was done."""
    assert contents(env) == {
        "lib/a.py": b"a = 1\n",
        "lib/run": b"#!/bin/sh\n",
        "lib/shut": b"read only",
        "lib/empty": b"",
        "lib/also_empty": b"",
        "lib/other.py": b"b = 2\n",
        "bin/tool": f"#!{env}/bin/python\n".encode(),
    }
    modes = {path: stat.S_IMODE((env / path).stat().st_mode) for path in contents(env)}
    assert modes == {
        "lib/a.py": 0o644,
        "lib/run": 0o755,
        "lib/shut": 0o444,
        "lib/empty": 0o644,
        "lib/also_empty": 0o644,
        "lib/other.py": 0o644,
        "bin/tool": 0o755,
    }
    assert all(int((env / path).stat().st_mtime) == FIXED_MTIME for path in modes)
    assert os.readlink(env / "lib64") == "lib"


@pytest.mark.parametrize("how", ["auto", "hardlink", "copy"])
def test_each_way_makes_the_same(store, tmp_path, how):
    for name in ("cold", "warm"):
        done = restore("x", tmp_path / name, store, link=how)
        good(tmp_path / name)
        # Four files that are the same everywhere, two empty ones, a template, the receipt.
        assert done.linked_files + done.written_files == 8
        assert done.linked_files == (0 if how == "copy" else 4)
        assert how in (done.link, "auto")


def test_hard_links_share_the_caches_files(store, tmp_path):
    restore("x", tmp_path / "one", store, link="hardlink")
    restore("x", tmp_path / "two", store, link="hardlink")
    for path in ("lib/a.py", "lib/run", "lib/shut"):
        assert (tmp_path / "one" / path).samefile(tmp_path / "two" / path)
        assert (tmp_path / "one" / path).samefile(cached(store, path))


def test_empty_files_are_never_linked(store, tmp_path):
    """They are all the same content: their one inode would run out of links."""
    restore("x", tmp_path / "env", store, link="hardlink")
    for path in ("lib/empty", "lib/also_empty"):
        assert (tmp_path / "env" / path).stat().st_nlink == 1
        assert cached(store, path).stat().st_nlink == 1


def test_copies_share_nothing(store, tmp_path):
    restore("x", tmp_path / "env", store, link="copy")
    assert {(tmp_path / "env" / path).stat().st_nlink for path in contents(tmp_path / "env")} == {1}


def test_reflinks_where_there_are_none(store, tmp_path):
    if can_reflink(tmp_path):
        pytest.skip("this file system has reflinks")
    assert restore("x", tmp_path / "env", store, link="auto").link == "hardlink"
    with pytest.raises(LinkError) as caught:
        restore("x", tmp_path / "other", store, link="reflink")
    message = " ".join(map(str, caught.value.args))
    assert "cannot reflink from the cache to " in message
    assert message.endswith("use --link auto or copy, or a store on the same file system")
    assert sorted(os.listdir(tmp_path)) == ["env", "store"]


def test_reflinks_where_there_are(store, tmp_path):
    if not can_reflink(tmp_path):
        pytest.skip("this file system has no reflinks")
    assert restore("x", tmp_path / "env", store, link="reflink").link == "reflink"
    good(tmp_path / "env")
    assert (tmp_path / "env/lib/a.py").stat().st_nlink == 1


@pytest.fixture
def elsewhere(tmp_path):
    """A directory on another file system."""
    for parent in ("/dev/shm", "/run", "/var/tmp", "/tmp"):
        if os.access(parent, os.W_OK) and os.stat(parent).st_dev != os.stat(tmp_path).st_dev:
            directory = Path(tempfile.mkdtemp(dir=parent))
            break
    else:
        pytest.skip("there is no other file system to write to")
    yield directory
    shutil.rmtree(directory)


def test_another_file_system_gets_copies(store, elsewhere):
    done = restore("x", elsewhere / "env", store)
    assert (done.link, done.linked_files) == ("copy", 0)
    good(elsewhere / "env")


@pytest.mark.parametrize("how", ["hardlink", "reflink"])
def test_another_file_system_is_an_error_when_links_were_asked_for(store, elsewhere, how):
    with pytest.raises(LinkError) as caught:
        restore("x", elsewhere / "env", store, link=how)
    assert f"cannot {how} from the cache to {elsewhere}/" in " ".join(map(str, caught.value.args))
    assert os.listdir(elsewhere) == []


def test_a_file_that_has_all_the_links_it_can_have_is_copied(store, tmp_path, monkeypatch):
    restore("x", tmp_path / "first", store)
    original = os.link

    def full(source, target):
        if source.endswith(b"/a.py"):
            raise OSError(errno.EMLINK, "Too many links", source)
        original(source, target)

    monkeypatch.setattr(place.os, "link", full)
    done = restore("x", tmp_path / "env", store, link="hardlink")
    assert (done.link, done.linked_files) == ("hardlink", 3)
    good(tmp_path / "env")
    assert (tmp_path / "env/lib/a.py").stat().st_nlink == 1
    assert (tmp_path / "env/lib/run").samefile(cached(store, "lib/run"))


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_whatever_says_that_links_do_not_work_leads_to_copies(store, tmp_path, monkeypatch, code):
    restore("x", tmp_path / "first", store)

    def refused(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(place.os, "link", refused)
    monkeypatch.setattr(place, "_reflink", refused)
    done = restore("x", tmp_path / "env", store)
    assert (done.link, done.linked_files) == ("copy", 0)
    good(tmp_path / "env")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_whatever_is_broken_is_no_reason_to_copy(store, tmp_path, monkeypatch, code):
    restore("x", tmp_path / "first", store)

    def broken(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(place.os, "link", broken)
    with pytest.raises(OSError, match=os.strerror(code) if code == errno.EIO else "no space left"):
        restore("x", tmp_path / "env", store, link="hardlink")
    assert sorted(os.listdir(tmp_path)) == ["first", "store"]


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


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o002, 0o000])
def test_modes_do_not_depend_on_the_umask(store, tmp_path, umask):
    before = os.umask(umask)
    try:
        restore("x", tmp_path / "cold", store)
        restore("x", tmp_path / "warm", store, link="copy")
    finally:
        os.umask(before)
    for name in ("cold", "warm"):
        good(tmp_path / name)
        for path in (".", "lib", "bin", ".envparity"):
            assert stat.S_IMODE((tmp_path / name / path).stat().st_mode) == 0o755, path
        assert stat.S_IMODE((tmp_path / name / ".envparity/restored.json").stat().st_mode) == 0o644


@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_bytecode_that_is_compiled_in_place_is_valid_and_readable_by_all(tmp_path, umask):
    probe = run_probe(sys.executable, sys.prefix)
    fields = ("implementation", "version", "cache_tag", "soabi", "platform")
    executable = os.path.relpath(os.path.realpath(probe.executable), os.path.realpath(probe.base))
    known = {name: getattr(probe, name) for name in fields}
    interpreter = replace(INTERPRETER, captured=False, executable=executable, **known)
    store = Store(tmp_path / "store")
    source = file("lib/where.py", b"WHERE = ''\n", at=((9, "prefix"),))
    broken = file("lib/broken.py", b"not python at all ''\n", at=((19, "prefix"),))
    environment = replace(ENVIRONMENT, bytecode="compiled")
    publish(store, built(source, broken), interpreter=interpreter, environment=environment)
    before = os.umask(umask)
    try:
        restore("x", tmp_path / "env", store, python=sys.executable)
    finally:
        os.umask(before)
    assert (tmp_path / "env/lib/where.py").read_text() == f"WHERE = '{tmp_path}/env'\n"
    (made,) = (tmp_path / "env/lib/__pycache__").iterdir()
    status = (tmp_path / "env/lib/where.py").stat()
    assert stale_because(made.read_bytes(), probe.magic, int(status.st_mtime), status.st_size, lambda: "") is None
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(made.stat().st_mode) == 0o644


def test_a_read_only_directory_of_the_snapshot(tmp_path):
    from snapshot.model import Entry

    store = Store(tmp_path / "store")
    publish(store, built((Entry("shut", "d", 0o555), b""), file("shut/a", b"1"), link("shut/l", "a")))
    restore("x", tmp_path / "env", store)
    assert stat.S_IMODE((tmp_path / "env/shut").stat().st_mode) == 0o555
    assert (tmp_path / "env/shut/l").read_bytes() == b"1"


def test_what_is_written_is_written_whole(tmp_path, monkeypatch):
    """`write` may take less than it was given."""
    original = os.write
    monkeypatch.setattr(place.os, "write", lambda fd, data: original(fd, bytes(data[:7])))
    place.write_file(os.fsencode(tmp_path / "a"), b"0123456789" * 5, 0o444, 5_000_000_000)
    status = (tmp_path / "a").stat()
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 5
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o444, 5_000_000_000)


def test_nothing_is_written_over_or_through(tmp_path):
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "link").symlink_to("victim")
    (tmp_path / "dangling").symlink_to("made")
    for name in ("victim", "link", "dangling"):
        with pytest.raises(FileExistsError):
            place.write_file(os.fsencode(tmp_path / name), b"x", 0o644, 0)
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "made").exists()


def test_the_digest_of_what_cannot_be_read_is_none(tmp_path):
    assert place.digest_of_file(os.fsencode(tmp_path / "gone")) == ""
    assert place.digest_of_file(os.fsencode(tmp_path)) == ""


def test_a_destination_that_is_a_dangling_link(store, tmp_path):
    (tmp_path / "link").symlink_to("gone")
    with pytest.raises(DestinationError) as caught:
        restore("x", tmp_path / "link", store)
    message = " ".join(map(str, caught.value.args))
    assert str(tmp_path / "link") in message
    assert "choose another destination" in message
    assert sorted(os.listdir(tmp_path)) == ["link", "store"]
