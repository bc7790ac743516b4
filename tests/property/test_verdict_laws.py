"""Laws of observing and grading, on generated environments and facts (docs/parity.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffing import compare, grading, rules
from diffing.observing import observe
from diffing.reach import EVERYTHING, Reach
from diffing.testing import description, file, full_facts, layer
from diffing.verdict import Flag, Verdict, worst
from snapshot.facts.model import (
    Build,
    DistributionFacts,
    Facts,
    Host,
    Measurement,
    Module,
    Native,
    Numeric,
    Source,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)
from snapshot.model import Kind
from snapshot.parity import counted

SITE = "lib/python3.11/site-packages"
CATALOGUE = rules.load()
law = settings(deadline=None, max_examples=60)

# Few of everything, so that two generated environments have much in common.
NAMES = st.sampled_from(["click", "numpy", "pandas"])
PATHS = st.sampled_from(
    ["click/core.py", "numpy/core.so", "json.py", "numpy/data.bin", "zz.pth", "sitecustomize.py", "click/own.py"]
).map(lambda path: f"{SITE}/{path}")
CONTENTS = st.sampled_from([b"", b"one", b"two"])
RULES = st.sampled_from([(None, None), (None, None), (None, None), ("record", None), ("console-script", "e" * 64)])
REACHES = st.sampled_from(
    [
        EVERYTHING,
        Reach(frozenset()),
        Reach(frozenset({"numpy"}), frozenset({"numpy"}), frozenset({"numpy"}), {"numpy": "requirements.txt:1"}),
        Reach(frozenset({"click", "numpy"}), frozenset({"click", "json"})),
    ]
)


@st.composite
def entries(draw):
    rule, counts_as = draw(RULES)
    executable = draw(st.booleans()) and draw(st.booleans())
    return file(draw(PATHS), draw(CONTENTS), executable=executable, rule=rule, counts_as=counts_as)


@st.composite
def parts(draw):
    tree = draw(st.lists(entries(), max_size=4, unique_by=lambda entry: entry.path))
    kind = draw(st.sampled_from([Kind.DISTRIBUTION, Kind.DISTRIBUTION, Kind.UNOWNED, Kind.BYTECODE, Kind.INTERPRETER]))
    if kind is Kind.DISTRIBUTION:
        return layer(kind, draw(NAMES), draw(st.sampled_from(["1.0", "1.0+cu1", "2.0"])), tree)
    return layer(kind, kind.value, None, tree, mount=".envparity/python" if kind is Kind.INTERPRETER else "")


DISTRIBUTION_FACTS = st.lists(
    st.builds(
        DistributionFacts,
        name=NAMES,
        version=st.sampled_from(["1.0", "2.0"]),
        metadata=st.just(f"{SITE}/x.dist-info"),
        tags=st.sampled_from([("py3-none-any",), ("cp311-cp311-manylinux_2_17_x86_64",)]),
        entry_points=st.sampled_from([(), (("console_scripts", "click", "click:main"),)]),
        source=st.sampled_from([None, Source("https://example.org/x.git", "git", "a1b2")]),
        record=st.booleans(),
        modified=st.sampled_from([(), (f"{SITE}/click/core.py",)]),
        disputed=st.sampled_from([(), (f"{SITE}/numpy/core.so",)]),
    ),
    max_size=2,
    unique_by=lambda row: row.name,
).map(tuple)
HOOKS = st.builds(
    StartupHook,
    path=st.sampled_from([f"{SITE}/zz.pth", f"{SITE}/sitecustomize.py", "/etc/sitecustomize.py"]),
    kind=st.sampled_from(["pth", "sitecustomize"]),
    code=st.booleans(),
    owner=st.sampled_from(["", "click"]),
)
MODULES = st.builds(
    Module,
    name=st.sampled_from(["click", "json"]),
    path=st.sampled_from([f"{SITE}/click/__init__.py", f"{SITE}/json.py", "lib/python3.11/json/__init__.py"]),
    owner=st.sampled_from(["click", "", "python"]),
    hidden=st.sampled_from([(), (f"{SITE}/json.py",)]),
)
LIBRARIES = st.builds(
    SystemLibrary,
    soname=st.sampled_from(["libm.so.6", "libgomp.so.1"]),
    path=st.sampled_from(["", "/usr/lib/x.so"]),
    version=st.sampled_from(["1.0", "2.0"]),
    build_id=st.sampled_from(["aa", "bb"]),
    needed_by=st.just(("numpy",)),
)
VARIABLES = st.one_of(
    st.builds(Variable, st.sampled_from(["TZ", "LANG"]), st.just("timezone"), value=st.sampled_from(["UTC", "CET"])),
    st.builds(Variable, st.just("TOKEN"), st.just("other"), digest=st.sampled_from([None, "d1", "d2"])),
)
NUMBERS = st.builds(
    Measurement,
    name=st.just("matmul"),
    group=st.just("blas"),
    dtype=st.just("float64"),
    digest=st.sampled_from(["sha256:1", "sha256:2"]),
    sample=st.sampled_from([("0x1.0p+0",), ("0x1.0000000000001p+0",)]),
)


def once(items, key):
    return st.lists(items, max_size=2, unique_by=key).map(tuple)


def facts():
    """Facts in which nothing is missing."""
    return st.builds(
        full_facts,
        build=st.sampled_from([Build("a", "GCC 12", ()), Build("b", "Clang 18", (("Py_DEBUG", "1"),))]),
        host=st.builds(
            Host,
            st.sampled_from(["x86_64", "aarch64"]),
            st.sampled_from(["glibc", "musl"]),
            st.sampled_from(["2.12", "2.28", "2.36"]),
            st.sampled_from(["debian 12", "ubuntu 24.04"]),
            st.sampled_from(["6.1", "6.8"]),
            st.sampled_from(["Xeon", "EPYC"]),
            st.sampled_from(["", "550.1"]),
        ),
        distributions=DISTRIBUTION_FACTS,
        startup=once(HOOKS, lambda hook: hook.path),
        search_path=st.sampled_from([("a", "b"), ("b", "a"), ("a",)]),
        modules=once(MODULES, lambda module: module.name),
        native=st.builds(Native, once(LIBRARIES, lambda item: item.soname), st.sampled_from(["", "2.17", "2.28"])),
        variables=st.builds(Variables, once(VARIABLES, lambda item: item.name), st.sampled_from(["k1", "k2"])),
        numeric=st.builds(
            Numeric, st.sampled_from([(), (("openblas", "kernel", "Haswell"),)]), once(NUMBERS, lambda item: item.name)
        ),
    )


PARTS = st.lists(parts(), max_size=4, unique_by=lambda part: part[0].sort_key[:3])
VERSIONS = st.sampled_from(["3.11.7", "3.11.7", "3.11.9", "3.12.1"])
environments = st.builds(
    lambda layers, version, known: description(layers, version=version, facts=known), PARTS, VERSIONS, facts()
)
plain = st.builds(lambda layers, version: description(layers, version=version), PARTS, VERSIONS)


def seen(one, other):
    return observe(one, other, compare(one, other))


def graded(one, other, reach=EVERYTHING):
    return grading.grade(seen(one, other), reach, CATALOGUE)


def verdict(one, other, reach=EVERYTHING):
    return worst(difference.severity for difference in graded(one, other, reach))


def rebuilt(side, layers, **changes):
    """The environment with other layers."""
    return description(
        layers,
        version=side.snapshot.interpreter.version,
        facts=changes.get("facts", side.facts),
        findings=side.findings,
    )


def parts_of(side):
    return [(found, side.trees[found.tree]) for found in side.snapshot.layers]


@law
@given(environments)
def test_nothing_differs_from_itself(one):
    found = seen(one, rebuilt(one, reversed(parts_of(one))))
    assert found.found == ()
    assert found.normalised == ()


MIRRORED = {"added": "removed", "removed": "added"}


def mirrored_kind(kind):
    name, _, last = kind.rpartition("-")
    return f"{name}-{MIRRORED[last]}" if last in MIRRORED else kind


@law
@given(environments, environments)
def test_the_other_way_round_is_the_mirror_image(one, other):
    there, back = seen(one, other), seen(other, one)

    def rows(observations, *, mirror):
        return Counter(
            (mirrored_kind(item.kind), item.subject, item.path, item.owner, item.serve, item.train, item.bytes)
            if mirror
            else (item.kind, item.subject, item.path, item.owner, item.train, item.serve, item.bytes)
            for item in observations.found
        )

    assert rows(there, mirror=False) == rows(back, mirror=True)
    assert there.normalised == back.normalised
    sides = {"train": "serve", "serve": "train", "both": "both"}
    assert {(item.aspect, item.side) for item in there.unknown} == {(i.aspect, sides[i.side]) for i in back.unknown}


@law
@given(plain, plain, REACHES)
def test_equal_roots_exactly_if_no_file_is_worse_than_equivalent(one, other, reach):
    equal = one.snapshot.parity_root == other.snapshot.parity_root
    assert (verdict(one, other, reach) <= Verdict.EQUIVALENT) == equal


@law
@given(environments, environments, REACHES, st.data())
def test_one_more_difference_never_improves_the_verdict(one, other, reach, data):
    layers = parts_of(other)
    extra = file(f"{SITE}/{data.draw(st.sampled_from(['more.py', 'click/more.py', 'more.pth', 'more.so']))}", b"more")
    kind = data.draw(st.sampled_from([Kind.UNOWNED, Kind.DISTRIBUTION]))
    number = next((at for at, (found, _) in enumerate(layers) if found.kind is kind), None)
    if number is None:
        layers.append(layer(kind, "more" if kind is Kind.DISTRIBUTION else kind.value, None, [extra]))
    else:
        found, tree = layers[number]
        layers[number] = layer(found.kind, found.name, found.version, [*tree, extra], mount=found.mount)
    worse = rebuilt(other, layers)
    assert verdict(one, worse, reach) >= verdict(one, other, reach)
    assert len(graded(one, worse, reach)) >= 1


#: The aspects of a collector that is not called like its only one.
ASPECTS_OF = {"host": ["host", "gpu-driver"], "distributions": ["distributions", "record", "entry-points"]}
#: The kinds of observations that a collector alone can bring.
BROUGHT = {
    "build": {"python-build", "python-setting"},
    "host": {
        "platform-libc",
        "platform-libc-version",
        "platform-system",
        "platform-kernel",
        "platform-cpu",
        "gpu-driver",
    }
    | {"platform-machine"},
    "distributions": {"distribution-source", "entry-points", "distribution-wheel"},
    "startup": {"startup-added", "startup-removed"},
    "search_path": {"search-path"},
    "modules": {"module-resolution"},
    "native": {"library-version", "library-added", "library-removed", "library-missing"},
    "variables": {"variable"},
    "numeric": {"numeric-backend", "numeric-dispatch", "numeric-result"},
}


@settings(deadline=None, max_examples=150)
@given(
    environments,
    environments,
    REACHES,
    st.sampled_from([item.name for item in fields(Facts)]),
    st.sampled_from([0, 1, 2]),
)
def test_a_removed_collector_gives_unknown_and_never_a_better_verdict(one, other, reach, name, side):
    known = seen(one, other)
    sides = [one, other]
    for at in (0, 1) if side == 2 else (side,):
        sides[at] = replace(sides[at], facts=replace(sides[at].facts, **{name: None}))
    blind = seen(*sides)
    before = grading.grade(known, reach, CATALOGUE)
    after = grading.grade(blind, reach, CATALOGUE)
    assert Flag.UNKNOWN in grading.flags(after, blind.unknown)
    unknown = {item.aspect: item.side for item in blind.unknown}
    assert {unknown.get(aspect) for aspect in ASPECTS_OF.get(name, [name.replace("_", "-")])} == {
        ("train", "serve", "both")[side]
    }
    brought = {item.kind for item in known.found} & BROUGHT[name]
    gone = {rule.id for rule in CATALOGUE.rules if brought & set(rule.kinds)}
    for owner in {item.owner for item in before}:
        kept = worst(item.severity for item in before if item.owner == owner and item.rule not in gone)
        assert worst(item.severity for item in after if item.owner == owner) >= kept


@law
@given(environments, st.data())
def test_what_a_rule_takes_out_is_counted_and_nothing_else(one, data):
    layers = parts_of(one)
    assume(layers)
    number = data.draw(st.integers(0, len(layers) - 1))
    found, tree = layers[number]
    assume(found.kind is not Kind.BYTECODE)
    rule = data.draw(st.sampled_from(["record", "installer-note", "activation", "venv-config"]))
    layers[number] = layer(
        found.kind, found.name, found.version, [*tree, file("zz", b"by another tool", rule=rule)], mount=found.mount
    )
    found = seen(one, rebuilt(one, layers))
    assert found.found == ()
    assert [(item.rule, item.count) for item in found.normalised] == [(rule, 1)]


@law
@given(environments, environments, REACHES, st.data())
def test_a_flipped_byte_is_named(one, other, reach, data):
    del other
    candidates = [
        (number, place)
        for number, found in enumerate(one.snapshot.layers)
        if found.kind is not Kind.BYTECODE
        for place, entry in enumerate(one.trees[found.tree])
        if counted(entry) and entry.rule is None
    ]
    assume(candidates)
    number, place = data.draw(st.sampled_from(candidates))
    layers = parts_of(one)
    found, tree = layers[number]
    changed = [replace(entry, sha256="f" * 64) if at == place else entry for at, entry in enumerate(tree)]
    layers[number] = layer(found.kind, found.name, found.version, changed, mount=found.mount)
    path = f"{found.mount}/{tree[place].path}" if found.mount else tree[place].path
    differences = graded(one, rebuilt(one, layers), reach)
    assert worst(item.severity for item in differences) > Verdict.EQUIVALENT
    assert any(item.path == path or any(path in line for line in item.details) for item in differences)


@law
@given(environments, environments, REACHES)
def test_grades_are_in_order_and_each_has_a_name_of_its_own(one, other, reach):
    found = seen(one, other)
    differences = grading.grade(found, reach, CATALOGUE)
    assert [-item.severity for item in differences] == sorted(-item.severity for item in differences)
    assert len({item.digest for item in differences}) == len(differences) == len(found.found)
    assert grading.grade(replace(found, found=found.found[::-1]), reach, CATALOGUE) == differences
    for item in differences:
        assert item.severity <= Verdict.COMPATIBLE or item.reachable is not False


@law
@given(environments, environments, REACHES)
def test_knowing_less_of_the_model_never_improves_the_verdict_of_files(one, other, reach):
    """But for what only pickles make worse: without a model nothing is known of pickles."""
    assume(not reach.pickled)
    known = {
        item.digest: item.severity
        for item in graded(one, other, reach)
        if not item.rule.startswith("distribution-removed")
    }
    unknown = {item.digest: item.severity for item in graded(one, other)}
    assert all(unknown[digest] >= severity for digest, severity in known.items())
