"""From the cache into a tree: which way files are put there, and with which modes and times."""

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
from snapshot.place import LinkError
from snapshot.restoring import DestinationError
from snapshot.store import Store
from tests.building import ENVIRONMENT, INTERPRETER, built, file, link, publish

from .placing import cached, contents, good, published


@pytest.fixture
def store(tmp_path):
    return published(tmp_path)


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


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o2770, 0o500])
def test_an_empty_directory_keeps_its_mode(store, tmp_path, mode):
    place = tmp_path / "env"
    place.mkdir()
    place.chmod(mode)
    restore("x", place, store)
    assert stat.S_IMODE(place.stat().st_mode) == mode
    place.chmod(0o755)
    good(place)


def test_a_destination_below_a_file(store, tmp_path):
    (tmp_path / "file").write_text("")
    for path, said in (("file", "is a file; choose"), ("file/env", "lies below a file; choose")):
        with pytest.raises(DestinationError, match=f"{tmp_path / path} {said} another destination"):
            restore("x", tmp_path / path, store)


@pytest.fixture
def of_another(store, tmp_path):
    """The cache's layers belong to somebody else, who may change them at any time."""
    restore("x", tmp_path / "first", store)
    for directory, _, files in os.walk(store.cache):
        for path in (directory, *(os.path.join(directory, name) for name in files)):
            try:
                os.chown(path, 12345, 12345, follow_symlinks=False)
            except PermissionError:
                pytest.skip("only root gives files to others")
    return store


def test_nothing_is_shared_with_another_user(of_another, tmp_path):
    """root may link anybody's files: what is linked could be changed afterwards, in an environment that root runs."""
    done = restore("x", tmp_path / "env", of_another)
    assert (done.link, done.linked_files) == ("copy", 0)
    good(tmp_path / "env")
    assert {(tmp_path / "env" / path).stat().st_nlink for path in contents(tmp_path / "env")} == {1}
    with pytest.raises(LinkError) as caught:
        restore("x", tmp_path / "other", of_another, link="hardlink")
    assert "it is another user's, who could change what is linked; use --link auto" in str(caught.value.args[1])
    assert not (tmp_path / "other").exists()


def test_another_users_files_are_read_however_good_they_look(of_another, tmp_path):
    forged = cached(of_another, "lib/a.py")
    before = forged.stat()
    forged.chmod(0o644)
    forged.write_bytes(b"x" * before.st_size)
    forged.chmod(before.st_mode)
    os.utime(forged, ns=(before.st_mtime_ns, before.st_mtime_ns))
    (blueprint,) = (of_another.cache / "blueprints").iterdir()
    blueprint.write_bytes(blueprint.read_bytes().replace(b'"lib/a.py"', b'"lib/b.py"'))  # it is theirs, too
    os.chown(blueprint, 12345, 12345)
    restore("x", tmp_path / "env", of_another)
    good(tmp_path / "env")
    assert cached(of_another, "lib/a.py").stat().st_uid == os.geteuid()  # unpacked anew


def test_a_pipe_in_another_users_cache_is_no_file(of_another, tmp_path):
    forged = cached(of_another, "lib/a.py")
    forged.parent.chmod(0o755)
    forged.unlink()
    os.mkfifo(forged)
    restore("x", tmp_path / "env", of_another)
    good(tmp_path / "env")


def test_a_layer_that_a_group_may_write_is_not_trusted(store, tmp_path):
    before = os.umask(0o002)
    try:
        restore("x", tmp_path / "one", store)
    finally:
        os.umask(before)
    layers = list((store.cache / "layers").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in layers} == {0o755}
    assert restore("x", tmp_path / "two", store).linked_files
    for path in layers:
        path.chmod(0o775)
    assert restore("x", tmp_path / "three", store).linked_files == 0


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

    def full(source, target, **options):
        if source.endswith(b"/a.py"):
            raise OSError(errno.EMLINK, "Too many links", source)
        original(source, target, **options)

    monkeypatch.setattr(place.os, "link", full)
    done = restore("x", tmp_path / "env", store, link="hardlink")
    assert (done.link, done.linked_files) == ("hardlink", 3)
    good(tmp_path / "env")
    assert (tmp_path / "env/lib/a.py").stat().st_nlink == 1
    assert (tmp_path / "env/lib/run").samefile(cached(store, "lib/run"))


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_whatever_says_that_links_do_not_work_leads_to_copies(store, tmp_path, monkeypatch, code):
    restore("x", tmp_path / "first", store)

    def refused(*_, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(place.os, "link", refused)
    monkeypatch.setattr(place, "_reflink", refused)
    done = restore("x", tmp_path / "env", store)
    assert (done.link, done.linked_files) == ("copy", 0)
    good(tmp_path / "env")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_whatever_is_broken_is_no_reason_to_copy(store, tmp_path, monkeypatch, code):
    restore("x", tmp_path / "first", store)

    def broken(*_, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(place.os, "link", broken)
    with pytest.raises(OSError, match=os.strerror(code) if code == errno.EIO else "no space left"):
        restore("x", tmp_path / "env", store, link="hardlink")
    assert sorted(os.listdir(tmp_path)) == ["first", "store"]


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
