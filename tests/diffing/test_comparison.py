"""What `compare` says about each way in which two environments can differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from diffing import DiffError, FactChange, FileCounts, compare
from diffing.errors import MissingTreeError
from diffing.testing import description, file, layer, link
from snapshot.description import Description
from snapshot.documents import digest_of
from snapshot.model import Kind


def distribution(name, version, *entries, mount=""):
    return layer(Kind.DISTRIBUTION, name, version, entries, mount=mount)


def unowned(*entries):
    return layer(Kind.UNOWNED, "unowned", None, entries)


def said(diff):
    return [(change.path, change.change, change.what) for change in diff.files]


def test_equal_environments_have_no_difference():
    one = description([distribution("click", "8.1.7", file("click.py", b"1"))])
    other = description([distribution("click", "8.1.7", file("click.py", b"1"))])
    diff = compare(one, other)
    assert diff.equal
    assert diff.empty


def test_distributions_added_removed_and_changed():
    one = description([distribution("a", "1", file("a.py")), distribution("b", "1.0", file("b.py", b"1"))])
    other = description([distribution("b", "1.0+cu1", file("b.py", b"2")), distribution("c", "3", file("c.py"))])
    diff = compare(one, other)
    assert not diff.equal
    assert [(change.name, change.change) for change in diff.distributions] == [
        ("a", "removed"),
        ("b", "changed"),
        ("c", "added"),
    ]
    # PEP 440 calls these two equal; exactly compared they are not.
    changed = diff.distributions[1]
    assert (changed.before.version, changed.after.version) == ("1.0", "1.0+cu1")
    assert not changed.same_version
    assert [change.files for change in diff.distributions] == [
        FileCounts(removed=1),
        FileCounts(changed=1),
        FileCounts(added=1),
    ]


def test_names_are_matched_in_their_normalised_form():
    one = description([distribution("Foo_Bar", "1", file("foo.py"))])
    other = description([distribution("foo-bar", "2", file("foo.py"))])
    (change,) = compare(one, other).distributions
    assert (change.name, change.change) == ("foo-bar", "changed")


def test_the_same_version_with_other_files_is_a_changed_distribution():
    one = description([distribution("click", "8.1.7", file("click/core.py", b"1"), file("click/gone.py"))])
    other = description([distribution("click", "8.1.7", file("click/core.py", b"edited"), file("click/new.py"))])
    diff = compare(one, other)
    (change,) = diff.distributions
    assert change.same_version
    assert change.files == FileCounts(added=1, removed=1, changed=1)
    assert said(diff) == [
        ("click/core.py", "changed", ("content",)),
        ("click/gone.py", "removed", ()),
        ("click/new.py", "added", ()),
    ]


def test_what_changed_of_a_file():
    one = description([unowned(file("a", b"1"), file("b"), link("c", "x"), file("d"), file("e", b"1"))])
    other = description(
        [
            unowned(
                file("a", b"2"),
                file("b", executable=True),
                link("c", "y"),
                link("d", "x"),
                file("e", b"2", executable=True),
            )
        ]
    )
    assert said(compare(one, other)) == [
        ("a", "changed", ("content",)),
        ("b", "changed", ("mode",)),
        ("c", "changed", ("target",)),
        ("d", "changed", ("type",)),
        ("e", "changed", ("mode", "content")),
    ]


def test_a_file_that_went_to_another_owner_is_one_change():
    core = file("click/core.py", b"1")
    one = description([distribution("click", "8.1.7", core, file("click/x.py"))])
    other = description([distribution("click", "8.1.7", file("click/x.py")), unowned(core)])
    diff = compare(one, other)
    assert said(diff) == [("click/core.py", "changed", ("owner",))]
    (change,) = diff.files
    assert (change.before.owner.label, change.after.owner.label) == ("click 8.1.7", "unowned")
    assert diff.distributions[0].files == FileCounts(removed=1)


def test_a_file_that_went_to_another_owner_and_was_edited_is_one_change():
    one = description([distribution("a", "1", file("shared.py", b"1")), distribution("b", "1", file("b.py"))])
    other = description([distribution("b", "1", file("b.py"), file("shared.py", b"2"))])
    assert said(compare(one, other)) == [("shared.py", "changed", ("owner", "content"))]


def test_a_new_version_of_the_same_files_is_no_change_of_owner():
    one = description([distribution("click", "8.1.7", file("click/core.py"), file("click/version.py", b"7"))])
    other = description([distribution("click", "8.1.8", file("click/core.py"), file("click/version.py", b"8"))])
    assert said(compare(one, other)) == [("click/version.py", "changed", ("content",))]


def test_two_owners_of_one_path_are_kept_apart():
    one = description([distribution("a", "1", file("x.py", b"1")), distribution("b", "1", file("x.py", b"1"))])
    other = description([distribution("a", "1", file("x.py", b"1")), distribution("b", "1", file("x.py", b"2"))])
    diff = compare(one, other)
    assert said(diff) == [("x.py", "changed", ("content",))]
    assert [change.name for change in diff.distributions] == ["b"]


def test_what_a_rule_takes_out_or_makes_equal_is_no_difference():
    entry_point = "e" * 64
    one = description(
        [
            distribution(
                "click",
                "8.1.7",
                file("click.py"),
                file("click.dist-info/RECORD", b"pip's", rule="record"),
                file("bin/tool", b"pip's", executable=True, rule="console-script", counts_as=entry_point),
            ),
            layer(Kind.BYTECODE, "click", None, [file("__pycache__/click.pyc", b"1")]),
            layer(Kind.ENVIRONMENT, "environment", None, [file("pyvenv.cfg", b"pip's", rule="venv-config")]),
        ]
    )
    other = description(
        [
            distribution(
                "click",
                "8.1.7",
                file("click.py"),
                file("click.dist-info/RECORD", b"uv's", rule="record"),
                file("bin/tool", b"uv's", executable=True, rule="console-script", counts_as=entry_point),
            )
        ]
    )
    assert compare(one, other).empty


def test_a_console_script_of_another_entry_point_is_a_difference():
    def script(entry_point):
        return distribution("tool", "1", file("bin/tool", b"#!", rule="console-script", counts_as=entry_point * 64))

    assert said(compare(description([script("a")]), description([script("b")]))) == [
        ("bin/tool", "changed", ("content",))
    ]


def test_facts():
    one = description([], version="3.11.7", system_site_packages=False)
    other = description([], version="3.11.9", system_site_packages=True)
    diff = compare(one, other)
    assert diff.facts == (
        FactChange("interpreter.version", "3.11.7", "3.11.9"),
        FactChange("system_site_packages", before=False, after=True),
    )
    assert not diff.files


def test_a_captured_interpreter_that_differs_is_compared_by_file():
    def base(content):
        return layer(Kind.INTERPRETER, "interpreter", None, [file("lib/os.py", content)], mount=".envparity/python")

    diff = compare(description([base(b"1")]), description([base(b"2")]))
    assert [fact.name for fact in diff.facts] == ["interpreter.digest"]
    assert said(diff) == [(".envparity/python/lib/os.py", "changed", ("content",))]


def test_an_interpreter_that_one_side_lacks_is_one_difference():
    base = layer(Kind.INTERPRETER, "interpreter", None, [file("lib/os.py")], mount=".envparity/python")
    without = description([], interpreter_digest=digest_of(b"another"))
    for one, other in ((description([base]), without), (without, description([base]))):
        diff = compare(one, other)
        assert [fact.name for fact in diff.facts] == ["interpreter.digest"]
        assert not diff.files


def test_an_equal_interpreter_may_be_captured_on_one_side_only():
    one = description([layer(Kind.INTERPRETER, "interpreter", None, [file("lib/os.py")], mount=".envparity/python")])
    other = description([], interpreter_digest=one.snapshot.interpreter.digest)
    assert compare(one, other).empty


def test_another_minor_version_of_python_does_not_make_every_file_another():
    def environment(minor, extra):
        place = f"lib/python{minor}/site-packages"
        return description(
            [
                distribution("six", "1.16", file(f"{place}/six.py")),
                distribution("x", "1", file(f"{place}/x.py", extra)),
            ],
            version=f"{minor}.1",
        )

    diff = compare(environment("3.11", b"1"), environment("3.12", b"2"))
    assert [fact.name for fact in diff.facts] == ["interpreter.version", "interpreter.soabi"]
    assert [change.name for change in diff.distributions] == ["x"]
    (change,) = diff.files
    assert [state.path for state in change.states] == [
        "lib/python3.11/site-packages/x.py",
        "lib/python3.12/site-packages/x.py",
    ]
    assert change.what == ("content",)


def test_one_distribution_in_two_places_of_an_environment():
    def numpy(version, mount):
        return distribution("numpy", version, file("numpy.py", version.encode()), mount=mount)

    one = description([numpy("1", ""), numpy("1", ".envparity/python")])
    other = description([numpy("2", ""), numpy("1", ".envparity/python")])
    (change,) = compare(one, other).distributions
    assert (change.before.mount, change.before.version, change.after.version) == ("", "1", "2")


def test_two_versions_of_a_distribution_in_one_place():
    def numpy(version, *names):
        return distribution("numpy", version, *map(file, names))

    one = description([numpy("1", "a.py"), numpy("2", "b.py")])
    other = description([numpy("1", "b.py"), numpy("2", "a.py")])
    diff = compare(one, other)
    assert said(diff) == [("a.py", "changed", ("owner",)), ("b.py", "changed", ("owner",))]
    assert [change.files for change in diff.distributions] == [FileCounts(added=1, removed=1)] * 2


def test_a_file_of_two_versions_in_one_place_stays_with_its_version():
    one = description([distribution("numpy", "1", file("x.py", b"1")), distribution("numpy", "2", file("x.py", b"2"))])
    other = description([distribution("numpy", "2", file("x.py", b"edited"))])
    diff = compare(one, other)
    assert [(change.change, change.before.owner.version) for change in diff.files] == [
        ("changed", "2"),
        ("removed", "1"),
    ]


def test_the_place_of_a_layer_is_no_part_of_identity():
    one = description(
        [distribution("numpy", "1", file("1.py")), distribution("numpy", "2", file("2.py"), mount="base")]
    )
    other = description(
        [distribution("numpy", "2", file("2.py")), distribution("numpy", "1", file("1.py"), mount="base")]
    )
    diff = compare(one, other)
    assert diff.equal
    assert diff.empty


def test_bytecode_is_never_compared():
    def compiled(content):
        found, tree = layer(Kind.BYTECODE, "click", None, [file("click.pyc", content)])
        return replace(found, parity=digest_of(content)), tree

    diff = compare(description([compiled(b"1")]), description([compiled(b"2")]))
    assert diff.equal
    assert diff.empty


def test_a_distribution_of_which_nothing_counted_before_is_changed_and_not_added():
    one = description([distribution("meta", "1", file("meta.dist-info/RECORD", rule="record"))])
    other = description([distribution("meta", "1", file("meta.py"))])
    (change,) = compare(one, other).distributions
    assert (change.change, change.files) == ("changed", FileCounts(added=1))


def test_equal_layers_are_never_looked_into():
    class Guarded(dict):
        def __getitem__(self, digest):
            asked.append(digest)
            return super().__getitem__(digest)

    asked = []
    same = distribution("same", "1", file("same.py"))
    one = description([same, unowned(file("a", b"1"))])
    other = description([same, unowned(file("a", b"2"))])
    one, other = (Description(side.snapshot, Guarded(side.trees)) for side in (one, other))
    compare(one, other)
    assert same[0].tree not in asked
    assert len(asked) == 2


def test_a_description_without_a_tree_that_is_needed_is_refused():
    one = description([unowned(file("a", b"1"))])
    other = replace(description([unowned(file("a", b"2"))]), trees={})
    with pytest.raises(
        MissingTreeError, match=r"that unowned has the tree sha256:.*load it again from its store"
    ) as caught:
        compare(one, other)
    assert isinstance(caught.value, (DiffError, LookupError))


def test_files_come_in_the_order_of_their_bytes():
    names = ["é.py", "\udcff", "z", "a/b", "a-b", "new\nline"]
    diff = compare(description([]), description([unowned(*map(file, names))]))
    found = [change.path for change in diff.files]
    assert found == sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))
