"""The distributions that requirements reach, and what is broken among those that are installed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing.requirements import read
from registration.closure import breakage, reached
from registration.surroundings import Installed, Surroundings

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}


def surroundings(*rows):
    """Rows of a version and what it requires: `"flask 3.0", "werkzeug>=3"`."""
    installed = {}
    for first, *requires in rows:
        name, version = first.split()
        installed[name] = Installed(name, version, tuple(requires))
    return Surroundings("python", "/env", "3.11.7", installed, MARKERS)


@pytest.fixture
def items(tmp_path):
    def parsed(text):
        (tmp_path / "requirements.txt").write_text(text)
        return read(tmp_path / "requirements.txt").applicable(MARKERS)

    return parsed


HERE = surroundings(
    ("flask 3.0", "Werkzeug>=3", "asgiref; extra == 'async'", "importlib-metadata; python_version < '3.10'"),
    ("werkzeug 3.1", "MarkupSafe"),
    ("markupsafe 3.0",),
    ("asgiref 3.8", "typing_extensions"),
    ("loop-a 1", "loop-b[x]"),
    ("loop-b 1", "loop-a; extra == 'x'"),
    ("other 1",),
)


@pytest.mark.parametrize(
    ("wanted", "have", "missing"),
    [
        ("flask", ["flask", "markupsafe", "werkzeug"], []),
        ("Flask[async]", ["asgiref", "flask", "markupsafe", "werkzeug"], ["typing-extensions"]),
        ("absent\nother", ["other"], ["absent"]),
        ("loop-a", ["loop-a", "loop-b"], []),
        ("other; sys_platform == 'win32'", [], []),
        ("", [], []),
    ],
)
def test_what_requirements_reach(items, wanted, have, missing):
    found, absent = reached(items(wanted), HERE)
    assert ([one.name for one in found], absent) == (have, missing)


def test_a_cpu_build_stands_in_for_the_other(items):
    here = replace(HERE, installed={**HERE.installed, "xgboost-cpu": Installed("xgboost-cpu", "3", ("other",))})
    found, absent = reached(items("xgboost\nxgboost-cpu"), here)
    assert ([one.name for one in found], absent) == (["other", "xgboost-cpu"], [])


def test_a_constraint_reaches_nothing(items, tmp_path):
    (tmp_path / "constraints.txt").write_text("flask==3.0\n")
    assert reached(items("-c constraints.txt\nother"), HERE) == ([HERE.installed["other"]], [])


def test_what_is_broken():
    assert breakage(surroundings(("a 1", "b>=2", "b>=1; extra == 'x'", "gone", "not a requirement"), ("b 1.0",))) == {
        "a 1 requires b>=2, and 1.0 is installed",
        "a 1 requires gone, which is not installed",
    }
    assert breakage(surroundings(("a 1", "b>=2.0a1"), ("b 2.0b1",))) == frozenset()
