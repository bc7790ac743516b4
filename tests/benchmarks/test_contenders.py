"""Each way to keep environments: what it packs comes back, and its caches do not count."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from benchmarks.contenders import env_pack
from benchmarks.contenders.archives import tar_gz, tar_zstd
from benchmarks.contenders.borg import Borg
from benchmarks.contenders.casync import Casync
from benchmarks.contenders.env_pack import EnvPack
from benchmarks.contenders.hashed import HashedTar, hashed_copy
from benchmarks.contenders.lineup import SLOW, line_up
from benchmarks.contenders.ours import Envparity
from benchmarks.contenders.restic import Restic
from benchmarks.contenders.venv_pack import VenvPack
from benchmarks.recipes import Recipe
from benchmarks.tools import Rivals, Tools, find_rivals
from tests.benchmarks.conftest import built

NAMES = ("envparity", "uv", "tar", "zstd", "cp", "sh", "env")


def tools(**changes):
    return Tools(*(changes.get(name) or shutil.which(name) or f"/nowhere/{name}" for name in NAMES))


def call(command):
    return subprocess.run([os.fspath(part) for part in command], check=True, capture_output=True, text=True).stdout


def make_tree(path):
    (path / "lib" / "deep").mkdir(parents=True)
    (path / "lib" / "a.py").write_text("a = 1\n" * 1000)
    (path / "lib" / "deep" / "b.so").write_bytes(os.urandom(300_000))
    (path / "lib64").symlink_to("lib")


def listing(path):
    found = {}
    for item in sorted(path.rglob("*")):
        name = item.relative_to(path).as_posix()
        found[name] = os.readlink(item) if item.is_symlink() else item.read_bytes() if item.is_file() else None
    return found


PACKERS = {
    "zstd": lambda: tar_zstd(tools()),
    "tar": lambda: tar_gz(tools()),
    "sha256sum": lambda: HashedTar(tools()),
    "borg": lambda: Borg(shutil.which("borg"), tools().env, 3),
    "restic": lambda: Restic(shutil.which("restic"), tools().env, "max"),
    "casync": lambda: Casync(shutil.which("casync")),
}


@pytest.mark.parametrize("program", PACKERS)
def test_what_is_packed_comes_back(tmp_path, program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not on PATH")
    packer, place, prefix, destination = PACKERS[program](), *(tmp_path / name for name in ("place", "env", "restored"))
    place.mkdir()
    destination.mkdir()
    make_tree(prefix)
    for version in ("1", "2"):
        packer.prepare(place, prefix, call)
        call(packer.pack(place, prefix, version).argv)
        if version == "1":
            first = packer.kept(place)
    call(packer.unpack(place, "2", destination).argv)
    # restic keeps whole paths.
    inside = destination / os.fspath(prefix).lstrip("/")
    assert listing(inside if inside.exists() else destination) == listing(prefix)
    assert first > 300_000
    assert (packer.kept(place) < 1.5 * first) is packer.shares


def test_what_hashes_too_has_the_digest_of_every_file(tmp_path):
    prefix, place = tmp_path / "env", tmp_path / "place"
    place.mkdir()
    make_tree(prefix)
    call(HashedTar(tools()).pack(place, prefix, "1").argv)
    call(hashed_copy(tools(), prefix, tmp_path / "copy", place / "copied").argv)
    assert listing(tmp_path / "copy") == listing(prefix)
    wanted = {
        f"./{path.relative_to(prefix)}": sha256(path.read_bytes()).hexdigest()
        for path in prefix.rglob("*")
        if path.is_file() and "lib64" not in path.parts
    }
    for name in ("1.tar.zst.files", "copied"):
        rows = [line.split(maxsplit=1) for line in (place / name).read_text().splitlines()]
        assert {path: digest for digest, path in rows} == wanted


@pytest.mark.parametrize("cache", ["base", "cache"])
def test_caches_do_not_count(tmp_path, cache):
    for directory in ("repository", "cache", "base", "blobs"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "file").write_bytes(b"12345")
    packer = {"base": Borg("/borg", "/env", 3), "cache": Restic("/restic", "/env", "auto")}[cache]
    assert packer.kept(tmp_path) == 5
    assert Envparity("/envparity").kept(tmp_path) == 15


def test_ours_is_told_what_to_leave_out(tmp_path):
    command = Envparity("/envparity").pack(tmp_path, Path("/env"), "2025-01-01")
    assert command.argv == (
        *("/envparity", "--store", str(tmp_path), "capture", "/env", "--name", "m/2025-01-01"),
        *("--no-interpreter", "--no-bytecode", "--json"),
    )
    assert command.shown == "envparity --store STORE capture ENV --name NAME/VERSION --no-interpreter --no-bytecode"
    said = json.dumps({"seconds": 0.5, "packed_bytes": 7, "snapshot": "sha256:1"}).encode()
    assert command.collect(said) == {"seconds": 0.5, "packed_bytes": 7}


FAKE_PACKER = """\
import contextlib, os, pathlib, sys, tempfile
@contextlib.contextmanager
def pack_env_for_databricks_model_serving(model):
    note = pathlib.Path(model, "_databricks")
    note.mkdir()
    facts = [sys.prefix, os.environ["DATABRICKS_RUNTIME_VERSION"], tempfile.gettempdir(), open(model + "/MLmodel").read()]
    (note / "facts").write_text("\\n".join(facts))
    yield model
