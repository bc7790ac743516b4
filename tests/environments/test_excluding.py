"""What is left of a real environment without its tests, stubs and tools works, and says so itself."""

from __future__ import annotations

import pytest

import snapshot

pytestmark = pytest.mark.environments

PATTERNS = ("*/tests/*", "*/test/*", "*.pyi", "*/include/*", "*.a", "dist:setuptools", "dist:wheel")
IMPORTS = "import sklearn.ensemble, scipy.stats, scipy.special, numpy.testing, requests, flask, yaml, huey, greenlet"


@pytest.fixture(scope="module")
def less(reference, store):
    return snapshot.capture(reference, store, name="less", exclude=PATTERNS)


@pytest.fixture(scope="module")
def back(lab, less, reference, store, root):
    return lab.restored(store, "less", root / "less", reference)


def test_pip_agrees(lab, back, reference):
    with_all = set(reference.pip("list", "--format", "freeze").stdout.split())
    listed = set(back.pip("list", "--format", "freeze", hide=[reference.path]).stdout.split())
    assert {line.partition("==")[0] for line in with_all - listed} == {"setuptools", "wheel"}
    assert listed < with_all
    assert "No broken requirements found." in back.pip("check").out


def test_everything_imports(back, reference):
    back.run("-c", f"{IMPORTS}; print(numpy.arange(3).sum())", hide=[reference.path])


def test_it_is_as_captured_and_has_none_of_it(lab, back, less, store, captured):
    assert snapshot.verify(back.path, store).ok
    assert snapshot.describe(back.path).snapshot.parity_root == less.parity_root != captured.parity_root
    said = lab.findings(less)
    assert set(said["excluded"]) | set(said.get("exclude-unmatched", ())) == set(PATTERNS)
    assert {"*/tests/*", "*.pyi", "dist:setuptools", "dist:wheel"} <= set(said["excluded"])
    assert "exclude-required" not in said
    # Nothing else about the environment became odd by it.
    assert set(said.get("missing", ())) == set(lab.findings(captured).get("missing", ()))
    assert set(said.get("stale-bytecode", ())) <= set(lab.findings(captured).get("stale-bytecode", ()))
    files = {entry.path for tree in snapshot.load("less", store).trees.values() for entry in tree}
    assert not [path for path in files if "/tests/" in path and ".dist-info/" not in path]
    assert not [path for path in files if path.endswith(".pyi")]


def test_what_was_promised_is_about_what_was_saved(reference, tmp_path):
    """The estimates against what the capture without these files weighs. In deltas, they would be of what has changed."""
    store = snapshot.Store(tmp_path / "store")
    whole = snapshot.capture(reference, store, deltas=False)
    promised = {
        each.what: each.packed_bytes
        for each in snapshot.sizes(whole.snapshot, store).savings
        if each.kind in ("files", "tool")
    }
    assert {"tests", "type stubs", "setuptools", "pip"} <= promised.keys()
    left_out = {"tests", "type stubs", "headers, static libs", "setuptools", "wheel"} & promised.keys()
    saved = whole.packed_bytes - snapshot.capture(reference, store, exclude=PATTERNS, deltas=False).packed_bytes
    # Tools have tests and stubs of their own, and text packs better than the libraries beside it.
    assert saved == pytest.approx(sum(promised[what] for what in left_out), rel=0.4)
