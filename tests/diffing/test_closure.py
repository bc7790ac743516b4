"""What a model reaches: from its requirements and modules along Requires-Dist, on both sides."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from diffing.closure import reach
from diffing.marking import holds, variables
from diffing.reach import EVERYTHING
from diffing.requirements import Item, Requirements
from diffing.testing import description
from diffing.usage import Usage, Use
from snapshot.facts.model import DistributionFacts, Facts, Module, Source


def side(*distributions, modules=(), version="3.11.7"):
    rows = tuple(
        DistributionFacts(name, "1.0", f"{name}.dist-info", requires=tuple(requires))
        for name, *requires in distributions
    )
    found = tuple(Module(name, f"{name}.py", owner) for name, owner in modules)
    return replace(description([], version=version), facts=Facts(distributions=rows, modules=found))


def wants(*names, **more):
    items = tuple(Item(name, "requirements.txt", number, **more) for number, name in enumerate(names, 1))
    return Requirements("requirements.txt", "requirements", items)


def uses(*rows, problems=()):
    return Usage("model", tuple(Use(*row) for row in rows), problems=tuple(problems))


def test_nothing_known_means_everything():
    assert reach(None, None, side(("a",)), side(("a",))) == EVERYTHING


def test_along_what_is_required():
    env = side(("mlflow", "Flask<4", "pandas"), ("flask", "werkzeug"), ("pandas",), ("werkzeug",), ("boto3",))
    found = reach(None, wants("mlflow"), env, env)
    assert found.distributions == {"mlflow", "flask", "werkzeug", "pandas"}
    assert found.because == {
        "mlflow": "from requirements.txt:1",
        "flask": "required by mlflow",
        "pandas": "required by mlflow",
        "werkzeug": "required by flask",
    }
    assert found.reaches("flask")
    assert not found.reaches("boto3")
    assert not found.reaches(None)


def test_what_a_package_can_make_use_of_counts_if_only_files_were_looked_at():
    env = side(
        ("sklearn", "numpy", "pandas; extra == 'examples'", "absent; extra == 'docs'"),
        ("numpy", "f2c; extra == 'x'"),
        ("pandas", "dateutil", "lxml; extra == 'xml'"),
        *(("dateutil",), ("lxml",), ("f2c",)),
        modules=(("sklearn", "sklearn"),),
    )
    found = reach(uses(("sklearn.ensemble", "Forest", "model.pkl", "pickle")), None, env, env)
    assert found.distributions == {"sklearn", "numpy", "f2c", "pandas", "dateutil"}  # and no extras of what is optional
    assert found.because["pandas"] == "optional for sklearn"
    assert found.because["dateutil"] == "required by pandas"
    assert found.optional == {"f2c", "pandas", "dateutil"}
    listed = reach(uses(("sklearn.ensemble", "", "modules.txt", "listed")), None, env, env)
    assert listed.distributions == {"sklearn", "numpy"}
    assert reach(None, wants("sklearn"), env, env).distributions == {"sklearn", "numpy"}


def test_what_only_developers_of_a_package_need_is_no_use_to_it():
    env = side(
        (
            "sklearn",
            "pandas; extra == 'tests'",
            "pytest; extra == 'tests'",
            "ruff; extra == 'tests'",
            "click; extra == 'dev'",
        ),
        ("pytest", "pluggy"),
        *(("pandas",), ("pluggy",), ("ruff",), ("click",)),
        modules=(("sklearn", "sklearn"),),
    )
    found = reach(uses(("sklearn.ensemble", "Forest", "model.pkl", "pickle")), None, env, env)
    assert found.distributions == {"sklearn", "pandas"}
    assert found.optional == {"pandas"}


def test_both_sides_count():
    train, serve = side(("a", "b"), ("b",)), side(("a", "c"), ("c", "a"))
    assert reach(None, wants("a"), train, serve).distributions == {"a", "b", "c"}


def test_what_is_named_and_missing_is_said():
    found = reach(None, wants("a"), side(("a", "gone")))
    assert found.distributions == {"a", "gone"}
    assert found.because["gone"] == "required by a; not installed"
    assert reach(None, wants("lost"), side()).because == {"lost": "from requirements.txt:1; not installed"}


def test_circles_and_spellings():
    env = side(("Foo_Bar", "foo.baz"), ("foo-baz", "FOO-bar"))
    assert reach(None, wants("foo-bar"), env).distributions == {"foo-bar", "foo-baz"}


def test_markers_are_those_of_each_side():
    requires = ('old; python_version < "3.12"', 'new; python_version >= "3.12"', 'win; sys_platform == "win32"')
    py311, py312 = side(("a", *requires)), side(("a", *requires), version="3.12.1")
    assert reach(None, wants("a"), py311).distributions == {"a", "old"}
    assert reach(None, wants("a"), py311, py312).distributions == {"a", "old", "new"}
    conditional = wants("a", condition=Marker('python_version >= "3.12"'))
    assert reach(None, conditional, py311).distributions == set()
    assert "a" in reach(None, conditional, py311, py312).distributions


def test_extras():
    env = side(
        ("a", 'plain[fast]; extra == "all"', 'other; extra == "more"'), ("plain", 'quick; extra == "fast"'), ("quick",)
    )
    assert reach(None, wants("a"), env).distributions == {"a"}
    assert reach(None, wants("a", extras=("all",)), env).distributions == {"a", "plain", "quick"}


def test_a_line_that_is_not_valid_counts_by_its_name():
    assert reach(None, wants("a"), side(("a", "pytz (>dev)", "???"))).distributions == {"a", "pytz"}


def test_the_markers_of_an_interpreter():
    found = variables(description([], version="3.11.7").snapshot.interpreter)
    assert found["python_version"] == "3.11"
    assert holds(Marker('platform_python_implementation == "CPython" and platform_machine == "x86_64"'), found)
    assert holds(Marker('sys_platform == "linux" and os_name == "posix" and platform_system == "Linux"'), found)
    assert set(found) | {"extra"} >= set(__import__("packaging.markers").markers.default_environment())


def test_modules_lead_to_distributions():
    modules = [("sklearn", "scikit-learn"), ("json", "python"), ("google", ""), ("google.protobuf", "protobuf")]
    env = side(("scikit-learn", "numpy"), ("numpy",), ("protobuf",), ("click",), modules=[*modules, ("click", "click")])
    usage = uses(
        ("sklearn.ensemble._forest", "RandomForestClassifier", "model.pkl", "pickle"),
        ("json", "loads", "model.pkl", "pickle"),
        ("google.protobuf.message", "", "code/x.py", "code"),
        ("mine", "f", "model.pkl", "pickle"),
        ("click", "", "model.pkl", "mention"),
    )
    found = reach(usage, wants("scikit-learn"), env)
    assert found.distributions == {"scikit-learn", "numpy", "protobuf", "click"}
    assert found.pickled == {"scikit-learn"}
    assert found.modules == {"sklearn.ensemble._forest", "json", "google.protobuf.message", "mine"}
    assert found.because == {
        "click": "model.pkl may use click",
        "numpy": "required by scikit-learn",
        "protobuf": "code/x.py uses google.protobuf.message",
        "scikit-learn": "model.pkl uses sklearn.ensemble; from requirements.txt:1",
    }


def test_what_is_taken_of_a_namespace_package_is_a_module():
    env = side(("protobuf",), modules=[("google.protobuf", "protobuf")])
    assert reach(uses(("google", "protobuf", "x.py", "code")), None, env).distributions == {"protobuf"}


def test_a_module_may_be_anothers_on_the_other_side():
    train = side(("pil",), modules=[("PIL", "pil")])
    serve = side(("pillow",), modules=[("PIL", "pillow")])
    assert reach(uses(("PIL.Image", "", "m.pkl", "pickle")), None, train, serve).distributions == {"pil", "pillow"}


def test_the_shortest_reason_is_the_one_that_says_most():
    env = side(("numpy",), modules=[("numpy", "numpy")])
    usage = uses(("numpy._core.multiarray", "x", "a.pkl", "pickle"), ("numpy.random._pickle", "y", "b.pkl", "pickle"))
    assert reach(usage, None, env).because == {"numpy": "b.pkl uses numpy.random"}


@pytest.mark.parametrize(
    ("usage", "requirements", "facts"),
    [
        (None, wants("a"), Facts()),
        (uses(("a", "", "m", "pickle")), None, Facts(distributions=())),
        (uses(("a", "", "m", "pickle"), problems=["m: damaged"]), wants("a"), Facts(distributions=(), modules=())),
        (None, wants(None), Facts(distributions=(), modules=())),
    ],
)
def test_where_something_is_missing_everything_counts(usage, requirements, facts):
    known = replace(description([]), facts=Facts(distributions=(), modules=()))
    assert not reach(usage, requirements, known, replace(known, facts=facts)).known


def test_requirements_alone_need_no_modules():
    env = replace(side(("a",)), facts=Facts(distributions=(DistributionFacts("a", "1", "a.dist-info"),)))
    assert reach(None, wants("a"), env).distributions == {"a"}


def test_a_path_is_known_by_the_distribution_that_was_installed_from_it():
    row = DistributionFacts("mine", "1", "mine.dist-info", source=Source("file:///src/mine", editable=True))
    env = replace(description([]), facts=Facts(distributions=(row,), modules=()))
    assert reach(None, wants(None, url="/src/mine"), env).distributions == {"mine"}
    assert not reach(None, wants(None, url="/src/other"), env).known


def test_a_constraint_wants_nothing():
    env = side(("a",), ("b",))
    items = (Item("a", "r.txt", 1), Item("b", "c.txt", 1, specifier=SpecifierSet("<2"), constraint=True))
    assert reach(None, Requirements("r.txt", "requirements", items), env).distributions == {"a"}


# -- laws

NAMES = st.sampled_from(list("abcdefgh"))
GRAPHS = st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=8)


def graph(rows):
    return side(*((name, *required) for name, required in rows.items()))


@given(GRAPHS, GRAPHS, st.sets(NAMES), st.sets(NAMES))
def test_a_closure_holds_its_roots_grows_with_them_and_is_closed(train, serve, some, more):
    sides = graph(train), graph(serve)
    small = reach(None, wants(*sorted(some)), *sides)
    large = reach(None, wants(*sorted(some | more)), *sides)
    assert some <= small.distributions <= large.distributions
    assert reach(None, wants(*sorted(small.distributions)), *sides).distributions == small.distributions
    assert small.because.keys() == small.distributions
    assert reach(None, wants(*sorted(some)), *reversed(sides)).distributions == small.distributions


@given(GRAPHS, NAMES, NAMES, st.sets(NAMES))
def test_one_more_requirement_of_a_distribution_never_takes_anything_away(rows, name, needed, roots):
    more = {**rows, name: [*rows.get(name, ()), needed]}
    before = reach(None, wants(*sorted(roots)), graph(rows)).distributions
    assert before <= reach(None, wants(*sorted(roots)), graph(more)).distributions
