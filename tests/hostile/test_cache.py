"""What lies in the cache: another snapshot's layers, or a cache that came with the store."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from hashlib import sha256

import pytest

from snapshot import SnapshotError
from snapshot.blueprint import file_time
from tests.building import built, file, link

from .conftest import listing

# Two files of one size and one time, so that a quick look cannot tell them apart. Found by trying a million.
GOOD = b"print('as trained')   # 0000000\n"
EVIL = b"print('not trained')  # 0904750\n"


def test_the_two_files_look_alike():
    assert len(GOOD) == len(EVIL)
    assert file_time(sha256(GOOD).hexdigest()) == file_time(sha256(EVIL).hexdigest())


@pytest.mark.parametrize("verify", ["quick", "full"])
def test_a_snapshot_cannot_put_its_files_in_place_of_anothers(ground, verify):
    """A layer that claims the diff_id of a good one must not be what the good snapshot is restored from."""
    good, evil = built(file("m.py", GOOD)), built(file("m.py", EVIL))
    evil.layer = replace(evil.layer, tar=good.layer.diff_id)
    ground.publish(evil, name="evil")
    ground.publish(good, name="good")
    with contextlib.suppress(SnapshotError):
        ground.restore("evil")
    ground.destination = ground.place / "good"
    ground.restore("good", verify=verify)
    assert (ground.destination / "m.py").read_bytes() == GOOD


def blueprint_path(ground):
    (path,) = (ground.root / "store" / "cache" / "blueprints").iterdir()
    return path


HARM = {
    "a directory": lambda row: row["directories"].append("../evil"),
    "an absolute directory": lambda row: row["directories"].append("/tmp/evil"),
    "a layer's directory": lambda row: row["files"][0][6].append("../evil"),
    "a file": lambda row: row["files"][0].__setitem__(2, ["../evil"]),
    "a mount": lambda row: row["files"][0].__setitem__(1, ".."),
    "a template": lambda row: row["templates"][0].__setitem__(0, "../evil"),
    "a template's origin": lambda row: row["templates"][0].__setitem__(3, "../../../../../victim"),
    "a link": lambda row: row["links"][0].__setitem__(0, "../evil"),
    "a mode": lambda row: row["read_only"].append(".."),
    "a source": lambda row: row["sources"].__setitem__("x", "../evil"),
    "an interpreter": lambda row: row.__setitem__("executable", "../../../bin/sh"),
    "a NUL": lambda row: row["directories"].append("a\0b"),
    "another type": lambda row: row["directories"].append(5),
    "another format": lambda row: row.__setitem__("format", -1),
    "another snapshot": lambda row: row.__setitem__("snapshot", "sha256:" + "0" * 64),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_blueprint_in_the_cache_cannot_reach_outside(ground, harm):
    """It is made anew from the store, and the restore is as good as ever."""
    ground.publish(
        built(file("a", b"1"), file("d/t", b"x", at=((0, "prefix"),)), link("d/l", "t"), file("e/x", b"2", 0o755))
    )
    ground.restore()
    expected = {path: row[3] for path, row in listing(ground.destination).items()}
    path = blueprint_path(ground)
    row = json.loads(path.read_bytes())
    harm(row)
    path.write_text(json.dumps(row))
    first, ground.destination = ground.destination, ground.place / "two"
    before = listing(ground.root)
    ground.restore()
    after = listing(ground.root)
    outside = {name for name in after if not name.startswith(("place/two", "store/cache/"))}
    assert {name: after[name] for name in outside if name != "place"} == {
        name: row for name, row in before.items() if name in outside and name != "place"
    } | {name: after[name] for name in outside if name.startswith("place/env")}
    again = {path: row[3] for path, row in listing(ground.destination).items()}
    places = [(again, ground.destination), (expected, first)]
    known, wanted = ({k: v.replace(str(at).encode(), b"") for k, v in rows.items()} for rows, at in places)
    assert known == wanted


@pytest.mark.parametrize("damage", [b"", b"{", b"[" * 100_000, b"null", b"[]", b"{}", b"\xff", b"5"])
def test_a_damaged_blueprint_is_made_anew(ground, damage):
    ground.publish(built(file("a", b"1")))
    ground.restore()
    blueprint_path(ground).write_bytes(damage)
    ground.destination = ground.place / "two"
    ground.restore()
    assert (ground.destination / "a").read_bytes() == b"1"
    assert json.loads(blueprint_path(ground).read_bytes())["directories"] == []
