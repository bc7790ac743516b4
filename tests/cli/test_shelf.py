"""`envparity list`, `inspect`, `remove` and `gc` on a real store."""

from __future__ import annotations

import errno
import os

import pytest


@pytest.fixture
def references(store, make):
    return [make.publish(store, make.training(), "churn/3"), make.publish(store, make.training(core=b"2"))]


def test_an_empty_store(envparity):
    assert envparity("list").stdout == f"no snapshots in {envparity.store_path}; envparity capture makes one\n"
    assert envparity.json("list") == {"store": str(envparity.store_path), "snapshots": []}
    assert not envparity.store_path.exists()


def test_list(envparity, store, references):
    said = envparity("list").stdout
    heading, first, second = said.splitlines()
    assert heading.split() == ["name", "snapshot", "created", "(UTC)", "python", "dists", "packed"]
    assert first.split()[:2] == ["churn/3", references[0].snapshot[:19]]
    assert first.split()[4:6] == ["3.11.7", "1"]
    assert second.split()[:2] == ["-", references[1].snapshot[:19]]
    assert all(len(line) <= 80 for line in said.splitlines())
    document = envparity.json("list")["snapshots"]
    assert document[0] == {
        "name": "churn/3",
        "snapshot": references[0].snapshot,
        "created": references[0].created,
        "python": "3.11.7",
        "distributions": 1,
        "parity_root": store.snapshot("churn/3").parity_root,
        "packed_bytes": store.manifest("churn/3").packed_bytes,
        "error": None,
    }


def test_a_lost_index_is_said(envparity, store, references):
    """With the next capture the store would have one, and a collection would delete all that is not in it."""
    index = store.cache.parent / "index.json"
    kept = index.read_bytes()
    index.unlink()
    for options in ((), ("--json",)):
        said = envparity.error("list", *options)
        assert said.startswith(
            f"{store} has no index.json: snapshots were published, and nothing says under which names"
        )
    (problem,) = [each for each in envparity.json("check", code=1)["problems"] if each["kind"] == "missing"]
    assert problem["path"] == "index.json"
    assert "put a copy of index.json in its place before the next capture" in problem["detail"]
    index.write_bytes(kept)
    assert envparity("check")


def test_blobs_of_a_capture_that_never_ended_are_no_lost_index(envparity, store):
    with store.begin() as batch:
        batch.put(b"{}")
        batch._staging.publish()
    assert "no snapshots in" in envparity("list").stdout


def test_a_long_name_is_folded_to_80_columns(envparity, store, make):
    name = "a-rather-long-name-for-a-model/2025-12-01"
    make.publish(store, make.training(), name)
    said = envparity("list").stdout.splitlines()
    assert all(len(line) <= 80 for line in said)
    assert "".join(line.split()[0] for line in said[1:]) == name


def test_a_damaged_snapshot_hides_no_other(envparity, references):
    blob = envparity.store_path / "blobs" / "sha256" / references[0].manifest.digest.hex
    blob.unlink()
    said = envparity("list", code=1).stdout
    assert "damaged" in said
    assert references[1].snapshot[:19] in said
    assert said.endswith("1 snapshot cannot be read; envparity check says why\n")
    document = envparity.json("list", code=1)["snapshots"]
    assert references[0].manifest.digest in document[0]["error"]
    assert document[1]["error"] is None


def test_inspect(envparity, store, references):
    said = envparity("inspect", "churn").stdout
    config = store.snapshot("churn/3")
    for text in (
        "churn/3",
        references[0].snapshot,
        config.parity_root,
        "cpython 3.11.7, linux-x86_64",
        "4 files in 2 layers",
    ):
        assert text in said
    assert said.splitlines()[-2:] == ["distributions 1", "  click 8.1.7"]
    document = envparity.json("inspect", references[0].snapshot[:12])
    assert document["distributions"] == [{"name": "click", "version": "8.1.7"}]
    assert document["parity_root"] == config.parity_root
    assert document["interpreter"]["captured"] is False
    assert (document["files"], document["layers"]) == (4, 2)
    assert document["packed_bytes"] == store.manifest("churn").packed_bytes