"""


def test_the_packer_of_mlflow_finds_what_it_asks_for(tmp_path):
    site, place = tmp_path / "site" / "mlflow" / "utils", tmp_path / "place"
    site.mkdir(parents=True)
    place.mkdir()
    for package in (site.parent, site):  # or the real one would come first, where there is one
        (package / "__init__.py").touch()
    (site / "env_pack.py").write_text(FAKE_PACKER)
    command = EnvPack(Path(sys.executable), tools()).pack(place, Path("/some/env"), "1")
    assert command.argv[1] == "-I"
    # Without -I, so that the made-up mlflow can be imported.
    environ = {**os.environ, "PYTHONPATH": os.fspath(tmp_path / "site")}
    done = subprocess.run([command.argv[0], *command.argv[2:]], env=environ, check=True, capture_output=True)
    facts = (place / "1" / "_databricks" / "facts").read_text().splitlines()
    assert facts == ["/some/env", "client.2.5", str(place), "databricks_runtime: client.2.5", "flavors: {}"]
    assert command.collect(done.stdout).keys() == {"seconds"}
    # What was packed counts, the model does not.
    assert EnvPack(Path(sys.executable), tools()).kept(place) == len("\n".join(facts)) + 1


def test_the_link_that_doubles_everything_can_be_hidden(tmp_path):
    prefix = tmp_path / "series-2025-01-01" / "env"
    place = tmp_path / "everything" / "env-pack"
    make_tree(prefix)
    place.mkdir(parents=True)
    packer = EnvPack(Path("/python"), tools(), linkless=True)
    packer.prepare(place, prefix, call)
    view = Path(packer.pack(place, prefix, "1").argv[-2])
    assert os.listdir(view) == ["lib"]
    assert listing(view / "lib") == listing(prefix / "lib")
    assert (prefix / "lib64").is_symlink()


def with_packer(tmp_path, *dates):
    """Versions of a series; only the newest has an mlflow with the packer."""
    versions = [built(Recipe(f"series-{date}", (), "", date=date), tmp_path / date) for date in dates]
    utils = versions[-1].prefix / "lib/python3.11/site-packages/mlflow/utils"
    utils.mkdir(parents=True)
    (utils / "env_pack.py").touch()
    return versions


def test_the_newest_version_with_the_packer_packs_all(tmp_path):
    versions = with_packer(tmp_path, "2025-01-01", "2025-02-01")
    assert env_pack.find(versions) is versions[1]
    assert env_pack.find(versions[:1]) is None


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return os.fspath(path)


ALL = Rivals({name: f"/usr/bin/{name}" for name in ("borg", "restic", "casync", "venv-pack")}, {})


def test_everyone_takes_part(tmp_path):
    lineup = line_up(tools(), ALL, with_packer(tmp_path, "2025-01-01"))
    assert set(lineup.others) == {
        *("borg-3", "borg-10", "restic-auto", "restic-max", "casync", "tar-zstd", "tar-gz", "venv-pack"),
        *("env-pack", "env-pack-linkless"),
    }
    assert lineup.full.options[-1] == "--no-deltas"
    assert lineup.absent == {}


def test_who_is_absent_has_a_reason(tmp_path):
    lineup = line_up(tools(), Rivals({}, {"borg": "not on PATH"}), [built(Recipe("a", (), ""), tmp_path)])
    assert set(lineup.others) == {"tar-zstd", "tar-gz"}
    assert lineup.absent == {
        "borg": "not on PATH",
        "MLflow env_pack": "no version of this series has an mlflow with this packer",
    }


def test_a_quick_look_does_without_the_slow_ones(tmp_path):
    lineup = line_up(tools(), ALL, with_packer(tmp_path, "2025-01-01"), quick=True)
    assert set(lineup.others).isdisjoint(SLOW)
    assert lineup.absent["venv-pack"] == "too slow for a quick look"
    assert lineup.whole is None


def test_what_is_not_on_path_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    script(tmp_path / "restic", "exit 0")
    rivals = find_rivals(tmp_path, tools(), {}, print, quick=True)
    assert rivals.found == {"restic": str(tmp_path / "restic")}
    assert rivals.absent == {
        "borg": "borg is not on PATH (Debian's package borgbackup)",
        "casync": "casync is not on PATH (Debian's package casync)",
        "venv-pack": "it is not installed for a quick look",
    }


def test_an_installation_that_fails_leaves_venv_pack_out(tmp_path):
    offline = script(tmp_path / "uv", "echo no such package >&2; exit 1")
    rivals = find_rivals(tmp_path, tools(uv=offline), {"PATH": "/bin"}, lambda _text: None)
    assert rivals.absent["venv-pack"] == "venv-pack==0.2.0 could not be installed: no such package"


def test_venv_pack_writes_a_file_a_version(tmp_path):
    command = VenvPack("/venv-pack", "/bin/tar").pack(tmp_path, Path("/env"), "1")
    assert command.argv == ("/venv-pack", "--quiet", "--prefix", "/env", "--output", str(tmp_path / "1.tar.gz"))
