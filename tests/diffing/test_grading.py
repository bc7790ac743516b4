"""Grades: the rule, the cap for what the model cannot reach, flags, and the digest that names a difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing import compare, grading, rules
from diffing.observation import Observation, Observations
from diffing.observing import observe
from diffing.reach import EVERYTHING, Reach
from diffing.report import Unknown
from diffing.testing import description, file, full_facts, layer
from diffing.verdict import Flag, Level, Verdict
from snapshot.facts.model import Module
from snapshot.model import Kind

SITE = "lib/python3.11/site-packages"
CATALOGUE = rules.load()
NOTHING = Reach(frozenset(), frozenset())


def observations(*found):
    return Observations(found, (), 14, (), ())


def one(observation, reach=EVERYTHING):
    (difference,) = grading.grade(observations(observation), reach, CATALOGUE)
    return difference


def click(**changes):
    given = {
        "subject": "click",
        "owner": "click",
        "train": "8.1.7",
        "serve": "8.1.8",
        "attributes": {"change": "patch"},
    }
    return Observation("distribution-version", Level.DISTRIBUTIONS, **{**given, **changes})


def test_reached_unreached_and_not_known():
    reach = Reach(frozenset({"click"}), because={"click": "from requirements.txt:7"})
    found = one(click(details=("~ a",), bytes=7), reach)
    assert (found.severity, found.reachable, found.because) == (Verdict.DRIFTED, True, "from requirements.txt:7")
    assert (found.rule, found.owner, found.details, found.bytes) == ("distribution-version", "click", ("~ a",), 7)
    found = one(click(), NOTHING)
    assert (found.severity, found.reachable, found.because) == (Verdict.COMPATIBLE, False, "")
    found = one(click(), EVERYTHING)
    assert (found.severity, found.reachable) == (Verdict.DRIFTED, None)


def test_a_distribution_that_is_gone():
    """What the model needs may be unknown because nobody said, or because it could not be found out: that is no better."""
    gone = Observation("distribution-removed", Level.DISTRIBUTIONS, "click", owner="click", train="8.1.7")
    assert one(gone, Reach(frozenset({"click"}), asked=True)).severity is Verdict.INCOMPATIBLE
    assert one(gone, Reach(frozenset(), asked=True)).severity is Verdict.COMPATIBLE
    assert one(gone, Reach(None, asked=True)).severity is Verdict.INCOMPATIBLE
    assert one(gone, EVERYTHING).severity is Verdict.DRIFTED


def hook(**attributes):
    known = {"kind": "pth", "code": "yes", "owned": "no", "integrity": "unknown", "layer": "unowned", **attributes}
    path = f"{SITE}/zz.pth"
    return Observation("startup-added", Level.STARTUP, path, path=path, serve="sha256:1", attributes=known)


@pytest.mark.parametrize(
    "found",
    [
        hook(),
        Observation("search-path", Level.SEARCH_PATH, "sys.path", attributes={"resolves": "yes"}),
        Observation("library-missing", Level.NATIVE, "libz.so.1", attributes={"side": "serve"}),
        Observation("python-files", Level.INTERPRETER, "python", owner="python"),
        Observation("variable", Level.VARIABLES, "TZ", attributes={"type": "timezone", "state": "both"}),
        Observation("module-resolution", Level.SEARCH_PATH, "json", owner="python", attributes={"module": "json"}),
    ],
    ids=lambda found: found.kind,
)
def test_what_always_counts(found):
    graded = one(found, NOTHING)
    assert graded.severity >= Verdict.DRIFTED
    assert graded.reachable is True


def test_a_python_patch_counts_more_when_the_model_names_what_changed():
    known = {"change": "patch", "modules": "json.decoder os", "executable": "no"}
    found = Observation("python-version", Level.INTERPRETER, "python", "python", None, "3.11.7", "3.11.9", known)
    assert one(found, Reach(frozenset(), frozenset({"os"}))).rule == "python-patch-reached"
    assert one(found, Reach(frozenset(), frozenset({"sklearn"}))).severity is Verdict.NUMERIC
    assert one(found).severity is Verdict.NUMERIC
    minor = replace(found, attributes={"change": "minor"}, serve="3.12.1")
    assert one(minor).severity is Verdict.DRIFTED
    assert one(minor, Reach(pickled=frozenset({"scikit-learn"}))).severity is Verdict.INCOMPATIBLE


def test_unowned_files():
    def added(path, reach):
        modules = (
            Module("sklearn", f"{SITE}/sklearn/__init__.py", "scikit-learn"),
            Module("json", ".envparity/python/lib/python3.11/json/__init__.py", "python"),
        )
        sides = [description(parts, facts=full_facts(modules=modules)) for parts in ([], [unowned(path)])]
        found = observe(*sides, compare(*sides))
        (difference,) = grading.grade(found, reach, CATALOGUE)
        return difference

    reach = Reach(frozenset({"scikit-learn"}), frozenset({"sklearn.linear_model", "mine"}))
    assert added(f"{SITE}/other.py", EVERYTHING).severity is Verdict.DRIFTED
    found = added(f"{SITE}/other.py", reach)
    assert (found.severity, found.reachable, found.rule) == (Verdict.COMPATIBLE, False, "file-unowned")
    found = added(f"{SITE}/mine.py", reach)
    assert (found.severity, found.because) == (Verdict.DRIFTED, "the model imports mine")
    found = added(f"{SITE}/sklearn/linear_model/_extra.py", reach)
    assert (found.severity, found.rule) == (Verdict.DRIFTED, "file-unowned-in-package")
    assert added(f"{SITE}/other.py", Reach(frozenset())).reachable is None  # nobody knows what it imports
    assert added("etc/jupyter/x.json", Reach(frozenset())).reachable is False

    # What a script in bin imports is looked for beside it first.
    for path in ("bin/json.py", "bin/json.cpython-311-x86_64-linux-gnu.so", "bin/json/__init__.py", "bin/sklearn.py"):
        found = added(path, reach)
        assert (found.severity, found.rule) == (Verdict.DRIFTED, "file-hides-module"), path
    for path in ("bin/json", "bin/tool.py", "share/json.py", "bin/data.json"):
        assert added(path, reach).severity is Verdict.COMPATIBLE, path
    # A loader asks for a library by name, and no import names it.
    for path in (
        f"{SITE}/numpy.libs/libstdc++.so.6",
        f"{SITE}/numpy.libs/libgfortran-040039e1.so.5.0.0",
        "lib/libz.so",
    ):
        found = added(path, reach)
        assert (found.severity, found.rule) == (Verdict.DRIFTED, "file-library"), path


def unowned(path):
    return layer(Kind.UNOWNED, "unowned", None, [file(path)])


def test_the_worst_comes_first_then_by_name():
    found = observations(click(), click(subject="attrs", owner="attrs"), hook(), click(subject="zlib", owner="zlib"))
    graded = grading.grade(found, Reach(frozenset({"click", "zlib"})), CATALOGUE)
    assert [item.subject for item in graded] == ["click", f"{SITE}/zz.pth", "zlib", "attrs"]


def test_the_digest_names_this_difference_and_no_wording():
    plain = one(click()).digest
    assert plain.startswith("sha256:")
    assert len(plain) == 71
    for same in (click(details=("~ x",)), click(bytes=9), click(attributes={"change": "other"})):
        assert one(same).digest == plain
    for other in (click(serve="8.1.9"), click(subject="attrs"), click(path="x"), click(train="8.1.8", serve="8.1.7")):
        assert one(other).digest != plain
    exact = click(identity=("8.1.7 sha256:1", "8.1.8 sha256:2"))
    assert one(exact).digest != plain
    assert one(replace(exact, train="v8.1.7")).digest == one(exact).digest


def test_flags():
    differences = grading.grade(observations(hook(), click()), NOTHING, CATALOGUE)
    assert grading.flags(differences, ()) == (Flag.INTEGRITY,)
    assert grading.flags(differences, [Unknown("host", "serve", "not captured")]) == (Flag.INTEGRITY, Flag.UNKNOWN)
    assert grading.flags((), ()) == ()
    unset = Observation(
        "variable", Level.VARIABLES, "TZ", serve="UTC", attributes={"type": "timezone", "state": "serve"}
    )
    assert grading.flags([one(unset)], ()) == (Flag.UNKNOWN,)
    edited = Observation("file-content", Level.FILES, "click 8.1.7", "click", "a.py", attributes={"integrity": "yes"})
    found = one(edited, NOTHING)
    assert (found.severity, found.flags) == (Verdict.COMPATIBLE, (Flag.INTEGRITY,))
