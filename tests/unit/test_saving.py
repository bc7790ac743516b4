"""What could be left out of a snapshot, and what is not said to be needless because something needs it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapshot.model import Kind
from snapshot.requiring import Required, required, requires_of_metadata
from snapshot.saving import Saving, Weighed, savings
from tests.building import ENVIRONMENT, INTERPRETER, built, file, snapshot_of


def weighed(name, packed, *files, kind=Kind.DISTRIBUTION):
    return Weighed(built(file(name), kind=kind, name=name).layer, packed, files)


def found(*parts, requires=None, environment=ENVIRONMENT):
    snapshot = snapshot_of([part.layer for part in parts], environment=environment)
    return savings(snapshot, parts, requires)


def needs(*always, ever=()):
    return Required(frozenset(always), frozenset((*always, *ever)))


def test_files_are_estimated_by_their_share_of_their_layer():
    one = weighed("one", 1000, ("one/core.py", 300), ("one/tests/x.py", 100), ("one-1.dist-info/tests/METADATA", 0))
    other = weighed("other", 500, ("other/test/x.py", 50), ("other/__init__.pyi", 50))
    assert found(one, other) == (
        Saving("files", "tests", ("*/tests/*", "*/test/*"), 500),
        Saving("files", "type stubs", ("*.pyi",), 250),
    )


def test_a_file_that_two_patterns_match_is_saved_once():
    (saving,) = found(weighed("one", 900, ("one/tests/test/x.pyi", 90)))
    assert saving == Saving("files", "tests", ("*/tests/*",), 900)


def test_assets_headers_and_libraries():
    parts = weighed("one", 400, ("one/static/a.js", 1), ("one/a.js.map", 1), ("one/include/a.h", 1), ("one/lib.a", 1))
    assert found(parts) == (
        Saving("files", "headers, static libs", ("*/include/*", "*.a"), 200),
        Saving("files", "web assets", ("*/static/*", "*.map"), 200),
    )


def test_what_is_always_kept_saves_nothing():
    interpreter = weighed("interpreter", 100, ("include/Python.h", 100), kind=Kind.INTERPRETER)
    generated = weighed("environment", 100, ("lib/tests/x", 100), kind=Kind.ENVIRONMENT)
    information = weighed("one", 100, ("lib/one-1.0.dist-info/tests/x", 100))
    assert found(interpreter, generated, information) == (Saving("layers", "interpreter", (), 100),)


def test_bytecode_and_the_interpreter():
    parts = [
        weighed("interpreter", 100, ("python", 1), kind=Kind.INTERPRETER),
        weighed("interpreter", 20, ("x.pyc", 1), kind=Kind.BYTECODE),
        weighed("one", 7, ("y.pyc", 1), kind=Kind.BYTECODE),
    ]
    assert found(*parts) == (
        Saving("layers", "interpreter", (), 120),
        Saving("layers", "bytecode", (), 27),
    )


@pytest.mark.parametrize(
    "environment", [replace(ENVIRONMENT, kind="base"), replace(ENVIRONMENT, system_site_packages=True)]
)
def test_an_interpreter_that_cannot_be_left_out_is_not_offered(environment):
    assert found(weighed("interpreter", 100, ("x", 1), kind=Kind.INTERPRETER), environment=environment) == ()


def test_what_is_too_little_is_not_worth_a_line():
    assert found(weighed("one", 10_000_000, ("one.py", 9_999), ("one.pyi", 1))) == ()


def test_a_tool_is_needless_unless_something_that_runs_needs_it():
    parts = [weighed(name, 100, ("x", 1)) for name in ("app", "pip", "setuptools", "wheel")]
    requires = {
        "app": needs("setuptools", ever=("wheel",)),
        "setuptools": needs("wheel"),
        "pip": needs(),
        "wheel": needs(),
    }
    assert found(*parts, requires=requires) == (
        Saving("tool", "pip", ("dist:pip",), 100),
        Saving("tool", "wheel", ("dist:wheel",), 100),
        Saving("leaf", "app", ("dist:app",), 100),
    )


def test_a_leaf_is_what_nothing_names_not_even_for_an_extra():
    parts = [weighed(name, 100, ("x", 1)) for name in ("app", "library", "plugin")]
    parts.append(weighed("app", 10, ("x.pyc", 1), kind=Kind.BYTECODE))
    requires = {"app": needs("library"), "library": needs(ever=("plugin",)), "plugin": needs()}
    assert [each for each in found(*parts, requires=requires) if each.kind == "leaf"] == [
        Saving("leaf", "app", ("dist:app",), 110)
    ]


def test_without_requirements_nothing_is_said_of_distributions():
    assert found(weighed("pip", 100, ("x", 1))) == ()


def test_requirements_of_this_interpreter():
    lines = requires_of_metadata(
        "Metadata-Version: 2.1\nName: x\n"
        "Requires-Dist: Type_Ing.Extensions>=4; python_version < '3.12'\n"
        "Requires-Dist: tomli; python_version < '3.11'\n"
        "Requires-Dist: pytest>=7; extra == 'dev'\n"
        "Requires-Dist: numpy (>=1.0\n"
        "Requires-Dist: ===\n"
        "\nRequires-Dist: in-the-description\n"
    )
    assert required(lines, INTERPRETER) == Required(
        frozenset({"type-ing-extensions", "numpy"}), frozenset({"type-ing-extensions", "numpy", "tomli", "pytest"})
    )
