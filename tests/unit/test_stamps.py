"""What makes a stamp another one, and that a damaged file of stamps is the same as none."""

from __future__ import annotations

import errno
import json
import os

import pytest

from snapshot.facts.memory import Memory
from snapshot.facts.model import Facts
from snapshot.model import Finding, Kind
from snapshot.plan import Item, Plan
from snapshot.scan import walk
from snapshot.stamps import Stamps, stamp
from tests.building import built, file

LATER = 2**40
LAYER = built(file("a", b"1")).layer
FINDINGS = (Finding("modified", "\udcff", "é"),)
KEY = "distribution|x|1.0|"


def plan_of(root, **how):
    items = [Item(found) for _, found in sorted(walk(str(root)).items())]
    return Plan(Kind.DISTRIBUTION, "x", "1.0", "", str(root), items, **how)


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "env"
    (path / "d").mkdir(parents=True)
    (path / "a").write_bytes(b"1")
    (path / "d/b").write_bytes(b"2")
    (path / "l").symlink_to("a")
    return path


def same_times(path, change):
    """Change a file and put its times back, as a careless copy does; its change time cannot be put back."""
    before = os.lstat(path)
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns), follow_symlinks=False)


def rewrite(path, data):
    path.write_bytes(data)


def relink(path):
    path.unlink()
    path.symlink_to("b")


