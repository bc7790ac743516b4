"""What patterns match, and what becomes of each."""

from __future__ import annotations

import os

import pytest

from snapshot.excluding import Excludes, InvalidPatternError, Matcher
from snapshot.model import Finding
from snapshot.ownership import Installed
from snapshot.scan import Found

SITE = "lib/python3.11/site-packages"
FILE = os.stat_result((0o100644, 1, 1, 1, 0, 0, 10, 0, 0, 0))
DIRECTORY = os.stat_result((0o040755, 1, 1, 1, 0, 0, 4096, 0, 0, 0))


def found(*paths):
    """Files, and the directories that they imply."""
    made = {path: Found(path, FILE) for path in paths}
    for path in paths:
        names = path.split("/")[:-1]
        parents = ["/".join(names[:depth]) for depth in range(1, len(names) + 1)]
        made.update((parent, Found(parent, DIRECTORY)) for parent in parents)
    return made


def installed(name, *paths):
    rows = {
        f"{SITE}/{path}": None for path in (*paths, f"{name}-1.0.dist-info/METADATA", f"{name}-1.0.dist-info/RECORD")
    }
    return Installed(name, "1.0", f"{SITE}/{name}-1.0.dist-info", SITE, rows)


def never(path):
    return False


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*/tests/*", f"{SITE}/pandas/tests/io/test_sql.py", True),
        ("*/tests/*", f"{SITE}/pandas/tests.py", False),
        ("*/tests/*", "tests/test_sql.py", False),
        ("*/tests", f"{SITE}/pandas/tests/io/test_sql.py", True),
        ("*/tests/", f"{SITE}/pandas/tests/io/test_sql.py", True),
        ("tests/*", f"{SITE}/pandas/tests/x.py", False),
        ("share", "share/doc/x", True),
        ("share", "shared/doc/x", False),
        ("*.pyi", f"{SITE}/a/b.pyi", True),
        ("*.PYI", f"{SITE}/a/b.pyi", False),
        ("*.py", f"{SITE}/a/b.pyi", False),
        ("*/b.py?", f"{SITE}/a/b.pyi", True),
        ("*/[ab].pyi", f"{SITE}/a/b.pyi", True),
        ("*/[!ab].pyi", f"{SITE}/a/b.pyi", False),
        ("*/odd\n\udcff", f"{SITE}/odd\n\udcff", True),
    ],
)
def test_what_a_pattern_matches(pattern, path, matches):
    assert Matcher([pattern])(path) is matches
    assert Matcher([pattern, "nothing"]).which(path) == ([pattern] if matches else [])


def test_no_pattern_matches_nothing():
    assert not Matcher([])("")
    assert not Matcher([])("a")


@pytest.mark.parametrize("pattern", ["", "/", "/abs/*", "./x", "../x"])
def test_a_pattern_that_cannot_match_is_refused(pattern):
    with pytest.raises(InvalidPatternError, match=r"excludes nothing: want a pattern on paths relative"):
        Excludes([pattern])


def test_a_distribution_without_a_name_is_refused():
    with pytest.raises(InvalidPatternError, match="'dist: ' names no distribution: want 'dist:NAME'"):
        Excludes(["dist: "])


def test_one_string_is_no_list_of_patterns():
    with pytest.raises(InvalidPatternError, match="give a list of them"):
        Excludes("*/tests/*")


def test_without_patterns_everything_stays():
    everything = found("a")
    left = Excludes().filter("", everything, [], never)
    assert (left.found, left.distributions, left.dropped) == (everything, [], [])


def test_files_go_with_the_rows_that_list_them_and_the_directories_that_only_they_were_in():
    one = installed("one", "one/core.py", "one/tests/deep/test_core.py")
    everything = found(*one.rows)
    excludes = Excludes(["*/tests/*"])
    left = excludes.filter("", everything, [one], never)
    assert f"{SITE}/one/core.py" in left.found
    assert not any("tests" in path for path in left.found)
    assert f"{SITE}/one/tests/deep/test_core.py" not in one.rows
    assert excludes.findings() == [Finding("excluded", "*/tests/*", "left out: 1 file, 10 bytes")]


