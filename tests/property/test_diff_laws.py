"""Laws of the comparison, on generated environments."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from diffing import DistributionChange, EnvironmentDiff, FactChange, FileChange, compare
from diffing.testing import description, file, layer, link
from snapshot.model import Kind
from snapshot.parity import counted

# Few of everything, so that two generated environments have much in common.
paths = st.sampled_from(
    ["a.py", "b.py", "bin/tool", "lib/python3.11/site-packages/x/__init__.py", "lib/python3.12/os.py", "\udcff", "n\nl"]
)
contents = st.sampled_from([b"", b"one", b"two"])
rules = st.sampled_from([(None, None), (None, None), ("record", None), ("console-script", "e" * 64)])


@st.composite
def entries(draw):
    path = draw(paths)
    if draw(st.booleans()) and draw(st.booleans()):
        return link(
            path, draw(st.sampled_from(["a.py", "../outside"])), rule=draw(st.sampled_from([None, "venv-link"]))
        )
    rule, counts_as = draw(rules)
    return file(path, draw(contents), executable=draw(st.booleans()), rule=rule, counts_as=counts_as)


def trees():
    return st.lists(entries(), max_size=4, unique_by=lambda entry: entry.path)


@st.composite
def parts(draw):
    kind = draw(st.sampled_from(list(Kind)))
    version = None
    if kind is Kind.DISTRIBUTION:
        name, version = (
            draw(st.sampled_from(["click", "Foo_Bar", "foo-bar"])),
            draw(st.sampled_from(["1.0", "1.0+cu1"])),
        )
    elif kind is Kind.SOURCE:
        name = draw(st.sampled_from(["mine", "yours"]))
    else:
        name = kind.value
    mount = {Kind.INTERPRETER: ".envparity/python", Kind.SOURCE: f".envparity/src/{name}"}.get(kind, "")
    if kind is Kind.DISTRIBUTION:
        mount = draw(st.sampled_from(["", ".envparity/python"]))
    return layer(kind, name, version, draw(trees()), mount=mount)


environments = st.builds(
    lambda layers, version, system: description(layers, version=version, system_site_packages=system),
    st.lists(parts(), max_size=6, unique_by=lambda part: part[0].sort_key[:4]),
    st.sampled_from(["3.11.7", "3.11.9", "3.12.1"]),
    st.booleans(),
)


def mirrored(diff):
    return EnvironmentDiff(
        diff.after,
        diff.before,
        tuple(FactChange(fact.name, fact.after, fact.before) for fact in diff.facts),
        tuple(
            DistributionChange(
                change.name,
                change.after,
                change.before,
                replace(change.files, added=change.files.removed, removed=change.files.added),
            )
            for change in diff.distributions
        ),
        tuple(FileChange(change.after, change.before, change.what) for change in diff.files),
    )


def rebuilt(side):
    """The same environment from other objects: equality must not rest on identity."""
    return description(
        [(found, tuple(side.trees[found.tree])) for found in reversed(side.snapshot.layers)],
        version=side.snapshot.interpreter.version,
        system_site_packages=side.snapshot.environment.system_site_packages,
    )


@given(environments)
def test_nothing_differs_from_itself(one):
    assert compare(one, one).empty
    assert compare(one, rebuilt(one)).empty


@given(environments, environments)
def test_the_other_way_round_is_the_mirror_image(one, other):
    assert compare(other, one) == mirrored(compare(one, other))


@given(environments, environments)
def test_there_is_a_difference_exactly_if_the_roots_differ(one, other):
    diff = compare(one, other)
    assert diff.equal == (one.snapshot.parity_root == other.snapshot.parity_root)
    assert diff.empty == diff.equal


@given(environments, st.data())
def test_a_changed_byte_is_named_and_nothing_else_is(one, data):
    candidates = [
        (number, place)
        for number, found in enumerate(one.snapshot.layers)
        if found.kind not in (Kind.BYTECODE, Kind.MODEL)
        for place, entry in enumerate(one.trees[found.tree])
        if entry.type == "f" and counted(entry) and entry.rule is None
    ]
    assume(candidates)
    number, place = data.draw(st.sampled_from(candidates))
    layers = [(found, one.trees[found.tree]) for found in one.snapshot.layers]
    found, tree = layers[number]
    changed = [replace(entry, sha256="f" * 64) if at == place else entry for at, entry in enumerate(tree)]
    layers[number] = layer(found.kind, found.name, found.version, changed, mount=found.mount)
    other = description(
        layers,
        version=one.snapshot.interpreter.version,
        system_site_packages=one.snapshot.environment.system_site_packages,
    )
    diff = compare(one, other)
    path = f"{found.mount}/{tree[place].path}" if found.mount else tree[place].path
    assert [(change.path, change.change, change.what) for change in diff.files] == [(path, "changed", ("content",))]
    assert {change.name for change in diff.distributions} <= {found.name.lower().replace("_", "-")}


@given(environments, st.data())
def test_what_a_rule_takes_out_makes_no_difference(one, data):
    layers = [(found, one.trees[found.tree]) for found in one.snapshot.layers]
    assume(layers)
    number = data.draw(st.integers(0, len(layers) - 1))
    found, tree = layers[number]
    assume(all(entry.path != "zz" for entry in tree))
    noise = data.draw(
        st.sampled_from(
            [
                file("zz", b"whoever installed this", rule="installer-note"),
                link("zz", "python3", rule="venv-link"),
            ]
        )
    )
    layers[number] = layer(found.kind, found.name, found.version, [*tree, noise], mount=found.mount)
    other = description(
        layers,
        version=one.snapshot.interpreter.version,
        system_site_packages=one.snapshot.environment.system_site_packages,
    )
    assert compare(one, other).empty


def applied(before, diff):
    """The counted files of `before` after `diff`, as a sorted list."""
    states = files_of(before)
    for change in diff.files:
        if change.before:
            states.remove(facts(change.before))
        if change.after:
            states.append(facts(change.after))
    return sorted(states)


def facts(state):
    return (state.path, state.owner.kind.value, state.type, state.executable, state.content)


def files_of(side):
    return sorted(
        (f"{found.mount}/{row[0]}" if found.mount else row[0], found.kind.value, *row[1:])
        for found in side.snapshot.layers
        if found.kind not in (Kind.BYTECODE, Kind.MODEL)
        for row in map(counted, side.trees[found.tree])
        if row
    )


@given(environments, environments)
def test_the_difference_applied_to_one_gives_the_other(one, other):
    # Within one version of Python, with every interpreter file known: otherwise a fact stands for files.
    assume(one.snapshot.interpreter.minor == other.snapshot.interpreter.minor)
    assume(one.snapshot.interpreter.captured == other.snapshot.interpreter.captured)
    distributions = [
        found for side in (one, other) for found in side.snapshot.layers if found.kind is Kind.DISTRIBUTION
    ]
    assume(all(found.mount == "" for found in distributions))
    assert applied(one, compare(one, other)) == files_of(other)
