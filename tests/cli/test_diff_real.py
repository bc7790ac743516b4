"""`envparity diff` on real environments: the base of a virtual environment as a side, and secrets in what it reads."""

from __future__ import annotations

import subprocess
import sys

import pytest

CANARY = "canary8af3"
URL = f"https://me:{CANARY}@host/simple"
METADATA = f"Metadata-Version: 2.1\nName: tidy\nVersion: 1.0\nRequires-Dist: other @ {URL}\n"


@pytest.fixture
def prefix(tmp_path):
    path = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    return path


def site_of(prefix):
    return next(prefix.glob("lib/python3*/site-packages"))


@pytest.fixture
def secretive(prefix, tmp_path):
    """The same environment once more, with a secret wherever one can be pasted."""
    path = tmp_path / "serve"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    site = site_of(path)
    note = site / "tidy-1.0.dist-info"
    note.mkdir()
    for name, content in {
        "METADATA": METADATA,
        "RECORD": "".join(f"tidy-1.0.dist-info/{row},,\n" for row in ("METADATA", "RECORD")),
        "entry_points.txt": f"[plugins]\nsource = {URL}\n",
        "direct_url.json": f'{{"url": "{URL}?token={CANARY}", "archive_info": {{}}}}',
    }.items():
        (note / name).write_text(content)
    (site / "zz.pth").write_text(f"{URL}\nimport os; token = '{CANARY}'\n")
    (path / "pip.conf").write_text(f"[global]\nindex-url = {URL}\n")
    return path


@pytest.fixture
def variables(monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "PIP_INDEX_URL", "OMP_NUM_THREADS", "MKL_X", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, URL)
    monkeypatch.setenv("PYTHONPATH", f"/srv/x:{URL}")


@pytest.mark.environments
@pytest.mark.parametrize("form", ["text", "json", "html", "markdown", "junit", "sarif"])
@pytest.mark.usefixtures("variables")
def test_no_report_tells_a_secret(envparity, prefix, secretive, form, tmp_path):
    envparity("capture", secretive, "--name", "serve", "--no-interpreter")
    for words in ((prefix, secretive), ("serve", prefix)):
        said = envparity("diff", *words, "--no-fingerprint", "--format", form, code=1).output
        assert "tidy" in said
        assert CANARY not in said
    everything = envparity("diff", prefix, secretive, "--no-fingerprint", "--all", code=1).output
    assert CANARY not in everything


@pytest.mark.environments
def test_the_interpreters_own_prefix_is_a_side(envparity, prefix):
    """Its standard library lies elsewhere, and is the same."""
    report = envparity.json("diff", prefix, sys.base_prefix, "--no-fingerprint", code=None)
    standard = {each["subject"] for each in report["differences"] if each["rule"] == "module-resolution"}
    assert not standard & {"json", "os", "asyncio", "sqlite3"}
    assert all(each["rule"] != "search-path" for each in report["differences"])
