"""What runs, within which bounds, and what is refused."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.bounds import GOALS, read_guard
from benchmarks.environments import choose_cache, variables
from benchmarks.errors import MissingToolError
from benchmarks.machine import file_system
from benchmarks.recipes import RECIPES
from benchmarks.selection import select
from benchmarks.tools import find_tool
from benchmarks.workloads.plan import FULL, QUICK
from benchmarks.workloads.plan import PLAN as WORKLOADS

PLAN = {"plain": ("capture", "warm"), "bytecode": ("capture", "warm"), "torch": ("memory",)}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (None, {"plain": ["capture", "warm"], "bytecode": ["capture", "warm"], "torch": ["memory"]}),
        (["torch"], {"torch": ["memory"]}),
        (["warm"], {"plain": ["warm"], "bytecode": ["warm"]}),
        (["plain/warm", "memory"], {"plain": ["warm"], "torch": ["memory"]}),
        (["plain", "warm"], {"plain": ["capture", "warm"], "bytecode": ["warm"]}),
    ],
)
def test_select(only, expected):
    assert select(PLAN, only) == expected


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"nothing is called plain/memory, tepid; known are bytecode, .*plain/warm"):
        select(PLAN, ["tepid", "warm", "plain/memory"])


def test_the_guard_leaves_out_only_tools_that_may_be_absent():
    absent = {key for key in GOALS if key.endswith(("-3", ".env-pack", ".restic-auto", ".tar-gz", ".venv-pack"))}
    assert set(read_guard()) == set(GOALS) - {"memory.torch"} - absent


def test_every_environment_of_the_plan_has_a_recipe():
    assert set(WORKLOADS) == set(RECIPES)
    assert {recipe.group for recipes in RECIPES.values() for recipe in recipes} == set(WORKLOADS)


def test_a_series_runs_from_old_to_new():
    dates = [recipe.date for recipe in RECIPES["series"]]
    assert dates == sorted(dates)
    assert len(dates) == 8


def test_what_is_quick_is_not_part_of_the_full_run():
    assert not set(FULL) & set(QUICK)


def test_a_guard_for_nothing(tmp_path):
    (tmp_path / "guard.json").write_text(json.dumps({"capture": 1, "lukewarm": 2}))
    with pytest.raises(ValueError, match="has bounds for lukewarm, which nothing measures"):
        read_guard(tmp_path / "guard.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write-docs", "--quick"], "--write-docs needs the real environments"),
        (["--quick", "--torch"], "leave out --torch"),
        (["--quick", "--scale"], "leave out one of both"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--only", "tepid"], "nothing is called tepid"),
    ],
)
def test_wrong_use(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_tool(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(MissingToolError, match=r"uv is neither in .* nor on PATH; install the dev extra"):
        find_tool("uv")
    assert main(["--quick", "--work", str(tmp_path / "work")]) == 2
    assert capsys.readouterr().err.startswith("benchmarks: error: envparity is neither in ")


def test_variables_that_would_change_a_contender_are_dropped(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("ENVPARITY_STORE", "/store")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    kept = variables(tmp_path)
    assert {"UV_LINK_MODE", "PYTHONPATH", "ENVPARITY_STORE"}.isdisjoint(kept)
    assert kept["HTTPS_PROXY"] == "http://proxy"
    assert kept["UV_CACHE_DIR"] == str(tmp_path)


def test_the_cache_of_uv_is_our_own_unless_one_is_given(tmp_path, monkeypatch):
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    assert choose_cache(tmp_path) == tmp_path / "uv-cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "given"))
    assert choose_cache(tmp_path) == tmp_path / "given"


def test_file_system():
    mounts = (
        "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "28 27 0:5 / /mnt rw shared:1 - tmpfs tmpfs rw\n"
        "29 28 0:6 / /mnt/a\\040b rw - xfs /dev/vdb rw\n"
    )
    assert file_system("/mnt/x", mounts) == "tmpfs"
    assert file_system("/mnt/a b/x", mounts) == "xfs"
    assert file_system("/mntx", mounts) == "ext4"