def test_inspect_layers(envparity, store, references):
    said = envparity("inspect", "churn", "--layers").stdout
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "click 8.1.7" in said
    rows = envparity.json("inspect", "churn", "--layers")["layers"]
    found = store.snapshot("churn").layers[0]
    assert rows[0] == {
        "kind": "distribution",
        "name": "click",
        "version": "8.1.7",
        "mount": "",
        "files": 2,
        "raw_bytes": found.size,
        "packed_bytes": store.manifest("churn").content[found.diff_id].size,
        "blob": store.manifest("churn").content[found.diff_id].digest,
        "diff_id": found.diff_id,
        "tree": found.tree,
        "parity": found.parity,
    }


def test_inspect_files(envparity, library, references, make):
    library.environments[references[0].snapshot] = make.training()
    assert envparity("inspect", "churn", "--files").stdout.splitlines() == [
        "0755      2 B  unowned  bin/own",
        "0644      5 B  click 8.1.7  lib/click/__init__.py",
        "0644      1 B  click 8.1.7  lib/click/core.py",
        "0644      0 B  unowned  odd\\n\\xff",
    ]
    rows = envparity.json("inspect", "churn", "--files")["files"]
    assert [row["path"] for row in rows] == ["bin/own", "lib/click/__init__.py", "lib/click/core.py", "odd\n\udcff"]
    assert (rows[0]["mode"], rows[0]["size"], rows[0]["owner"]) == ("0755", 2, "unowned")


def test_inspect_findings(envparity, library, references, make):
    from dataclasses import replace

    found = make.Finding("unowned", "zz.pth", "no distribution owns it")
    library.environments[references[0].snapshot] = replace(make.training(), findings=(found,))
    assert envparity("inspect", "churn", "--findings").stdout == (
        "unowned          zz.pth\n                 no distribution owns it\n"
    )
    assert envparity.json("inspect", "churn", "--findings")["findings"] == [
        {"kind": "unowned", "path": "zz.pth", "detail": "no distribution owns it"}
    ]
    library.environments[references[0].snapshot] = make.training()
    assert envparity("inspect", "churn", "--findings").stdout == "no findings: nothing was odd about this environment\n"


def test_inspect_of_an_unknown_snapshot(envparity, references):
    said = envparity.error("inspect", "chrun")
    assert "no snapshot 'chrun'" in said
    assert "churn/3" in said


def test_remove_and_gc(envparity, store, references):
    assert envparity("remove", "churn/3").stdout == (
        f"removed churn/3  {references[0].snapshot[:19]}; envparity gc frees what only it needed\n"
    )
    assert [found.snapshot for found in store.references()] == [references[1].snapshot]
    assert envparity.json("remove", references[1].snapshot) == {"name": None, "snapshot": references[1].snapshot}
    assert store.references() == ()
    blobs = list((envparity.store_path / "blobs" / "sha256").iterdir())
    freed = sum(blob.stat().st_size for blob in blobs)
    kept = envparity.json("gc", "--dry-run")
    assert (kept["blobs"], kept["kept_blobs"], kept["kept_bytes"]) == (0, len(blobs), freed)
    assert envparity.json("gc", "--grace", "0") == {
        "blobs": len(blobs),
        "bytes": freed,
        "layers": 0,
        "full": False,
        "leftovers": 0,
        "kept_blobs": 0,
        "kept_bytes": 0,
        "kept_until": None,
        "removed": ["churn/3", references[1].snapshot[:19]],
        "rebased": 0,
        "dry_run": False,
    }
    assert envparity("gc").stdout == (
        "freed 0 B of the store: 0 blobs; forgot 0 unpacked layers; removed 0 left by interrupted commands\n"
    )


def test_gc_on_a_full_disk_says_what_it_left(envparity, references, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("snapshot.collecting.rebase", full)
    envparity("remove", "churn/3")
    said = envparity("gc", "--grace", "0").stdout
    assert "the disk was full, so deltas that need a removed layer keep it: envparity optimize frees that\n" in said
    assert "\nfreed " in said
