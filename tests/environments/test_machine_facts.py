"""Facts of a real environment: the numeric fingerprint under other conditions, and its libraries as the loader finds them."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys

import pytest

from diffing.numeric import moved
from snapshot.facts.libraries import native
from snapshot.facts.model import PYTHON
from snapshot.facts.numeric import fingerprint
from snapshot.model import Kind
from snapshot.survey import survey

pytestmark = pytest.mark.environments

x86 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="names of processors and instructions are those of x86-64"
)
cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one core there is one thread")
LOADER = "/lib64/ld-linux-x86-64.so.2"


def probe(made, **environ):
    return fingerprint(made.python, environ={"PATH": "/usr/bin:/bin", **environ}, seconds=120)


@pytest.fixture(scope="module")
def usual(reference):
    return probe(reference)


def value(found, component, name):
    return next((text for row in found.backend for text in row[2:] if row[:2] == (component, name)), None)


def groups(rows):
    return {row.group for row in rows}


def test_what_computes_is_named(usual):
    assert value(usual, "numpy", "version")
    assert value(usual, "numpy", "dispatch")
    assert value(usual, "openblas", "kernel")
    assert re.match(r"\d+\.\d+", value(usual, "openblas", "version"))
    assert int(value(usual, "openblas", "threads")) == min(64, len(os.sched_getaffinity(0)))
    assert {one.group for one in usual.measurements} == {"libm", "python", "numpy", "blas", "lapack", "random"}
    assert not [row for row in usual.backend if row[1] in ("failed", "status")]


def test_twenty_runs_are_equal(reference, usual):
    """Whatever lies where in memory: the size of the variables moves the stack."""
    for number in range(20):
        found = probe(reference, PADDING="x" * (number * 997 % 4099))
        assert moved(usual, found) == ()
        assert found == usual


@cores
def test_fewer_threads_are_seen(reference, usual):
    found = probe(reference, OPENBLAS_NUM_THREADS="1")
    assert value(found, "openblas", "threads") == "1"
    rows = moved(usual, found)
    assert groups(rows) <= {"blas", "lapack"}
    assert {"matmul float64", "dot float64"} <= {row.name for row in rows}
    (matmul,) = (row for row in rows if row.name == "matmul float64")
    assert matmul.share > 0.1
    assert matmul.relative < 1e-11


@x86
def test_another_kernel_is_seen(reference, usual):
    other = "Haswell" if value(usual, "openblas", "kernel") != "Haswell" else "Sandybridge"
    found = probe(reference, OPENBLAS_CORETYPE=other)
    assert value(found, "openblas", "kernel") == other
    rows = moved(usual, found)
    assert groups(rows) == {"blas", "lapack"}
    assert max(row.ulps for row in rows) > 10


@x86
def test_other_instructions_of_numpy_are_seen(reference, usual):
    features = value(usual, "numpy", "dispatch")
    found = probe(reference, NPY_DISABLE_CPU_FEATURES=features)
    assert value(found, "numpy", "dispatch") != features
    rows = moved(usual, found)
    assert "numpy" in groups(rows)
    assert groups(rows) <= {"numpy", "random"}
    assert max(row.ulps for row in rows) <= 4


@x86
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="tunables are those of glibc")
def test_another_libm_is_seen(reference, usual):
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        if " fma " not in file.read():
            pytest.skip("this processor has no fused multiplication to go without")
    found = probe(reference, GLIBC_TUNABLES="glibc.cpu.hwcaps=-FMA,-AVX2,-AVX2_Usable,-FMA4")
    rows = moved(usual, found)
    assert {"sin", "exp", "pow"} <= {row.name for row in rows if row.group == "libm"}
    assert all(0 < row.share < 1 for row in rows if row.name in ("sin", "exp", "pow"))
    assert max(row.ulps for row in rows) <= 4


def test_threadpoolctl_says_the_same(reference, usual):
    script = (
        "import json, numpy, scipy.linalg, threadpoolctl\n"
        "print(json.dumps([row for row in threadpoolctl.threadpool_info() if row['internal_api'] == 'openblas']))\n"
    )
    rows = json.loads(reference.run("-I", "-B", "-c", script, env={"PATH": "/usr/bin:/bin"}).stdout)
    for row in rows:
        component = "scipy-openblas" if "scipy.libs" in row["filepath"] else "openblas"
        names = {"kernel": "architecture", "threads": "num_threads", "threading": "threading_layer"}
        for ours, theirs in names.items():
            assert value(usual, component, ours) == str(row[theirs]), row
        assert value(usual, component, "version") == row["version"]
    assert len(rows) == sum(1 for row in usual.backend if row[0].endswith("openblas") and row[1] == "kernel")


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_measures_the_same_libm(lab, version):
    found = fingerprint(lab.interpreter(version).path, seconds=120)
    here = {one.name: one for one in fingerprint(sys.executable, seconds=120).measurements if one.group == "libm"}
    there = {one.name: one for one in found.measurements if one.group == "libm"}
    assert set(here) == set(there)
    for name in ("sin", "cos", "tan", "exp", "log", "pow", "tanh"):
        assert here[name] == there[name], name


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not os.path.exists(LOADER), reason="needs glibc's loader on x86-64"
)
def test_the_loader_finds_the_same_libraries(reference):
    found = survey(reference)
    rows = [
        (
            os.path.join(plan.mount, item.path),
            os.fsdecode(plan.location(item)),
            PYTHON if plan.kind is Kind.INTERPRETER else plan.name,
        )
        for plan in found.plans
        for item in plan.items
        if not item.found.is_directory and not item.found.is_link
    ]
    expected: dict[str, set[str]] = {}
    for _, path, owner in rows:
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        listed = subprocess.run([LOADER, "--list", path], capture_output=True, text=True, check=False).stdout
        for library in map(os.path.realpath, re.findall(r"(/\S+) \(0x", listed)):
            if not library.startswith((os.path.realpath(reference) + "/", found.base + "/")):
                expected.setdefault(library, set()).add(owner)
    facts = native(rows)
    assert {os.path.realpath(one.path): set(one.needed_by) for one in facts.libraries} == expected
    assert len(expected) > 5


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
def test_the_floor_is_what_readelf_finds(reference):
    rows, newest = [], (0,)
    for directory, _, names in os.walk(reference.site):
        for name in names:
            path = os.path.join(directory, name)
            if ".so" in name and not os.path.islink(path):
                rows.append((os.path.relpath(path, reference), path, ""))
                out = subprocess.run(["readelf", "-VW", path], capture_output=True, text=True, check=True).stdout
                found = re.findall(r"Name: GLIBC_(\d+(?:\.\d+)+)\s+Flags: none", out)
                newest = max([newest, *(tuple(map(int, text.split("."))) for text in found)])
    facts = native(rows)
    assert tuple(map(int, facts.floor.split("."))) == newest
    assert facts.floor_by in {path for path, _, _ in rows}
