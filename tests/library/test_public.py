"""The public face: names, and what importing it costs."""

import subprocess
import sys

import pytest

import diffing
import snapshot

HEAVY = (
    "click",
    "rich",
    "zstandard",
    "elftools",
    "importlib_metadata",
    "packaging",
    "mlflow",
    "piptools",
    "subprocess",
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
    code = (
        "import sys, snapshot.restoring, snapshot.store.store\n"
        "print([name for name in ('zstandard', 'subprocess', 'snapshot.supply', 'snapshot.trees') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
