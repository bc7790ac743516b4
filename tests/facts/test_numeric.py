"""Starting the probe, and what can go wrong: with stand-ins for interpreters, and with this one."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import venv
from hashlib import sha256

import pytest

from snapshot.errors import SnapshotError
from snapshot.facts.model import Measurement
from snapshot.facts.numeric import FingerprintError, Fingerprinting, fingerprint, parse

ROW = {"name": "sin", "group": "libm", "dtype": "float64", "digest": "sha256:00", "sample": ["0x1.0p+0"]}
ANSWER = {"backend": [["b", "x", 2], ["a", "y", "z"], ["a", "y", "z"]], "measurements": [ROW, {**ROW, "name": "cos"}]}


@pytest.fixture
def stand_in(tmp_path):
    def make(body):
        path = tmp_path / "python"
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(0o755)
        return str(path)

    return make


def test_an_answer_is_sorted(stand_in):
    python = stand_in(f"echo hello\necho envparity-numeric:{shlex.quote(json.dumps(ANSWER))}\necho bye\n")
    found = fingerprint(python)
    assert found == parse(ANSWER)
    assert found.backend == (("a", "y", "z"), ("b", "x", "2"))
    assert [one.name for one in found.measurements] == ["cos", "sin"]
    assert found.measurements[1] == Measurement("sin", "libm", "float64", "sha256:00", ("0x1.0p+0",))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("exit 3\n", "ended with exit code 3; see whether numpy can be imported"),
        ("kill -ILL $$\n", "was ended by SIGILL; see whether"),
        ("echo nothing\n", "gave no answer; see what its sitecustomize"),
        ("echo 'envparity-numeric:{'\n", "gave no answer"),
        ("echo 'envparity-numeric:{\"backend\": []}'\n", "gave no answer"),
        ("exec yes\n", "was ended by SIGXFSZ; see whether numpy can be imported there"),  # the disk is not filled
        ("exec sleep 20\n", "did not end within 0.3 s; capture without the fingerprint"),
    ],
)
def test_what_goes_wrong_is_named(stand_in, body, message):
    python = stand_in("echo s3cret-canary >&2\n" + body)
    with pytest.raises(FingerprintError, match=re.escape(message)) as caught:
        fingerprint(python, seconds=0.3 if "sleep" in body else 20)
    assert python in str(caught.value)
    assert "canary" not in str(caught.value)
    assert isinstance(caught.value, SnapshotError)


def test_no_interpreter(tmp_path):
    with pytest.raises(FingerprintError, match=r"cannot run .*: No such file or directory; name a working interpreter"):
        fingerprint(str(tmp_path / "python"))


def test_the_variables_are_those_that_were_given(stand_in):
    python = stand_in(
        f'test "$OMP_NUM_THREADS$SECRET" = "${{WANTED}}" || exit 9\necho envparity-numeric:{shlex.quote(json.dumps(ANSWER))}\n'
    )
    fingerprint(python, environ={"OMP_NUM_THREADS": "3", "WANTED": "3"})
    fingerprint(python)
    with pytest.raises(FingerprintError, match="exit code 9"):
        fingerprint(python, environ={"OMP_NUM_THREADS": "3", "WANTED": "4"})


def test_the_standard_library_alone_is_measured_too():
    """This environment has no numpy; whether or not, the C library's functions are those that this process uses."""
    found = fingerprint(sys.executable)
    rows = {(one.group, one.name): one for one in found.measurements}
    assert {"sin", "exp", "pow", "tanh", "gamma"} <= {name for group, name in rows if group == "libm"}
    for one in found.measurements:
        assert 0 < len(one.sample) <= 32
        assert all(math.isfinite(float.fromhex(text)) for text in one.sample), one.name
        assert re.fullmatch("sha256:[0-9a-f]{64}", one.digest)
    assert len(rows) == len(found.measurements)


def test_arguments_are_made_of_integers_alone():
    """The first arguments and results by hand: splitmix64, as its authors give it."""
    golden, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1

    def unit(number):
        z = (number + 1) * golden & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    rows = {one.name: one for one in fingerprint(sys.executable).measurements if one.group == "libm"}
    values = [math.tan(unit(number) * 3 - 1.5) for number in range(400)]  # the one function without added arguments
    values_hypot = [math.hypot(unit(number) * 3, 1 - unit(number)) for number in range(400)]
    assert rows["tan"].sample == tuple(value.hex() for value in values[:32])
    assert rows["tan"].digest == "sha256:" + sha256(struct.pack("<400d", *values)).hexdigest()
    assert rows["hypot"].sample == tuple(value.hex() for value in values_hypot[:32])


