"""The whole command on a real environment: nothing stands in for anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

METADATA = "Metadata-Version: 2.1\nName: tidy\nVersion: 1.0\n"
RECORD = "tidy.py,,\ntidy-1.0.dist-info/METADATA,,\ntidy-1.0.dist-info/RECORD,,\n"


@pytest.fixture
def prefix(tmp_path):
    """A virtual environment with one distribution. No index is needed for it."""
    path = tmp_path / "training"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    (site,) = path.glob("lib/python3*/site-packages")
    (site / "tidy-1.0.dist-info").mkdir()
    for name, content in (("METADATA", METADATA), ("RECORD", RECORD)):
        (site / "tidy-1.0.dist-info" / name).write_text(content)
    (site / "tidy.py").write_text("answer = 42\n")
    return path


def site_of(prefix):
    return next(prefix.glob("lib/python3*/site-packages"))


def test_from_capture_to_gc(envparity, prefix, tmp_path):
    serving = tmp_path / "serving"
    captured = envparity.json("capture", prefix, "--name", "churn/3", "--no-interpreter")
    assert captured["distributions"] == 1

    restored = envparity.json("restore", "churn", serving)
    assert restored["snapshot"] == captured["snapshot"]
    assert restored["destination"] == str(serving)
    said = subprocess.run(
        [restored["python"], "-c", "import sys, tidy; print(sys.prefix, tidy.answer)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{serving} 42\n"

    assert envparity.json("verify", "churn/3")["ok"] is True
    assert envparity.json("verify", serving)["ok"] is True
    for one, other in (("churn/3", serving), (prefix, serving), (prefix, "churn")):
        report = envparity.json("diff", one, other)
        assert (report["passed"], report["differences"]) == (True, [])
        assert report["train"]["parity_root"] == report["serve"]["parity_root"] == captured["parity_root"]

    again = envparity.json("capture", serving, "--no-interpreter")
    assert again["parity_root"] == captured["parity_root"]
    # Equal environments have equal ids; the second capture has another record (another prefix), so it may be listed too.
    listed = envparity.json("list")["snapshots"]
    assert listed[0]["name"] == "churn/3"
    assert {row["parity_root"] for row in listed} == {captured["parity_root"]}

    assert "tidy 1.0" in envparity("inspect", "churn").stdout
    files = {row["path"]: row for row in envparity.json("inspect", "churn", "--files")["files"]}
    assert files[str((site_of(prefix) / "tidy.py").relative_to(prefix))]["owner"] == "tidy 1.0"

    assert envparity.json("check") == {"ok": True, "problems": []}
    envparity("remove", "churn/3")
    for row in envparity.json("list")["snapshots"]:
        envparity("remove", row["snapshot"])
    assert envparity.json("gc", "--grace", "0")["blobs"] > 0
    assert envparity.json("list")["snapshots"] == []


def test_what_was_changed_after_the_restore_is_named(envparity, prefix, tmp_path):
    serving = tmp_path / "serving"
    envparity("capture", prefix, "--name", "churn", "--no-interpreter")
    envparity("restore", "churn", serving, "--link", "copy")
    site = site_of(serving)
    inside = site.relative_to(serving)
    (site / "tidy.py").chmod(0o644)
    (site / "tidy.py").write_text("answer = 43\n")
    (site / "zz.pth").write_text("import os\n")
    (site / "tidy-1.0.dist-info" / "METADATA").unlink()

    problems = envparity.json("verify", serving, code=1)["problems"]
    assert {(problem["kind"], problem["path"]) for problem in problems} >= {
        ("modified", f"{inside}/tidy.py"),
        ("added", f"{inside}/zz.pth"),
        ("missing", f"{inside}/tidy-1.0.dist-info/METADATA"),
    }

    found = envparity.json("diff", "churn", serving, code=1)["differences"]
    assert {f"{inside}/tidy.py", f"{inside}/zz.pth"} <= {each["path"] for each in found}


def test_errors(envparity, prefix, tmp_path):
    assert "no Python environment" in envparity.error("capture", tmp_path)
    envparity("capture", prefix, "--name", "churn", "--no-interpreter")
    assert "training is not empty" in envparity.error("restore", "churn", prefix)
    assert (
        "over the limit of 1.0 kB" in envparity("capture", prefix, "--size-limit", "1kB", code=2, explained=True).stderr
    )
    assert len(envparity.json("list")["snapshots"]) == 1


def test_the_facts_of_a_captured_environment(envparity, prefix):
    envparity("capture", prefix, "--name", "churn", "--no-interpreter")
    text = envparity("inspect", "churn", "--facts").stdout
    assert all(len(line) <= 80 for line in text.splitlines())
    found = envparity.json("inspect", "churn", "--facts")
    assert found["name"] == "churn"
    assert found["missing"] == [name for name in ("numeric",) if name not in found["facts"]]
    assert f"\nmachine       {found['facts']['host']['machine']}, " in text
    names = {each["name"] for each in found["facts"]["variables"]["items"]}
    assert names
    assert names <= set(text.split())
