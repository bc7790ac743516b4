"""The public face: names, and what importing it costs."""

import subprocess
import sys

import pytest

import diffing
import snapshot
import snapshot.store

HEAVY = (
    "click",
    "rich",
    "zstandard",
    "backports.zstd",
    "compression.zstd",
    "elftools",
    "importlib_metadata",
    "packaging",
    "mlflow",
    "piptools",
    "subprocess",
)

#: What a restore needs only when something is not in the node's cache, beside all that captures, verifies and collects.
COLD = (
    "zstandard",
    "backports.zstd",
    "compression.zstd",
    "subprocess",
    "tempfile",
    "concurrent.futures",
    "snapshot.supply",
    "snapshot.trees",
    "snapshot.model",
    "snapshot.description",
    "snapshot.facts",
    "snapshot.serialize",
    "snapshot.relocate",
    "snapshot.flattening",
    "snapshot.store.backend",
    "snapshot.store.batch",
    "snapshot.store.contents",
    "snapshot.store.scrub",
    "snapshot.store.summary",
)


@pytest.mark.parametrize("package", [snapshot, diffing])
def test_every_public_name_is_there(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = snapshot.nothing


def test_functions_stay_functions_when_their_modules_are_imported():
    code = (
        "import snapshot, importlib, pkgutil\n"
        "for module in pkgutil.iter_modules(snapshot.__path__):\n"
        "    importlib.import_module('snapshot.' + module.name)\n"
        "for name in ('capture', 'restore', 'verify', 'describe', 'load', 'collect'):\n"
        "    assert callable(getattr(snapshot, name)), name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_packages_imports_nothing_heavy():
    code = f"import sys, snapshot, diffing; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_warm_restore_imports_nothing_that_only_a_cold_one_needs():
    code = f"import sys, snapshot.restoring, snapshot.store.store; print([name for name in {COLD!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_store_finds_what_it_is_asked_for():
    for name in snapshot.store.__all__:
        assert getattr(snapshot.store, name) is not None
    assert set(snapshot.store.__all__) <= set(dir(snapshot.store))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = snapshot.store.nothing