def test_two_runs_are_equal():
    assert fingerprint(sys.executable) == fingerprint(sys.executable, environ={"PADDING": "x" * 3001})


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (None, "not installed"),
        ("raise ImportError('libgfortran.so.5: s3cret')", "failed: ImportError"),
        ("import nothing_of_that_name", "failed: ModuleNotFoundError"),
        ("raise RuntimeError('compiled with s3cret')", "failed: RuntimeError"),
        ("", "failed: no numpy"),
    ],
)
def test_a_numpy_that_cannot_be_imported_is_part_of_the_answer(tmp_path, source, status):
    import venv

    venv.create(tmp_path / "env", symlinks=True)
    if source is not None:
        (site,) = (tmp_path / "env/lib").glob("python3*/site-packages")
        (site / "numpy.py").write_text(source)
    found = fingerprint(str(tmp_path / "env/bin/python"))
    assert ("numpy", "status", status) in found.backend
    assert "s3cret" not in repr(found)
    assert {one.group for one in found.measurements} == {"libm", "python"}


MKL = """
#include <stdio.h>
void MKL_Get_Version_String(char *text, int size) { snprintf(text, size, "Intel(R) oneAPI Math Kernel Library Version 2024.1-Product Build"); }
int MKL_CBWR_Get_Auto_Branch(void) { return 10; }
int MKL_Get_Max_Threads(void) { return 3; }
"""
BLIS = """
char *bli_info_get_version_str(void) { return "1.0"; }
int bli_arch_query_id(void) { return 7; }
char *bli_arch_string(int id) { return id == 7 ? "zen3" : "wrong"; }
int bli_thread_get_num_threads(void) { return 5; }
"""
OPENBLAS = """
char *scipy_openblas_get_config64_(void) { return "OpenBLAS 0.3.99 DYNAMIC_ARCH Zen MAX_THREADS=8"; }
char *scipy_openblas_get_corename64_(void) { return "Zen"; }
int scipy_openblas_get_num_threads64_(void) { return 7; }
int scipy_openblas_get_parallel64_(void) { return 2; }
"""
OPENMP = "int omp_get_max_threads(void) { return 6; }"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make libraries")
@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        ("libmkl_rt.so.2", MKL, {("mkl", "version", "2024.1"), ("mkl", "kernel", "10"), ("mkl", "threads", "3")}),
        ("libblis.so.4", BLIS, {("blis", "version", "1.0"), ("blis", "kernel", "zen3"), ("blis", "threads", "5")}),
        ("libgomp-a34b3233.so.1.0.0", OPENMP, {("openmp", "library", "libgomp.so.1.0.0"), ("openmp", "threads", "6")}),
        (
            "libscipy_openblas64_-56d6093b.so",
            OPENBLAS,
            {
                ("openblas", "library", "libscipy_openblas64_.so"),
                ("openblas", "version", "0.3.99"),
                ("openblas", "build", "DYNAMIC_ARCH MAX_THREADS=8"),
                ("openblas", "kernel", "Zen"),
                ("openblas", "threads", "7"),
                ("openblas", "threading", "openmp"),
            },
        ),
        ("libflexiblas.so.3", "int x;", {("flexiblas", "library", "libflexiblas.so.3")}),
    ],
)
def test_libraries_that_are_loaded_are_asked(tmp_path, name, source, rows):
    """Stand-ins with the functions that the real ones have, and no real ones beside them."""
    venv.create(tmp_path / "bare", symlinks=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    library = tmp_path / name
    subprocess.run(["gcc", "-x", "c", "-", "-shared", "-fPIC", "-o", str(library)], input=source, text=True, check=True)
    found = fingerprint(python, environ={"LD_PRELOAD": str(library)})
    assert rows <= set(found.backend)
    assert set(found.backend) - set(fingerprint(python).backend) == rows | {
        (next(iter(rows))[0], "library", re.sub("-[0-9a-f]{8}", "", name))
    }


def test_an_answer_that_was_there_in_time_counts_whenever_it_is_asked(stand_in):
    python = stand_in(f"echo envparity-numeric:{shlex.quote(json.dumps(ANSWER))}\n")
    with Fingerprinting(python, seconds=0) as probe:
        probe._process.wait()
        assert probe.result() == parse(ANSWER)


def test_an_answer_that_is_longer_than_a_pipe_holds_is_there_in_time_too(stand_in):
    """Nobody reads while layers are packed, which may take longer than the probe may."""
    answer = json.dumps({**ANSWER, "padding": "x" * 300_000})
    python = stand_in(
        f"echo envparity-numeric:{shlex.quote(answer[:100_000])}\ncat <<'END'\nenvparity-numeric:{answer}\nEND\n"
    )
    with Fingerprinting(python, seconds=0) as probe:
        probe._process.wait(timeout=20)
        assert probe.result() == parse(ANSWER)


def test_an_interpreter_at_a_relative_path(stand_in, monkeypatch):
    python = stand_in(f"echo envparity-numeric:{shlex.quote(json.dumps(ANSWER))}\n")
    monkeypatch.chdir(os.path.dirname(os.path.dirname(python)))
    assert fingerprint(os.path.relpath(python)) == parse(ANSWER)


def test_a_probe_that_nobody_waits_for_is_killed(stand_in):
    with Fingerprinting(stand_in("exec sleep 1000\n")) as probe:
        process = probe._process
    assert process.returncode == -signal.SIGKILL
