"""Changes to variables, and to machines that this one is not: what is known of them is changed instead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.parity.catalogue import Catalogue
from diffing.verdict import Verdict
from snapshot.parity import parity_root

if TYPE_CHECKING:
    from typing import Any

    from snapshot.description import Description

HOSTS = Catalogue()
described, variable = HOSTS.described, HOSTS.variable
EQUIVALENT, COMPATIBLE, NUMERIC = Verdict.EQUIVALENT, Verdict.COMPATIBLE, Verdict.NUMERIC
DRIFTED, INCOMPATIBLE = Verdict.DRIFTED, Verdict.INCOMPATIBLE

variable("threads", "OMP_NUM_THREADS 2 to 1", "variable-threads", NUMERIC, {"OMP_NUM_THREADS": "1"})
variable("kernel", "OPENBLAS_CORETYPE set", "variable-dispatch", NUMERIC, {"OPENBLAS_CORETYPE": "Haswell"})
variable("dispatch", "NPY_DISABLE_CPU_FEATURES set", "variable-dispatch", NUMERIC, {"NPY_DISABLE_CPU_FEATURES": "AVX2"})
variable("hash-seed", "PYTHONHASHSEED 0 to 1", "variable-hash-seed", DRIFTED, {"PYTHONHASHSEED": "1"})
variable("time-zone", "TZ UTC to Asia/Tokyo", "variable-timezone", DRIFTED, {"TZ": "Asia/Tokyo"})
variable("locale", "LANG C.UTF-8 to de_DE.UTF-8", "variable-locale", DRIFTED, {"LANG": "de_DE.UTF-8"})
variable("preload", "LD_PRELOAD set", "variable-loader", DRIFTED, {"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"})
variable("module-path", "PYTHONPATH set", "variable-python", DRIFTED, {"PYTHONPATH": "/srv/more"})
variable("unlisted", "a variable that is on no list", "variable-other", COMPATIBLE, {"SERVICE_COLOUR": "blue"})


def _interpreter(description: Description, **changes: Any) -> Description:
    found = description.snapshot
    interpreter = replace(found.interpreter, **changes)
    root = parity_root(interpreter, found.environment, found.layers)
    return replace(description, snapshot=replace(found, interpreter=interpreter, parity_root=root))


def _host(description: Description, **changes: Any) -> Description:
    host = description.facts.host
    assert host is not None
    return replace(description, facts=replace(description.facts, host=replace(host, **changes)))


@described("glibc-older", "a host with glibc 2.17", "glibc-below-floor", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _host(description, libc_version="2.17")


@described("glibc-newer", "a host with glibc 2.99", "glibc", NUMERIC)
def _(description: Description) -> Description:
    return _host(description, libc_version="2.99")


@described("machine", "a host with aarch64", "machine", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _host(description, machine="aarch64")


@described("libc", "a host with musl", "libc", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _host(description, libc="musl", libc_version="1.2.5")


@described("gpu-driver", "a host with another driver", "gpu-driver", NUMERIC)
def _(description: Description) -> Description:
    return _host(description, gpu_driver="550.54.14")


@described("library-version", "another libm of the system", "library-version", NUMERIC)
def _(description: Description) -> Description:
    native = description.facts.native
    assert native is not None
    changed = [
        replace(each, version="9.9.9", build_id="00" * 20) if "libm" in each.soname else each
        for each in native.libraries
    ]
    if tuple(changed) == native.libraries:
        raise ValueError("the environment takes no libm from the system: the change would be none")
    return replace(description, facts=replace(description.facts, native=replace(native, libraries=tuple(changed))))


@described("library-missing", "a library that the system does not have", "library-missing", INCOMPATIBLE)
def _(description: Description) -> Description:
    native = description.facts.native
    assert native is not None
    first, *others = native.libraries
    lost = (replace(first, path="", version="", build_id=""), *others)
    return replace(description, facts=replace(description.facts, native=replace(native, libraries=lost)))


@described("python-patch", "the patch release of Python", "python-patch", NUMERIC)
def _(description: Description) -> Description:
    return _interpreter(description, version=f"{description.snapshot.interpreter.minor}.99")


@described("python-minor", "the minor release of Python, with a pickle", "python-minor-pickled", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _interpreter(description, version="3.99.0", cache_tag="cpython-399")


@described("python-build", "a build of Python with Py_DEBUG", "python-setting", DRIFTED)
def _(description: Description) -> Description:
    build = description.facts.build
    assert build is not None
    settings = tuple((name, "1" if name == "Py_DEBUG" else value) for name, value in build.settings)
    if settings == build.settings:
        raise ValueError("Py_DEBUG is set here, or not known: the change would be none")
    return replace(description, facts=replace(description.facts, build=replace(build, settings=settings)))


@described("python-abi", "a free-threaded ABI", "python-abi", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _interpreter(description, soabi=description.snapshot.interpreter.soabi.replace("cpython-3", "cpython-3t", 1))


@described("implementation", "PyPy", "python-implementation", INCOMPATIBLE)
def _(description: Description) -> Description:
    return _interpreter(description, implementation="PyPy")
