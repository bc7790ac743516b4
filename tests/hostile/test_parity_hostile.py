"""What a comparison reads beside the environments, made to wear it out, to fool it, or to make it tell secrets."""

from __future__ import annotations

import os
from datetime import date

import pytest

from diffing import policy
from diffing.assessing import assess
from diffing.closure import reach
from diffing.observing.sides import Sides
from diffing.policy import PolicyError
from diffing.requirements import RequirementsError, read
from diffing.sides import Side
from diffing.usage import read_model
from diffing.verdict import Flag
from tests.diffing.described import env


def test_a_policy_that_is_too_large(tmp_path):
    path = tmp_path / "policy.toml"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(PolicyError, match=r"policy.toml: more than 1,048,576 bytes; that is no policy"):
        policy.read(path)


@pytest.mark.parametrize("text", [".".join("a" * 50_000) + " = 1", "[" + ".".join("a" * 50_000) + "]"])
def test_a_policy_with_keys_that_take_memory_by_their_square(text):
    with pytest.raises(PolicyError, match="a line with more than 1,000 dots"):
        policy.parse(text.encode(), "policy.toml")


def test_a_policy_with_more_wrong_than_anybody_reads():
    with pytest.raises(PolicyError, match=r"; and 980 more\Z") as raised:
        policy.parse("".join(f"k{number} = 1\n" for number in range(1000)).encode(), "policy.toml")
    assert str(raised.value).count("not known") == 20


@pytest.fixture
def requirements(tmp_path):
    def refused(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.txt").write_text(text)
        with pytest.raises(RequirementsError) as raised:
            read(tmp_path / "first.txt")
        return str(raised.value)

    return refused


def test_files_that_include_two_others_each_are_read_once(tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n-r {number + 1}.txt\n-c {number + 1}.txt\n")
    (tmp_path / "40.txt").write_text("click==8.1.7\n")
    found = read(tmp_path / "0.txt").items
    assert sorted((item.name, item.constraint) for item in found) == [("click", False), ("click", True)]


def test_a_long_chain_of_includes(tmp_path):
    for number in range(200):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
    with pytest.raises(RequirementsError, match=r"50.txt:1: 51.txt is included through more than 50 files"):
        read(tmp_path / "0.txt")


def test_included_pipes_and_devices(requirements, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = requirements(first="-r pipe\n-c /dev/zero\n-r /dev/stdin\n").splitlines()
    assert said[:2] == ["first.txt:1: pipe is no file", "first.txt:2: /dev/zero is no file"]


def test_a_line_without_end(requirements):
    assert requirements(first="a" * 5_000_000) == "first.txt:1: a line of more than 32,768 characters"


def test_a_marker_without_end(requirements):
    deep = "(" * 5000 + 'python_version > "3"' + ")" * 5000
    assert requirements(first=f"click ; {deep}\n").startswith("first.txt:1: maximum recursion depth exceeded")


def test_what_is_in_an_included_file_is_not_told(requirements):
    """A model brings its requirements along: it could name any file of whoever compares."""
    said = requirements(first="-r other.txt\n", other="machine CANARY login\nexport TOKEN=CANARY\npassword: CANARY\n")
    assert len(said.splitlines()) == 3
    assert "CANARY" not in said


@pytest.mark.parametrize(
    ("text", "why"),
    [("a = " + "[" * 100_000, "not TOML"), (".".join("a" * 30_000) + " = 1", "a line with more than 1,000 dots")],
)
def test_lock_files_without_end(tmp_path, text, why):
    (tmp_path / "pylock.toml").write_text(text)
    with pytest.raises(RequirementsError, match=f"pylock.toml: {why}"):
        read(tmp_path / "pylock.toml")


@pytest.mark.parametrize("between", [".", " . ", " \\\n.\t"])
def test_a_name_in_source_that_takes_memory_by_its_square(tmp_path, between):
    (tmp_path / "model.py").write_text("import " + between.join("a" * 500_000))
    (problem,) = read_model(tmp_path / "model.py").problems
    assert "a name with more than 1,000 dots" in problem


def test_a_name_in_source_that_is_too_long_to_be_one(tmp_path):
    (tmp_path / "model.py").write_text("import click\nimport " + ".".join("a" * 400))
    found = read_model(tmp_path / "model.py")
    assert found.modules == {"click"}
    assert found.problems == ("model.py: imports a name of more than 300 characters",)


@pytest.mark.parametrize("what", ["directory", "file", "weights", "pickle"])
def test_a_model_that_names_nothing_does_not_reach_nothing(tmp_path, what):
    """The wrong directory, an empty file, a format without code in it: nothing may count as out of reach for that."""
    model = tmp_path / "model"
    if what in ("directory", "weights"):
        model.mkdir()
        if what == "weights":
            (model / "model.onnx").write_bytes(b"\x08\x07")
    else:
        model.write_bytes(b"" if what == "file" else b"\x80\x04}.")
    usage = read_model(model)
    side = Side("env", "environment", env())
    report = assess(side, side, today=date(2026, 11, 22), usage=usage)
    assert report.flags == (Flag.UNKNOWN,)
    assert [each.why for each in report.coverage.unknown] == ["nothing in model says what it uses"]
    assert reach(usage, None, env(), env()).distributions is None


def test_an_empty_requirements_file_does_not_say_that_nothing_is_needed(tmp_path):
    (tmp_path / "requirements.txt").write_text("# later\n")
    usage = read_model(tmp_path)
    assert reach(usage, read(usage.requirements), env(), env()).distributions is None


def test_modules_of_the_standard_library_alone_reach_no_distribution(tmp_path):
    (tmp_path / "modules.txt").write_text("json\nos.path\n")
    facts = {"distributions": (), "modules": ()}
    found = reach(read_model(tmp_path / "modules.txt"), None, env(**facts), env(**facts))
    assert found.distributions == frozenset()


def test_the_interpreters_own_prefix_has_its_modules_where_it_is(monkeypatch):
    """An image's Python against a virtual environment of the same one: where the standard library lies is no difference."""
    sides = Sides(env(), env(), None)
    monkeypatch.setattr(Sides, "one_is_base", True)
    assert sides.neutral(".envparity/python/lib/python3.11/json/__init__.py") == "lib/python3.11/json/__init__.py"
    assert sides.neutral("/opt/.envparity/python/lib") == "/opt/.envparity/python/lib"
