"""Applying the plan to a copy of an environment makes it what the other one is: nothing differs any more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import snapshot
from diffing import compare, fixing
from diffing.requirements import observe, read
from diffing.sides import Side

from .conftest import clean, run, uv, uv_venv

pytestmark = pytest.mark.environments

TRAIN = ("six==1.16.0", "click==8.1.7", "idna==3.7", "PyYAML==6.0.2")


def made(path, *pins):
    found = uv_venv(path)
    # Copies: a test that edits a file must not edit the cache that uv would link it from.
    run(uv(), "pip", "install", "--link-mode", "copy", "--python", found.python, "--no-deps", *pins)
    return found


def side(environment):
    return Side(os.fspath(environment), "environment", snapshot.describe(environment))


@pytest.fixture
def apply(tmp_path):
    """Run a plan's commands as a shell would, with the Python that envparity runs in."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (directory / "python").chmod(0o755)

    def run_all(plan):
        variables = clean()
        variables["PATH"] = f"{directory}:{variables['PATH']}"
        done = subprocess.run(["sh"], input=plan.script(), env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run_all


@pytest.mark.parametrize("name", ["serve", "a place"])
def test_every_way_to_differ_at_once(tmp_path, apply, name):
    train, serve = made(tmp_path / "train", *TRAIN), made(tmp_path / name, "six==1.17.0", *TRAIN[1:3], "attrs==24.2.0")
    core = os.path.join(serve.site, "click", "core.py")
    with open(core, "a") as file:
        file.write("# edited\n")
    os.unlink(os.path.join(serve.site, "idna", "core.py"))
    serve.write("evil.pth", "import this")
    shutil.move(serve.at("evil.pth"), os.path.join(serve.site, "evil.pth"))
    train.write("share/settings.txt", "kept", 0o755)
    train.write("share/same name $(touch x) 'quoted'.txt", "1")
    serve.write("share/same name $(touch x) 'quoted'.txt", "2")
    before = compare(side(train).environment, side(serve).environment)
    assert {change.name for change in before.distributions} == {"attrs", "click", "idna", "pyyaml", "six"}

    plan = fixing.plan(side(train), side(serve))
    assert sorted(plan.pins) == ["click==8.1.7", "idna==3.7", "pyyaml==6.0.2", "six==1.16.0"]
    assert plan.rest == ()
    apply(plan)
    after = compare(side(train).environment, side(serve).environment)
    assert after.empty, (after.distributions, after.files)
    assert after.equal
    assert fixing.plan(side(train), side(serve)).steps == ()


def test_an_edited_file_needs_the_distribution_to_be_installed_again(tmp_path, apply):
    train, serve = made(tmp_path / "train", "six==1.16.0"), made(tmp_path / "serve", "six==1.16.0")
    path = os.path.join(serve.site, "six.py")
    with open(path, "a") as file:
        file.write("# edited\n")
    plan = fixing.plan(side(train), side(serve))
    assert len(plan.steps) == 1
    assert "--force-reinstall" in plan.commands()[0]
    apply(plan)
    assert compare(side(train).environment, side(serve).environment).equal


def test_a_stored_snapshot_is_restored_in_its_place(tmp_path, apply):
    train, serve = made(tmp_path / "train", "six==1.16.0"), made(tmp_path / "serve", "six==1.17.0")
    store = snapshot.Store(tmp_path / "store")
    snapshot.capture(train, store, name="model/1")
    stored = Side("model/1", "snapshot", snapshot.load("model/1", store), name="model/1")
    plan = fixing.plan(stored, side(serve))
    assert plan.commands() == (
        f"mv -T -- {serve.path} {serve.path}.before",
        f"envparity restore model/1 {serve.path}",
    )
    os.rename(serve.path, f"{serve.path}.before")
    snapshot.restore("model/1", serve.path, store)
    assert compare(stored.environment, side(serve).environment).equal


def test_a_requirements_file_is_fulfilled(tmp_path, apply):
    serve = made(tmp_path / "serve", "six==1.17.0", "idna==3.7")
    (tmp_path / "requirements.txt").write_text("six==1.16.0\nclick<8.2 ; python_version > '3'\nidna>=3\n")
    wanted = read(tmp_path / "requirements.txt")
    train = Side("requirements.txt", "requirements", requirements=wanted)
    assert {row.subject for row in observe(wanted, side(serve).environment).found} == {"six", "click"}
    plan = fixing.plan(train, side(serve))
    assert plan.pins == ("click<8.2", "six==1.16.0")
    apply(plan)
    assert observe(wanted, side(serve).environment).found == ()
