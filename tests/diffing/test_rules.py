"""The catalogue of rules: the file that comes along, what can be wrong with one, and which rule wins."""

from __future__ import annotations

import string
from pathlib import Path

import pytest

from diffing import rules
from diffing.errors import DiffError
from diffing.observation import Observation
from diffing.reach import EVERYTHING, Reach
from diffing.rules.catalogue import attributes_of
from diffing.rules.table import replaced
from diffing.verdict import Level, Verdict

OWN = rules.load()
DOCS = Path(__file__).parents[2] / "docs" / "parity.md"

#: Each kind with the values that its attributes can have: the contract between observing and the rules.
CHANGES = ["major", "minor", "patch", "local", "other"]
LAYERS = ["distribution", "environment", "unowned", "source", "interpreter"]
INTEGRITY = ["yes", "no", "unknown"]
FILE = {
    "layer": LAYERS,
    "integrity": INTEGRITY,
    "what": ["py", "native", "data", "metadata", "script"],
    "package": ["yes", "hidden", "no", "unknown"],
    "loaded": ["yes"],
}
HOOK = {
    "kind": ["pth", "sitecustomize", "usercustomize"],
    "code": ["yes", "no"],
    "owned": ["yes", "interpreter", "no"],
    "integrity": INTEGRITY,
}
KINDS = {
    "python-version": {"change": [*CHANGES, "required"]},
    "python-implementation": {},
    "python-abi": {},
    "python-build": {"name": ["build", "compiler"]},
    "python-setting": {},
    "python-files": {},
    "system-site-packages": {},
    "platform-machine": {},
    "platform-libc": {},
    "platform-libc-version": {"below_floor": ["yes", "no", "unknown"]},
    "platform-system": {},
    "platform-kernel": {},
    "platform-cpu": {"measured": ["yes", "no"]},
    "gpu-driver": {},
    "distribution-version": {"change": CHANGES},
    "distribution-added": {},
    "distribution-removed": {},
    "distribution-wheel": {"tags": ["same", "python", "other", "unknown"], "recorded": ["yes", "unknown"]},
    "distribution-source": {"files": ["same", "other"], "commit": ["same", "other"]},
    "file-content": FILE,
    "file-added": FILE,
    "file-removed": FILE,
    "file-mode": FILE,
    "file-type": FILE,
    "file-target": FILE,
    "file-owner": FILE,
    "file-disputed": FILE,
    "entry-points": {},
    "startup-added": HOOK,
    "startup-removed": HOOK,
    "startup-changed": HOOK,
    "search-path": {"resolves": ["yes", "no", "unknown"], "order": ["yes", "no"]},
    "module-resolution": {"shadow": ["yes", "no"], "there": ["both", "train", "serve"]},
    "library-version": {"change": ["version", "build"]},
    "library-added": {},
    "library-removed": {},
    "library-missing": {"side": ["train", "serve"]},
    "variable": {
        "type": [
            "locale",
            "timezone",
            "hash-seed",
            "search-path",
            "python",
            "allocator",
            "loader",
            "dispatch",
            "threads",
            "determinism",
            "accelerator",
            "numeric",
            "other",
        ],
        "state": ["both", "train", "serve"],
    },
    "numeric-backend": {},
    "numeric-dispatch": {},
    "numeric-result": {},
}
COMPUTED = {
    "pickled": ["yes", "no"],
    "reached": ["yes", "optional", "no", "unknown", "unasked"],
    "imported": ["yes", "no"],
}


def observation(kind, subject="x", **given):
    words = {name: given.pop(name) for name in ("train", "serve", "owner", "path") if name in given}
    return Observation(kind, Level.FILES, subject, attributes=given, **words)


def test_every_kind_is_known_and_no_other():
    assert OWN.kinds == KINDS.keys()


def test_rules_ask_only_for_what_there_is():
    for rule in OWN.rules:
        for kind in rule.kinds:
            known = {**KINDS[kind], **COMPUTED}
            assert rule.where.keys() <= known.keys(), rule.id
            for name, values in rule.where.items():
                assert values, rule.id
                assert set(values) <= set(known[name]), (rule.id, name)