CHANGES = {
    "content of the same size": lambda root: same_times(root / "a", lambda: rewrite(root / "a", b"9")),
    "size": lambda root: rewrite(root / "a", b"longer"),
    "mode": lambda root: os.chmod(root / "a", 0o755),
    "time": lambda root: os.utime(root / "a", (1, 1)),
    "a new file": lambda root: rewrite(root / "c", b""),
    "a removed file": lambda root: (root / "d/b").unlink(),
    "a renamed file": lambda root: (root / "a").rename(root / "z"),
    "a link's target": lambda root: same_times(root / "l", lambda: relink(root / "l")),
    "a file in place of a link": lambda root: ((root / "l").unlink(), rewrite(root / "l", b"1")),
    "a directory's mode": lambda root: os.chmod(root / "d", 0o555),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_makes_another_stamp(root, change):
    before = stamp(plan_of(root), "facts", LATER)
    assert stamp(plan_of(root), "facts", LATER) == before
    # So that the clock's tick is another one, whatever the file system's resolution.
    while os.stat(root).st_ctime_ns == os.stat(_touched(root)).st_ctime_ns:
        pass
    change(root)
    assert stamp(plan_of(root), "facts", LATER) != before


def _touched(root):
    path = root.parent / "clock"
    path.write_bytes(b"")
    return path


def test_everything_that_decides_how_a_plan_is_packed_is_in_it(root):
    items = plan_of(root).items
    plans = [
        Plan(Kind.DISTRIBUTION, "x", "1.0", "", str(root), items),
        Plan(Kind.UNOWNED, "x", "1.0", "", str(root), items),
        Plan(Kind.DISTRIBUTION, "y", "1.0", "", str(root), items),
        Plan(Kind.DISTRIBUTION, "x", "1.1", "", str(root), items),
        Plan(Kind.DISTRIBUTION, "x", "1.0", ".envparity/python", str(root), items),
        Plan(Kind.DISTRIBUTION, "x", "1.0", "", f"{root}2", items),
        Plan(Kind.DISTRIBUTION, "x", "1.0", "", str(root), items, portable=True),
        Plan(Kind.DISTRIBUTION, "x", "1.0", "", str(root), [Item(item.found, "ab" * 32) for item in items]),
        Plan(Kind.DISTRIBUTION, "x", "1.0", "", str(root), [Item(item.found, source=items[0]) for item in items]),
    ]
    stamps = {stamp(plan, "facts", LATER) for plan in plans} | {stamp(plans[0], "other facts", LATER)}
    assert len(stamps) == len(plans) + 1
    assert None not in stamps


def test_a_file_that_is_too_young_is_not_trusted(root):
    newest = max(os.lstat(root / name).st_ctime for name in ("a", "d/b", "l", "d"))
    assert stamp(plan_of(root), "facts", newest) is None
    assert stamp(plan_of(root), "facts", newest + 1) is not None


def test_a_source_that_is_too_young_is_not_trusted(root):
    plan = plan_of(root)
    (root / "young").touch()
    young = Item(walk(str(root))["young"])
    limit = young.found.stat.st_ctime
    kept = [item for item in plan.items if item.found.stat.st_ctime < limit]
    assert stamp(Plan(Kind.BYTECODE, "x", None, "", str(root), [Item(kept[0].found, source=young)]), "", limit) is None


def test_bytecode_that_the_capture_compiles_has_no_stamp(root):
    plan = plan_of(root)
    plan.items[0].real = b"/elsewhere"
    plan.items[0].source = plan.items[1]
    assert stamp(plan, "facts", LATER) is None


def test_a_link_that_is_captured_as_the_file_elsewhere_says_which(root):
    plans = [plan_of(root) for _ in range(3)]
    for plan, real in zip(plans, (None, b"/etc/a", b"/etc/b"), strict=True):
        plan.items[0].real = real
    assert len({stamp(plan, "facts", LATER) for plan in plans} - {None}) == 3


def kept(tmp_path, mark="stamp"):
    stamps = Stamps(tmp_path, "/env")
    stamps.add(KEY, mark, LAYER, FINDINGS)
    stamps.save()
    return stamps


def test_what_was_kept_is_found_again(tmp_path):
    kept(tmp_path)
    again = Stamps(tmp_path, "/env")
    assert again.find(KEY, "stamp") == (LAYER, FINDINGS)
    assert again.find(KEY, "another") is None
    assert again.find(KEY, None) is None
    assert again.find("another", "stamp") is None
    assert Stamps(tmp_path, "/other").find(KEY, "stamp") is None


def test_what_was_not_found_this_time_is_forgotten(tmp_path):
    kept(tmp_path)
    stamps = Stamps(tmp_path, "/env")
    stamps.add("new", "stamp", LAYER, ())
    stamps.save()
    again = Stamps(tmp_path, "/env")
    assert again.find(KEY, "stamp") is None
    assert again.find("new", "stamp") == (LAYER, ())


def test_without_a_stamp_nothing_is_kept(tmp_path):
    kept(tmp_path, None)
    assert Stamps(tmp_path, "/env").find(KEY, None) is None


def test_saving_leaves_one_file(tmp_path):
    kept(tmp_path)
    kept(tmp_path, "again")
    assert [path.suffix for path in (tmp_path / "stamps").iterdir()] == [".json"]


DOCUMENTS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b"\xff",
    b"[" * 100_000,
    {KEY: None},
    {KEY: []},
    {KEY: {"stamp": "stamp"}},
    {KEY: {"stamp": "stamp", "layer": None, "findings": []}},
    {KEY: {"stamp": "stamp", "layer": {}, "findings": []}},
    {KEY: {"stamp": "stamp", "layer": "GOOD", "findings": None}},
    {KEY: {"stamp": "stamp", "layer": "GOOD", "findings": [5]}},
    {KEY: {"stamp": "stamp", "layer": "GOOD", "findings": [["a", "b"]]}},
    {KEY: {"stamp": "stamp", "layer": "GOOD", "findings": [["a", [], {}]]}},
    {KEY: {"stamp": "stamp", "layer": "GOOD", "findings": [[1, 2, 3]]}},
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_damaged_file_is_the_same_as_none(tmp_path, document):
    kept(tmp_path)
    (path,) = (tmp_path / "stamps").iterdir()
    if not isinstance(document, bytes):
        good = json.loads(path.read_bytes())[KEY]["layer"]
        row = document[KEY]
        if isinstance(row, dict) and row.get("layer") == "GOOD":
            document = {KEY: {**row, "layer": good}}
        document = json.dumps(document).encode()
    path.write_bytes(document)
    damaged = Stamps(tmp_path, "/env")
    assert damaged.find(KEY, "stamp") is None
    damaged.add(KEY, "stamp", LAYER, FINDINGS)
    damaged.save()
    assert Stamps(tmp_path, "/env").find(KEY, "stamp") == (LAYER, FINDINGS)


def test_who_may_neither_read_nor_write_stamps_does_without(tmp_path, monkeypatch):
    """The cache may be another user's: a capture that was published has not failed because of it."""
    kept(tmp_path)
    (path,) = (tmp_path / "stamps").iterdir()
    path.chmod(0o000)
    (tmp_path / "stamps").chmod(0o555)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the way here may be closed to others
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        stamps = Stamps(".", "/env")
        assert stamps.find(KEY, "stamp") is None
        stamps.add(KEY, "stamp", LAYER, FINDINGS)
        stamps.save()
    finally:
        if user == 0:
            os.seteuid(0)
        (tmp_path / "stamps").chmod(0o755)
    assert os.listdir("stamps") == [path.name]


def _stamped(cache, prefix):
    stamps = Stamps(cache, prefix)
    stamps.add(KEY, "stamp", LAYER, FINDINGS)
    stamps.save()


def _with_facts(cache, prefix):
    memory = Memory(cache, prefix)
    memory.add("files", "stamp", Facts())
    memory.save()


@pytest.mark.parametrize(
    ("kind", "module", "keep"), [("stamps", "stamps", _stamped), ("facts", "facts.memory", _with_facts)]
)
def test_only_some_prefixes_are_remembered(tmp_path, monkeypatch, kind, module, keep):
    """Machines that build have each environment in a place of its own, and none of them ever comes again."""
    monkeypatch.setattr(f"snapshot.{module}._MOST", 2)
    paths = []
    for number in range(4):
        keep(tmp_path, f"/env{number}")
        (made,) = {*(tmp_path / kind).iterdir()} - set(paths)
        os.utime(made, (number, number))
        paths.append(made)
    assert sorted((tmp_path / kind).iterdir()) == sorted(paths[2:])


def test_a_disk_that_is_full_only_makes_the_next_capture_longer(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("snapshot.stamps.replace_cached", full)
    _stamped(tmp_path, "/env")
    assert not (tmp_path / "stamps").exists()


def test_two_that_forget_the_same_file(tmp_path, monkeypatch):
    """Between the look at the directory and that at a file, another capture takes the file away."""
    monkeypatch.setattr("snapshot.stamps._MOST", 1)
    _stamped(tmp_path, "/a")
    (made,) = (tmp_path / "stamps").iterdir()
    os.utime(made, (0, 0))
    scandir = os.scandir

    class Listing:
        def __init__(self, path):
            self.items = list(scandir(path))
            made.unlink()

        def __enter__(self):
            return iter(self.items)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Listing)
    _stamped(tmp_path, "/b")
    assert not made.exists()
    assert len(os.listdir(tmp_path / "stamps")) == 1
