"""Describing without ids, and with what this node remembers: faster, and never another answer."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import diffing
import snapshot
from snapshot.facts.document import encode_facts
from snapshot.model import Kind, UnidentifiedError
from snapshot.serialize import encode_snapshot, encode_tree
from tests.handmade import HandMade


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    made = HandMade(Path(tmp_path_factory.mktemp("again")) / "env").make()
    (made.site / "third.py").write_bytes(b"value = 3\n")  # of the size of the others
    return made


@pytest.fixture
def env(plain, tmp_path):
    return plain.copy_to(tmp_path / "env")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def trusting(monkeypatch):
    """However young the files are, they are trusted: so that only what else a stamp covers can show an edit."""
    monkeypatch.setattr("snapshot.describing.SETTLED", -3600.0)


@pytest.fixture
def read(monkeypatch):
    """The kinds of the layers that were read."""
    from snapshot import describing

    kinds = []
    pack = describing.pack
    monkeypatch.setattr(
        "snapshot.describing.pack", lambda plan, *rest: (kinds.append((plan.kind, plan.name)), pack(plan, *rest))[1]
    )
    return kinds


def content(described):
    """All of a description but for the ids."""
    layers = [
        (each.kind, each.name, each.version, each.mount, each.tree, each.files, each.size, each.parity)
        for each in described.snapshot.layers
    ]
    trees = {digest: encode_tree(tree) for digest, tree in described.trees.items()}
    config = described.snapshot
    rest = (config.interpreter, config.environment, config.parity_root, described.findings)
    return layers, trees, rest, encode_facts(described.facts)


# -- without ids


def test_all_but_the_ids_is_the_same(env):
    with_ids, without = snapshot.describe(env.path), snapshot.describe(env.path, identify=False)
    assert content(with_ids) == content(without)
    assert with_ids.snapshot.identified
    assert not without.snapshot.identified
    assert {each.tar for each in without.snapshot.layers} == {None}
    assert diffing.compare(with_ids, without).equal


def test_large_files_and_long_names_have_the_size_of_their_tar(env, monkeypatch):
    monkeypatch.setattr("snapshot.pack.WHOLE", 100)
    (env.site / ("long" * 40 + ".bin")).write_bytes(b"x" * 5000)
    (env.site / "link-with-a-long-target").symlink_to("x" * 150)
    assert content(snapshot.describe(env.path)) == content(snapshot.describe(env.path, identify=False))


def test_what_has_no_id_cannot_be_encoded(env):
    described = snapshot.describe(env.path, identify=False)
    with pytest.raises(UnidentifiedError, match=r"layer .* was described without .* describe it with identify=True"):
        encode_snapshot(described.snapshot)


def test_its_side_of_a_report_shows_no_snapshot(env):
    side = diffing.Side("live", "environment", snapshot.describe(env.path, identify=False)).summary()
    identified = diffing.Side("live", "environment", snapshot.describe(env.path)).summary()
    assert side.snapshot is None
    assert identified.snapshot is not None
    assert (side.parity_root, side.strict_digest) == (identified.parity_root, identified.strict_digest)


# -- again


@pytest.mark.parametrize("identify", [True, False])
def test_what_has_not_been_touched_is_not_read_again(env, cache, trusting, read, identify):
    first = snapshot.describe(env.path, cache=cache, identify=identify)
    assert len(read) > 3
    read.clear()
    again = snapshot.describe(env.path, cache=cache, identify=identify)
    assert {kind for kind, _ in read} == {Kind.ENVIRONMENT}
    assert content(again) == content(first)
    assert again.snapshot == first.snapshot


def test_what_was_read_without_ids_is_read_again_for_one(env, cache, trusting):
    snapshot.describe(env.path, cache=cache, identify=False)
    fresh = snapshot.describe(env.path)
    assert snapshot.describe(env.path, cache=cache).snapshot == fresh.snapshot
    without = snapshot.describe(env.path, cache=cache, identify=False)
    assert without.snapshot == snapshot.describe(env.path, identify=False).snapshot
    assert snapshot.describe(env.path, cache=cache).snapshot == fresh.snapshot


def test_young_files_are_read_again(env, cache, read):
    """A second edit within one tick of the clock would not show in the change time."""
    snapshot.describe(env.path, cache=cache)
    read.clear()
    (env.site / "one.py").write_text("value = 8\n")
    snapshot.describe(env.path, cache=cache)
    assert (Kind.DISTRIBUTION, "one") in read


def same_size_same_time(env):
    path = env.site / "one.py"
    before = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def through_another_link(env):
    os.link(env.site / "one.py", env.path.parent / "elsewhere")
    snapshot.describe(env.path, cache=env.path.parent / "cache", identify=False)
    path = env.path.parent / "elsewhere"
    before = path.stat()
    path.write_bytes(bytes(reversed(path.read_bytes())))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_rename(env):
    path = env.site / "one.py"
    fresh = env.path.parent / "fresh"
    fresh.write_bytes(bytes(reversed(path.read_bytes())))
    shutil.copystat(path, fresh)
    fresh.rename(path)


def swapped(env):
    one, other = env.site / "one.py", env.site / "third.py"
    for source, target in ((one, "x"), (other, one), (env.site / "x", other)):
        os.rename(source, env.site / target)


def through_a_mapping(env):
    path = env.site / "one.py"
    before = path.stat()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = bytes(reversed(mapped[:]))
        mapped.flush()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS = {
    "of equal size, with its time set back": same_size_same_time,
    "through another hard link": through_another_link,
    "replaced by rename": replaced_by_rename,
    "swapped": swapped,
    "through a mapping": through_a_mapping,
    "its mode": lambda env: (env.site / "one.py").chmod(0o755),
    "a file less": lambda env: (env.site / "third.py").unlink(),
    "a file more": lambda env: (env.site / "more.py").write_text("more = 1\n"),
    "a link": lambda env: ((env.path / "link").unlink(), (env.path / "link").symlink_to("bin")),
    "a hook": lambda env: (env.site / "a.pth").write_text("import os\n"),
    "what RECORD says": lambda env: (env.site / "one-1.0.dist-info/RECORD").write_text(
        "one.py,,\none-1.0.dist-info/RECORD,,\n"
    ),
    "a file that two claim": lambda env: (env.path / "bin/tool").write_bytes(env.tool.replace(b"a tool", b"A TOOL")),
    "a distribution less": lambda env: shutil.rmtree(env.site / "one-1.0.dist-info"),
    "a directory that may not be written": lambda env: (env.path / "lib").chmod(0o555),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_no_edit_is_hidden(env, cache, trusting, edit):
    before = content(snapshot.describe(env.path, cache=cache, identify=False))
    edit(env)
    again = content(snapshot.describe(env.path, cache=cache, identify=False))
    assert again == content(snapshot.describe(env.path, identify=False))
    assert again != before


def test_a_file_that_changes_while_it_is_read_is_read_again(env, cache, trusting, monkeypatch):
    """It is edited between the look at it and the reading: what is remembered must not stand for what came after."""
    from snapshot import describing

    survey = describing.survey

    def and_then_edit(*words, **options):
        found = survey(*words, **options)
        same_size_same_time(env)
        return found

    monkeypatch.setattr("snapshot.describing.survey", and_then_edit)
    snapshot.describe(env.path, cache=cache, identify=False)
    monkeypatch.undo()
    monkeypatch.setattr("snapshot.describing.SETTLED", -3600.0)
    same_size_same_time(env)
    found = snapshot.describe(env.path, cache=cache, identify=False)
    assert content(found) == content(snapshot.describe(env.path, identify=False))


# -- the file in the cache


def kept(cache):
    (file,) = (cache / "described").iterdir()
    return file


def resealed(data):
    """With a checksum that fits."""
    rest = data.partition(b"\n")[2]
    return sha256(rest).hexdigest().encode() + b"\n" + rest


DAMAGES = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "cut off in the checksum": lambda data: data[:30],
    "a byte of a tree": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "a byte of the index": lambda data: data.replace(b'"parity":"sha256:', b'"parity":"sha256;', 1),
    "another parity digest": lambda data: data.replace(b'"parity":"sha256:', b'"parity":"sha256:f', 1),
    "something else": lambda data: b"[]\n" * 100,
    "another tree, resealed": lambda data: resealed(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]),
    "another prefix, resealed": lambda data: resealed(data.replace(b'"prefix":"', b'"prefix":"/other', 1)),
    "another version, resealed": lambda data: resealed(data.replace(b'"version":1}', b'"version":2}', 1)),
    "another form, resealed": lambda data: resealed(data.replace(b'"files":', b'"file":')),
    "no index, resealed": lambda data: resealed(b"\n[3]\n"),
    "an index too deep, resealed": lambda data: resealed(b"\n" + b"[" * 100_000 + b"\n"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_none(env, cache, trusting, damage):
    first = snapshot.describe(env.path, cache=cache)
    good = kept(cache).read_bytes()
    damaged = damage(good)
    assert damaged != good
    kept(cache).write_bytes(damaged)
    assert content(snapshot.describe(env.path, cache=cache)) == content(first)
    assert kept(cache).read_bytes() == good  # and it heals


def test_the_file_of_another_environment_says_nothing(env, plain, cache, trusting, read, tmp_path):
    other = plain.copy_to(tmp_path / "other")
    snapshot.describe(env.path, cache=cache)
    mine = kept(cache)
    snapshot.describe(other.path, cache=cache)
    (yours,) = set((cache / "described").iterdir()) - {mine}
    shutil.copy(mine, yours)
    read.clear()
    snapshot.describe(other.path, cache=cache)
    assert (Kind.DISTRIBUTION, "one") in read


def test_a_cache_that_cannot_be_written_is_done_without(env, tmp_path, trusting):
    nowhere = tmp_path / "file"
    nowhere.write_text("not a directory")
    assert content(snapshot.describe(env.path, cache=nowhere)) == content(snapshot.describe(env.path))


def test_only_some_environments_are_remembered(env, cache, trusting, monkeypatch):
    monkeypatch.setattr("snapshot.remembered._MOST", 2)
    (cache / "described").mkdir(parents=True)
    for number in range(3):
        old = cache / "described" / str(number).zfill(64)
        old.write_text("old")
        os.utime(old, (number, number))
    snapshot.describe(env.path, cache=cache)
    left = {path.name for path in (cache / "described").iterdir()}
    assert len(left) == 2
    assert str(2).zfill(64) in left


def test_what_is_too_large_is_not_kept(env, cache, trusting, monkeypatch):
    monkeypatch.setattr("snapshot.remembered._LARGEST", 1000)
    snapshot.describe(env.path, cache=cache)
    assert not (cache / "described").exists()


def _describe(path, cache):
    sys.exit(0 if snapshot.describe(path, cache=cache, identify=False).snapshot.layers else 1)


def test_two_processes_at_once(env, cache, trusting):
    processes = [
        multiprocessing.get_context("fork").Process(target=_describe, args=(env.path, cache)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert content(snapshot.describe(env.path, cache=cache)) == content(snapshot.describe(env.path))


def test_a_killed_process_leaves_nothing_wrong(env, cache, trusting):
    """Killed at the moment at which its file is complete but not yet in its place."""
    program = (
        "import os, signal, sys, snapshot, snapshot.describing as d\n"
        "d.SETTLED = -3600.0\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "snapshot.describe(sys.argv[1], cache=sys.argv[2])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program, env.path, cache], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.suffix for path in (cache / "described").iterdir()] == [".new"]
    first = snapshot.describe(env.path, cache=cache)
    assert content(first) == content(snapshot.describe(env.path))
    assert kept(cache).suffix == ""


def test_facts_see_where_a_link_leads(env, cache, trusting, tmp_path):
    """A library outside of the environment that a link in it leads to: a stamp covers the link alone."""
    library = tmp_path / "outside.so"
    library.write_bytes(b"")
    (env.site / "linked.so").symlink_to(library)
    snapshot.describe(env.path, cache=cache)
    shutil.copy("/proc/self/exe", library)
    fresh = snapshot.describe(env.path)
    assert encode_facts(snapshot.describe(env.path, cache=cache).facts) == encode_facts(fresh.facts)