def example(rule, kind):
    """An observation of `kind` that is made for this rule, and what the model reaches there."""
    subject = rule.subjects[0].replace("*", "X") if rule.subjects else "x"
    attributes = {name: values[0] for name, values in rule.where.items()}
    versions = {
        name: None if specifier is None else fitting(specifier)
        for name, specifier in (("train", rule.train), ("serve", rule.serve))
    }
    pickled = frozenset({subject}) if rule.pickled else frozenset()
    own = frozenset({subject})
    reach = {
        "yes": Reach(own, pickled=pickled),
        "optional": Reach(own, pickled=pickled, optional=own),
        "no": Reach(frozenset(), pickled=pickled),
    }.get(attributes.pop("reached", ""), Reach(pickled=pickled))
    if attributes.pop("imported", "") == "yes":
        attributes["modules"] = "json os"
        reach = Reach(frozenset({subject}), frozenset({"os"}))
    return observation(kind, subject, owner=subject, **versions, **attributes), reach


def fitting(specifier):
    candidates = [
        "0.18",
        "0.20",
        "0.23",
        "0.24.2",
        "1.0",
        "1.2.9",
        "1.3",
        "1.15",
        "1.16.0",
        "1.24",
        "2.0",
        "2.2",
        "2.3.0",
        "3.0",
    ]
    return next(version for version in candidates if specifier.contains(version))


@pytest.mark.parametrize("rule", OWN.rules, ids=lambda rule: rule.id)
def test_every_rule_can_win(rule):
    for kind in rule.kinds:
        assert OWN.match(*example(rule, kind)).id == rule.id


@pytest.mark.parametrize("rule", OWN.rules, ids=lambda rule: rule.id)
def test_every_reason_is_a_short_line(rule):
    kind = rule.kinds[0]
    found, reach = example(rule, kind)
    reason = rule.explain(found, attributes_of(found, reach))
    assert len(reason) <= 78
    assert "\n" not in reason
    assert reason[0] not in string.ascii_uppercase or reason.split()[0] in ("NumPy", "Python")
    assert not reason.endswith(".")


def test_the_documentation_has_every_rule_as_it_is():
    page = DOCS.read_text(encoding="utf-8")
    assert replaced(page, OWN) == page


def test_what_always_counts_is_what_parity_says():
    always = {kind for rule in OWN.rules if rule.always for kind in rule.kinds}
    assert always == {kind for kind in KINDS if kind.startswith(("startup-", "library-")) or kind == "search-path"}
    for rule in OWN.rules:
        assert rule.always == bool(set(rule.kinds) & always), rule.id


@pytest.mark.parametrize(
    ("name", "train", "serve", "change", "rule", "verdict"),
    [
        ("numpy", "2.1.3", "1.26.4", "major", "numpy-2-to-1-pickled", Verdict.INCOMPATIBLE),
        ("numpy", "1.26.4", "2.1.3", "major", "numpy-major", Verdict.DRIFTED),
        ("numpy", "2.1.3", "2.2.0", "minor", "numpy-minor", Verdict.DRIFTED),
        ("numpy", "2.0.0rc1", "1.26.4", "major", "numpy-2-to-1-pickled", Verdict.INCOMPATIBLE),
        ("pandas", "1.5.3", "2.0.0", "major", "pandas-major-pickled", Verdict.INCOMPATIBLE),
        ("pandas", "2.2.3", "2.3.0", "minor", "pandas-2-3-0-pickled", Verdict.INCOMPATIBLE),
        ("pandas", "2.2.3", "2.3.1", "minor", "distribution-version", Verdict.DRIFTED),
        ("pandas", "1.5.3", "1.2.5", "minor", "pandas-1-3-to-older-pickled", Verdict.INCOMPATIBLE),
        ("scikit-learn", "1.2.2", "1.3.0", "minor", "scikit-learn-before-1-3-pickled", Verdict.INCOMPATIBLE),
        ("scikit-learn", "1.5.2", "1.6.1", "minor", "scikit-learn", Verdict.DRIFTED),
        ("scikit-learn", "1.5.2", "1.5.1", "patch", "scikit-learn", Verdict.DRIFTED),
        ("xgboost", "1.4.2", "1.5.0", "minor", "xgboost-pickled", Verdict.INCOMPATIBLE),
        ("lightgbm", "3.3.5", "4.0.0", "major", "lightgbm-major-pickled", Verdict.INCOMPATIBLE),
        ("cloudpickle", "3.0.0", "3.1.0", "minor", "cloudpickle", Verdict.DRIFTED),
        ("torch", "2.1+cpu", "2.1+cu118", "local", "distribution-local-version", Verdict.DRIFTED),
        ("numpy", "not a version", "1.26.4", "other", "distribution-version", Verdict.DRIFTED),
    ],
)
def test_pairs_that_are_known_to_break(name, train, serve, change, rule, verdict):
    found = observation("distribution-version", name, owner=name, train=train, serve=serve, change=change)
    match = OWN.match(found, Reach(frozenset({name}), pickled=frozenset({name})))
    assert (match.id, match.verdict) == (rule, verdict)


