"""`envparity size`, and what `capture` shows when something is too large, on snapshots of a real environment."""

from __future__ import annotations

import random
import re
import subprocess
import sys

import pytest

import snapshot
from registration.console import bar, percent, size
from snapshot.store import Store


def add(site, name, files, requires=""):
    note = site / f"{name}-1.0.dist-info"
    note.mkdir()
    (note / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}\n")
    for path, data in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    rows = [*files, f"{note.name}/METADATA", f"{note.name}/RECORD"]
    (note / "RECORD").write_text("".join(f"{row},,\n" for row in rows))


def noise(seed, size):
    return random.Random(seed).randbytes(size)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An environment, and a store with versions of it: those of `grown` are deltas."""
    root = tmp_path_factory.mktemp("size")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / "env"], check=True)
    (site,) = (root / "env").glob("lib/python3*/site-packages")
    add(site, "large", {"large/core.bin": noise(1, 60_000), "large/tests/data.bin": noise(2, 20_000)})
    add(site, "app", {"app/static/app.js": noise(3, 10_000), "app/app.py": b"x = 1\n"}, "Requires-Dist: large\n")
    add(site, "pip", {"pip/core.bin": noise(4, 5_000)})
    store = Store(root / "store")
    for name, seed, deltas in (
        ("grown/1", 20, True),
        ("grown/2", 21, True),
        ("churn/1", 11, False),
        ("churn/2", 12, False),
        ("churn/3", 12, False),
        ("single", 12, False),
    ):
        (site / "large" / "core.bin").write_bytes(noise(seed, 60_000))
        snapshot.capture(root / "env", store, name=name, interpreter=False, deltas=deltas)
    return root


@pytest.fixture
def run(envparity, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    envparity.store_path = made / "store"
    return envparity


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def row(text, first):
    (found,) = [line.rstrip() for line in text.splitlines() if line.startswith(first)]
    return re.split(r" {2,}", found)


def test_a_snapshot_by_its_layers(run):
    said = run("size", "churn/2").stdout
    found = run.json("size", "churn/2")
    assert all(len(line) <= 80 for line in said.splitlines())
    assert said.startswith(
        f"churn/2  {found['snapshot'][:19]}\n{size(found['packed_bytes'])} packed, {size(found['raw_bytes'])} unpacked;"
        " 0.0% of the limit of 1.00 GB\n\n"
    )
    assert row(said, "layer") == ["layer", "raw", "packed", "share"]
    large = found["layers"][0]
    share = f"{100 * large['packed_bytes'] / found['packed_bytes']:.1f}%"
    assert row(said, "large 1.0") == [
        "large 1.0",
        size(large["raw_bytes"]),
        size(large["packed_bytes"]),
        share,
        "#" * 20,
    ]
    assert lines(said)[4].startswith("large 1.0")
    assert row(said, "lists of files")[-1].strip("#") == ""
    saved = {each["what"]: each["packed_bytes"] for each in found["savings"]}
    assert saved.keys() == {"tests", "web assets", "pip", "app"}
    assert row(said, "tests") == ["tests", size(saved["tests"]), "--exclude '*/tests/*'"]
    assert row(said, "web assets") == ["web assets", size(saved["web assets"]), "--exclude '*/static/*'"]
    assert row(said, "pip  ") == ["pip", size(saved["pip"]), "--exclude dist:pip"]
    # What cannot be compressed is about as large as it is.
    assert (saved["tests"], saved["web assets"]) == (pytest.approx(20_000, rel=0.02), pytest.approx(10_000, rel=0.05))
    assert saved["pip"] == next(each["packed_bytes"] for each in found["layers"] if each["name"] == "pip")
    assert "\nNothing else in the environment requires these." in said
    assert lines(said)[-1] == f"  app {size(saved['app'])}"


def test_a_snapshot_as_json(run):
    found = run.json("size", "single", "--size-limit", "1MB")
    assert (found["name"], found["size_limit"]) == ("single", 1_000_000)
    assert found["packed_bytes"] == Store(run.store_path).manifest("single").packed_bytes
    parts = sum(each["packed_bytes"] for each in found["layers"]) + found["base_bytes"] + found["other_bytes"]
    assert parts == found["packed_bytes"]
    assert found["layers"][0]["name"] == "large"
    assert {each["kind"] for each in found["savings"]} >= {"files", "tool", "leaf"}
    assert found["savings"][0].keys() == {"kind", "what", "exclude", "option", "packed_bytes"}


def test_the_rest_is_one_line_unless_all_is_asked_for(run, monkeypatch):
    monkeypatch.setattr("registration.sizes.MOST", 2)
    said = run("size", "single").stdout
    assert "more layers (--all)" in said
    assert "pip 1.0" not in said
    said = run("size", "single", "--all").stdout
    assert "--all" not in said
    assert "pip 1.0" in said


def test_the_versions_of_a_name(run, made):
    said = run("size", "churn", "--budget", "1MB").stdout
    found = run.json("size", "churn", "--budget", "1MB")
    assert all(len(line) <= 80 for line in said.splitlines())
    total = found["total_bytes"]
    assert said.startswith(
        f"churn: 3 versions, {total / 1e3:.0f} kB together, {total / 1e4:.1f}% of the budget of 1.00 MB\n\nversion"
    )
    first, second, third = (row(said, f"{number} ") for number in (1, 2, 3))
    assert first[2] == first[3] == first[4]
    assert first[-1] == "#" * 20
    assert third[3:] == ["0 B", second[4]]
    assert row(said, "large  ")[1:] == ["1", size(found["growth"][0]["added_bytes"]), "#" * 20]
    assert found["budget"] == 1_000_000
    assert [each["name"] for each in found["versions"]] == ["churn/1", "churn/2", "churn/3"]
    assert sum(each["added_bytes"] for each in found["versions"]) == total == found["versions"][-1]["total_bytes"]
    assert found["growth"][0].keys() == {"name", "versions", "added_bytes"}
    assert (found["growth"][0]["name"], found["growth"][0]["versions"]) == ("large", 1)


def test_earlier_versions_are_one_line_unless_all_is_asked_for(run, monkeypatch):
    monkeypatch.setattr("registration.sizes.MOST", 1)
    said = run("size", "churn").stdout
    total = size(run.json("size", "churn")["versions"][1]["total_bytes"])
    assert row(said, "2 earlier (--all)") == ["2 earlier (--all)", total, total, "#" * 20]
    assert "--all" not in run("size", "churn", "--all").stdout


def test_deltas_and_their_bases(run):
    full, found = run.json("size", "grown/1"), run.json("size", "grown/2")
    said = run("size", "grown/2").stdout
    assert all(len(line) <= 80 for line in said.splitlines())
    large = found["layers"][0]
    assert (large["name"], large["delta"]) == ("large", True)
    # What both have, the tests, is only in the base, which is the first version's layer.
    assert large["packed_bytes"] == pytest.approx(60_000, rel=0.02)
    assert found["base_bytes"] == full["layers"][0]["packed_bytes"]
    assert row(said, "large 1.0")[1] == "delta"
    assert row(said, "app 1.0")[1] == "full"
    assert row(said, "bases of deltas")[1] == size(found["base_bytes"])
    parts = sum(each["packed_bytes"] for each in found["layers"]) + found["base_bytes"] + found["other_bytes"]
    assert parts == found["packed_bytes"]
    # Metadata is read out of deltas too: what is needless is known.
    assert {each["what"] for each in found["savings"]} >= {"pip", "app"}
    grown = run.json("size", "grown")
    assert grown["versions"][1]["added_bytes"] < full["packed_bytes"] - 15_000
    assert grown["total_bytes"] == full["packed_bytes"] + grown["versions"][1]["added_bytes"]


def test_limits_come_from_the_configuration(run, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.envparity]\nsize-limit = '2MB'\nbudget = '3MB'\n")
    assert "of the limit of 2.00 MB" in run("size", "churn/1").stdout
    assert "of the budget of 3.00 MB" in run("size", "churn").stdout


def test_what_is_not_there(run):
    assert run.error("size", "nope").startswith("no snapshot 'nope' in ")


def test_over_the_size_limit(run, made):
    said = run("capture", made / "env", "--no-interpreter", "--size-limit", "50kB", code=2, explained=True)
    assert not said.stdout
    last = lines(said.stderr)[-1]
    stored = run.json("size", "single")
    assert row(said.stderr, "large 1.0")[1] == size(stored["layers"][0]["packed_bytes"])
    tests = next(each["packed_bytes"] for each in stored["savings"] if each["what"] == "tests")
    assert row(said.stderr, "tests") == ["tests", size(tests), "--exclude '*/tests/*'"]
    assert "added after the first version" not in said.stderr
    assert re.fullmatch(
        r"envparity: error: the snapshot would have [\d.]+ kB packed, over the limit of 50\.0 kB; nothing was stored; "
        r"leave something out, or raise --size-limit",
        last,
    )


def test_over_the_budget(run, made):
    words = ("capture", made / "env", "--name", "churn/4", "--no-interpreter", "--exclude", "*/tests/*")
    before = run.json("list")
    said = run(*words, "--budget", "100kB", code=2, explained=True)
    last = lines(said.stderr)[-1]
    assert row(said.stderr, "added after the first version") == ["added after the first version", "versions", "bytes"]
    assert row(said.stderr, "large  ")[1] == "2"
    assert re.fullmatch(
        r"envparity: error: all versions of churn would have [\d.]+ kB, over the budget of 100\.0 kB; nothing was stored; "
        r"leave something out, run envparity optimize, remove versions that are not needed, or raise --budget",
        last,
    )
    both = run(*words, "--budget", "100kB", "--size-limit", "1kB", code=2, explained=True).stderr
    assert " over the limit of 1.0 kB, and all versions of churn would have " in both
    assert both.endswith("or raise --size-limit and --budget\n")
    assert run.json("list") == before


def test_bases_are_named_where_they_are_what_is_too_large(run, made, tmp_path):
    store = tmp_path / "store"
    (site,) = (made / "env").glob("lib/python3*/site-packages")
    run.store_path = store
    core = site / "large" / "core.bin"
    snapshot.capture(made / "env", Store(store), name="a/1", interpreter=False)
    before = core.read_bytes()
    core.write_bytes(before[:30_000] + noise(30, 30_000))
    try:
        words = (
            "capture",
            made / "env",
            "--name",
            "a/2",
            "--no-interpreter",
            "--size-limit",
            "125kB",
            "--no-fingerprint",
        )
        said = run(*words, code=2, explained=True).stderr
        assert row(said, "bases of deltas")[1] == size(run.json("size", "a/1")["layers"][0]["packed_bytes"])
        assert said.endswith(
            "nothing was stored; leave something out, capture with --no-deltas, or raise --size-limit\n"
        )
        assert re.search(
            r"; --no-deltas stores whole layers and does without 80\.\d kB of bases; ", run.error(*words, "--json")
        )
        run(*words, "--no-deltas")
    finally:
        core.write_bytes(before)


def test_with_json_an_error_is_one_line_with_all_of_it(run, made):
    said = run.error("capture", made / "env", "--no-interpreter", "--size-limit", "50kB", "--json")
    assert re.search(r"Largest: large 1\.0 80\.\d kB, app", said)
    assert re.search(r"--exclude '\*/tests/\*' saves about 20\.\d kB; ", said)


def test_what_was_left_out_is_said(envparity, made):
    said = envparity("capture", made / "env", "--no-interpreter", "--exclude", "*/tests/*", "--exclude", "nope").stdout
    assert "  exclude-unmatched (1)\n    nope: matches no file that could be left out\n" in said
    assert "  excluded (1)\n    */tests/*: left out: 1 file, 20,000 bytes\n" in said


@pytest.mark.parametrize(
    ("part", "whole", "plain", "fine"),
    [
        (0, 10, "", ""),
        (5, 0, "", ""),
        (1, 10_000, "#", "▏"),
        (5, 10, "##########", "██████████"),
        (10, 10, "#" * 20, "█" * 20),
        (51, 1000, "#", "█"),
        (56, 1000, "#", "█▏"),
    ],
)
def test_bars(part, whole, plain, fine):
    assert bar(part, whole, fine=False) == plain
    assert bar(part, whole, fine=True) == fine


def test_percent():
    assert percent(1, 3) == "33.3%"
    assert percent(0, 0) == "-"