def test_a_directory_that_was_empty_before_stays_unless_it_matches():
    everything = {**found("a/x.py"), "a/empty": Found("a/empty", DIRECTORY), "b": Found("b", DIRECTORY)}
    left = Excludes(["*/x.py"]).filter("", everything, [], never)
    assert set(left.found) == {"a", "a/empty", "b"}
    assert set(Excludes(["a/*"]).filter("", everything, [], never).found) == {"b"}


def test_a_distribution_goes_with_all_but_what_another_lists_too():
    one = installed("one", "one/core.py", "shared/__init__.py")
    other = installed("other", "other.py", "shared/__init__.py")
    excludes = Excludes(["dist:One"])
    left = excludes.filter("", found(*one.rows, *other.rows), [one, other], never)
    assert [each.name for each in left.distributions] == ["other"]
    assert [each.name for each in left.dropped] == ["one"]
    assert {path for path in left.found if "." in path.rpartition("/")[2]} >= {
        f"{SITE}/other.py",
        f"{SITE}/shared/__init__.py",
    }
    assert not any("/one" in path for path in left.found)
    assert excludes.findings() == [Finding("excluded", "dist:One", "left out: 3 files, 30 bytes")]


def test_names_of_distributions_are_normalised_and_may_be_patterns():
    dists = [installed("types-requests"), installed("types-pyyaml"), installed("requests")]
    left = Excludes(["dist:Types_*"]).filter("", found(*(path for one in dists for path in one.rows)), dists, never)
    assert [each.name for each in left.distributions] == ["requests"]


def test_bytecode_goes_with_its_source():
    pyc = "a/__pycache__/x.cpython-311.pyc"
    left = Excludes(["*/x.py"], "cpython-311").filter("", found("a/x.py", "a/y.py", pyc), [], never)
    assert set(left.found) == {"a", "a/y.py"}


def test_metadata_of_what_is_kept_and_what_the_environment_needs_stay():
    one = installed("one", "one.py")
    everything = found(*one.rows, "pyvenv.cfg", f"{SITE}/one-1.0.dist-info/licenses/LICENSE")
    excludes = Excludes(["*one*", "pyvenv.cfg"])
    left = excludes.filter("", everything, [one], lambda path: path == "pyvenv.cfg")
    assert set(everything) - set(left.found) == {f"{SITE}/one.py"}
    assert excludes.findings() == [
        Finding("excluded", "*one*", "left out: 1 file, 10 bytes; kept all the same: 3 files"),
        Finding("exclude-unmatched", "pyvenv.cfg", "matches only what is always kept (1 file)"),
    ]


def test_what_matches_nothing_is_said():
    excludes = Excludes(["nope/*", "dist:nope"])
    excludes.filter("", found("a"), [], never)
    assert excludes.findings() == [
        Finding("exclude-unmatched", "nope/*", "matches no file that could be left out"),
        Finding("exclude-unmatched", "dist:nope", "matches no distribution"),
    ]


def test_a_file_that_two_patterns_match_counts_for_both():
    excludes = Excludes(["*/tests/*", "*.pyi"])
    excludes.filter("", found("a/tests/x.pyi", "a/y.pyi"), [], never)
    assert [finding.detail for finding in excludes.findings()] == [
        "left out: 1 file, 10 bytes",
        "left out: 2 files, 20 bytes",
    ]


def test_paths_come_after_the_mount():
    excludes = Excludes([".envparity/src/thing/tests"])
    assert set(excludes.filter(".envparity/src/thing", found("tests/x", "y"), [], never).found) == {"y"}
    assert set(excludes.filter("", found("tests/x", "y"), [], never).found) == {"tests", "tests/x", "y"}
