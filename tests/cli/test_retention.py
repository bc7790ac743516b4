"""`envparity tag`, `retain`, and `gc` with its grace period, on a real store."""

from __future__ import annotations

import pytest


@pytest.fixture
def versions(store, make):
    return [make.publish(store, make.training(core=str(number).encode()), f"churn/{number}") for number in range(1, 4)]


def test_tag(envparity, store, versions):
    short = versions[0].snapshot[:19]
    assert envparity("tag", "churn/1", "churn/production").stdout == f"tagged {short} as churn/production\n"
    assert envparity.json("tag", versions[1].snapshot[:12], "churn/production") == {
        "name": "churn/production",
        "snapshot": versions[1].snapshot,
    }
    assert store.resolve("churn/production").snapshot == versions[1].snapshot
    assert len(store.references()) == 4


def test_tag_of_nothing(envparity, versions):
    assert "no snapshot 'chrun'" in envparity.error("tag", "chrun", "x")
    assert "cannot name a snapshot" in envparity.error("tag", "churn/1", "a b")


def test_retain(envparity, store, versions):
    said = envparity("retain", "churn", "--keep-last", 1, "--dry-run").stdout
    assert len(store.references()) == 3
    lines = [line.rstrip() for line in said.splitlines()]
    assert [line.split()[0] for line in lines] == ["name", "churn/1", "churn/2", "churn/3", "would"]
    assert lines[1].endswith("would be removed")
    assert lines[3].endswith("kept: the newest version")
    assert lines[4].startswith("would remove 2 references; envparity gc frees ")
    assert all(len(line) <= 80 for line in lines)
    done = envparity("retain", "churn", "--keep-last", 1).stdout.splitlines()
    assert done[1].rstrip().endswith("  removed")
    assert done[4].startswith("removed 2 references; envparity gc frees ")
    assert [each.name for each in store.references()] == ["churn/3"]
    assert envparity("retain", "churn", "--keep-last", 1).stdout.endswith("\nnothing to remove\n")


def test_retain_as_json(envparity, store, versions):
    envparity("tag", "churn/1", "churn/production")
    document = envparity.json("retain", "churn", "--older-than", "0", "--keep-tagged", "--dry-run")
    free = document.pop("free_bytes")
    assert document == {
        "name": "churn",
        "dry_run": True,
        "removed": [{"name": "churn/2", "snapshot": versions[1].snapshot, "created": versions[1].created}],
        "kept": [
            {"name": name, "snapshot": each.snapshot, "created": each.created, "reason": reason}
            for name, each, reason in [
                ("churn/1", versions[0], "tagged churn/production"),
                ("churn/3", versions[2], "the newest version"),
                ("churn/production", versions[0], "a tag"),
            ]
        ],
    }
    assert envparity.json("retain", "churn", "--older-than", "0", "--keep-tagged")["free_bytes"] == free
    assert envparity.json("gc", "--grace", "0")["bytes"] == free


def test_retain_that_frees_an_unknown_amount(envparity, store, versions, make):
    other = make.publish(store, make.training(click="9"), "other")
    (envparity.store_path / "blobs" / "sha256" / other.manifest.digest.hex).unlink()
    said = envparity("retain", "churn", "--keep-last", 2).stdout
    assert said.endswith("removed 1 reference; envparity gc frees what only it needed an hour later\n")


def test_retain_without_rules(envparity, versions):
    said = envparity.error("retain", "churn", "--keep-tagged")
    assert said.startswith("nothing says what may go: give --keep-last, --older-than or both")
    assert "is no duration" in envparity.error("retain", "churn", "--older-than", "soon")
    assert "no snapshot in" in envparity.error("retain", "chrun", "--keep-last", 1)
    envparity.error("retain", "churn", "--keep-last", 0)


def test_gc_says_what_it_keeps(envparity, store, versions):
    envparity("remove", "churn/1")
    size = envparity.json("gc", "--dry-run")["kept_bytes"]
    assert size > 0
    lines = envparity("gc").stdout.splitlines()
    assert lines[0].startswith("freed 0 B of the store: 0 blobs;")
    assert lines[1].startswith("kept ")
    assert lines[1].endswith(" that were removed or written less than 1 hour ago;")
    assert lines[2].startswith("a gc after 20")
    assert lines[2].endswith(" (UTC) deletes all of them, gc --grace 0 does it now")
    assert "less than 90 days ago" in envparity("gc", "--grace", "90d").stdout
    assert "is no duration" in envparity.error("gc", "--grace", "1")
    assert all(len(line) <= 80 for line in lines[1:])


def test_gc_dry_run(envparity, store, versions):
    envparity("remove", "churn/1")
    said = envparity("gc", "--grace", "0", "--dry-run").stdout.splitlines()
    assert said[0] == "would free what only churn/1 needed"
    assert said[1].startswith("would free ")
    assert said[1].endswith("; would forget 0 unpacked layers")
    document = envparity.json("gc", "--grace", "0", "--dry-run")
    assert document["removed"] == ["churn/1"]
    done = envparity.json("gc", "--grace", "0")
    assert (document.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert document == done
    assert envparity.json("gc", "--grace", "0")["blobs"] == 0