def test_without_a_pickle_nothing_breaks():
    found = observation("distribution-version", "numpy", owner="numpy", train="2.1.3", serve="1.26.4", change="major")
    assert OWN.match(found, EVERYTHING).id == "numpy-major"


# -- bad files

GOOD = """
format = 1
version = "1"
[[rule]]
id = "one"
kind = "file-added"
where = { what = "py" }
verdict = "DRIFTED"
reason = "{subject} is new"
[[rule]]
id = "two"
kind = ["file-added", "file-removed"]
verdict = "COMPATIBLE"
flags = ["INTEGRITY"]
reason = "{train} to {serve}"
evidence = "pypa/pip#1463"
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        return rules.load(path)

    return read


def test_a_catalogue_of_ones_own(read):
    catalogue = read(GOOD)
    assert catalogue.version == "1"
    assert catalogue.ids == {"one", "two"}
    assert catalogue.match(observation("file-added", what="py"), EVERYTHING).id == "one"
    found = observation("file-added", what="data", train="a", serve=None)
    rule = catalogue.match(found, EVERYTHING)
    assert (rule.id, rule.explain(found, found.attributes)) == ("two", "a to nothing")
    with pytest.raises(rules.CatalogueError, match=r"^no rule of the catalogue 1 matches variable of TZ$"):
        catalogue.match(observation("variable", "TZ"), EVERYTHING)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "own.toml: format is 2, this envparity reads 1"),
        ('version = "1"', "version = 1", "own.toml: version: want a text"),
        ('version = "1"', 'version = "1"\nname = "x"', "own.toml: name: not a key of a catalogue"),
        ('id = "two"', 'id = "one"', "own.toml: the id one is there twice"),
        ('id = "two"', 'id = "Two"', "own.toml: rule[1] (Two).id: want lower-case words with hyphens between them"),
        ('verdict = "DRIFTED"', 'verdict = "BAD"', "rule[0] (one).verdict: 'BAD' is none of IDENTICAL, EQUIVALENT, COMPATIBLE"),
        ('flags = ["INTEGRITY"]', 'flags = ["BAD"]', "rule[1] (two).flags: 'BAD' is none of INTEGRITY, UNKNOWN"),
        ("{subject} is", "{subject.__class__} is", "rule[0] (one).reason: {subject.__class__} is not known"),
        ("{subject} is", "{subject!r} is", "rule[0] (one).reason: {subject} is not known"),
        ("{subject} is", "{subject is", "rule[0] (one).reason: expected '}' before end of string"),
        ("pypa/pip#1463", "see pip", "rule[1] (two).evidence: 'see pip' is no owner/repository#number"),
        ('where = { what = "py" }', 'train = "newest"', "rule[0] (one).train: 'newest' is no version specifier (PEP 440)"),
        ('where = { what = "py" }', 'pickled = "yes"', "rule[0] (one).pickled: want true or false"),
        ('where = { what = "py" }', "when = 1", "rule[0] (one).when: not a key of a rule"),
        ('where = { what = "py" }', "", "two comes behind a rule that matches everything of its kind"),
        ('"file-removed"]', '"file-removed"]\nwhere = { what = "data" }', "no rule matches every file-added"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(read, old, new, message):
    assert old in GOOD
    with pytest.raises(rules.CatalogueError) as caught:
        read(GOOD.replace(old, new, 1))
    assert message in str(caught.value)
    assert isinstance(caught.value, DiffError)


def test_everything_wrong_is_said_at_once(read):
    with pytest.raises(rules.CatalogueError) as caught:
        read(GOOD.replace('"DRIFTED"', '"BAD"').replace('"COMPATIBLE"', '"WORSE"'))
    assert "BAD" in str(caught.value)
    assert "WORSE" in str(caught.value)


def test_no_toml(read):
    with pytest.raises(rules.CatalogueError, match=r"^own\.toml is not a TOML file: "):
        read("rule = [")
