"""Runs in the target environment (-I -B, site on): what computes there, and what comes out. Standard library, numpy if there is one.

Prints one line: MARK and JSON. All inputs come from integer arithmetic, so that they are the same bits everywhere; arrays begin at
multiples of 64 bytes, because where an array lies decides how a loop over it begins. Nothing here depends on the time it takes.
"""

import ctypes
import hashlib
import importlib.machinery
import importlib.util
import json
import math
import os
import random
import re
import struct
import sys

MARK = "envparity-numeric:"
SAMPLE = 32
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1

#: Libraries that compute or run threads for others, by what their files are called.
LIBRARIES = (
    ("openblas", re.compile(r"openblas")),
    ("mkl", re.compile(r"libmkl_rt")),
    ("blis", re.compile(r"libblis")),
    ("flexiblas", re.compile(r"libflexiblas")),
    ("atlas", re.compile(r"lib(tatlas|satlas|atlas)\.")),
    ("blas", re.compile(r"lib(cblas|blas)\.so")),
    ("openmp", re.compile(r"lib(gomp|iomp5|omp)[-.]")),
)

#: Numbers for `unit` at which glibc 2.36 gives other results with fused multiplication than without: one in a thousand does, so that
#: a few hundred arguments would often miss it.
TELLING = {
    "asin": (535, 859, 2811, 3894, 6309, 12754, 14484, 15368),
    "atan": (7518, 9138, 10920, 14122, 14156, 17141, 19380, 19549),
    "cos": (4742, 9552, 11008, 11069, 11522, 11774, 12684, 12999),
    "erf": (18795, 28792),
    "exp": (3462, 4149, 4620, 7742, 8165, 8477, 8704, 10907),
    "expm1": (955, 1355, 1497, 2010, 2128, 2231, 2646, 3076),
    "gamma": (48, 2396, 2941, 3560, 5118, 5590, 5772, 9110),
    "lgamma": (5903,),
    "log": (39192,),
    "log1p": (4613, 5991, 9988, 10307, 11203, 11345, 12072, 12306),
    "pow": (1491, 1512, 1733, 1826, 2699, 4405, 4570, 7403),
    "sin": (766, 3246, 4009, 5113, 8425, 9688, 11249, 12789),
    "sinh": (1712, 1794, 1815, 2909, 3373, 3444, 4892, 5112),
    "tanh": (536, 5163, 6856, 6858, 6881, 9336, 10398, 11405),
}


def unit(number):
    """The number-th of a fixed row of floats in [0, 1), from integers alone (a Weyl sequence, mixed as splitmix64 does)."""
    state = (number + 1) * GOLDEN & MASK
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
    return ((state ^ state >> 31) >> 11) * 2.0**-53


class Report:
    def __init__(self):
        self.backend = []
        self.measurements = []

    def row(self, component, name, value):
        if value not in (None, ""):
            self.backend.append([component, name, str(value)])

    def add(self, name, group, dtype, data, chosen):
        """`data`: all results as bytes; `chosen`: those to show."""
        sample = [float(value).hex() for value in chosen]
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.measurements.append({"name": name, "group": group, "dtype": dtype, "digest": digest, "sample": sample})

    def floats(self, name, group, values):
        self.add(name, group, "float64", struct.pack("<%dd" % len(values), *values), values[:SAMPLE])

    def attempt(self, name, function):
        """One measurement; that it fails is a result too."""
        try:
            function()
        except Exception as error:
            self.row(name, "failed", type(error).__name__)


def libm(report):
    def measure(name, function):
        numbers = list(TELLING.get(name, ())) + list(range(400))
        report.floats(name, "libm", [function(unit(number)) for number in numbers])

    for name, factor, shift in (
        ("sin", 200, -100), ("cos", 200, -100), ("tan", 3, -1.5), ("asin", 2, -1), ("atan", 20, -10), ("sinh", 10, -5), ("tanh", 4, -2),
        ("exp", 40, -20), ("expm1", 2, -1), ("log", 100, 0.01), ("log1p", 2, -0.5), ("erf", 4, -2), ("gamma", 20, 0.1), ("lgamma", 50, 0.1),
    ):  # fmt: skip
        function = getattr(math, name)
        measure(name, lambda x: function(x * factor + shift))
    measure("pow", lambda x: math.pow(x + 0.5, x * 30 - 15))
    measure("hypot", lambda x: math.hypot(x * 3, 1 - x))


def stdlib_random(report):
    source = random.Random(12345)
    values = [source.gauss(0.0, 1.0) for _ in range(100)] + [source.gammavariate(2.5, 1.0) for _ in range(100)]
    report.floats("random", "python", values)


class Arrays:
    """Measurements with numpy."""

    def __init__(self, numpy, report):
        self.np = numpy
        self.report = report

    def aligned(self, values, dtype):
        """The values in memory that begins at a multiple of 64 bytes."""
        np = self.np
        values = np.ascontiguousarray(values, dtype=dtype)
        room = np.empty(values.nbytes + 64, dtype=np.uint8)
        start = -room.ctypes.data % 64
        made = room[start : start + values.nbytes].view(dtype).reshape(values.shape)
        made[...] = values
        return made

    def units(self, count, dtype, seed=0):
        """`unit`, many at a time, and short enough to be exact in either type."""
        np = self.np
        state = (np.arange(count, dtype=np.uint64) + np.uint64(seed * 1000003 + 1)) * np.uint64(GOLDEN)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
        bits = 24 if dtype == "float32" else 53
        return self.aligned((state >> np.uint64(64 - bits)).astype(np.float64) * 2.0**-bits, dtype)

    def take(self, name, group, values, dtype):
        np = self.np
        flat = np.ascontiguousarray(values).reshape(-1)
        if str(flat.dtype) != dtype:
            raise TypeError("unexpected type")
        data = flat.astype(flat.dtype.newbyteorder("<")).tobytes()
        # From all over the array: what differs may lie in one thread's part.
        count = len(flat)
        chosen = range(count) if count <= SAMPLE else [number * 0x9E3779B1 % count for number in range(SAMPLE)]
        self.report.add(name, group, dtype, data, [flat[number] for number in chosen])

    def measure(self, name, group, dtype, function):
        self.report.attempt(name + " " + dtype, lambda: self.take(name + " " + dtype, group, function(), dtype))

    def into(self, ufunc, *arguments):
        return ufunc(*arguments, out=self.aligned(arguments[0], arguments[0].dtype))

    def ufuncs(self):
        np = self.np
        for dtype in ("float32", "float64"):
            x = self.units(2000, dtype)
            number = np.dtype(dtype).type
            wide, narrow, above = (
                self.aligned(x * number(factor) + number(shift), dtype)
                for factor, shift in ((64, -32), (4, -2), (128, 0.0078125))
            )
            for name, argument in (
                ("exp", narrow), ("expm1", narrow), ("log", above), ("log1p", above), ("sin", wide), ("cos", wide), ("tan", narrow),
                ("tanh", narrow), ("sinh", narrow), ("arctan", narrow), ("arcsinh", narrow), ("cbrt", above), ("exp2", narrow),
            ):  # fmt: skip
                ufunc = getattr(np, name)
                self.measure(name, "numpy", dtype, lambda: self.into(ufunc, argument))
            self.measure("power", "numpy", dtype, lambda: self.into(np.power, above, narrow))
            rows = self.units(64 * 257, dtype, 1).reshape(64, 257)
            self.measure("sum", "numpy", dtype, lambda: np.concatenate([rows.sum(axis=1), rows.sum(axis=0)]))
            self.measure("mean", "numpy", dtype, lambda: np.concatenate([rows.mean(axis=1), rows.mean(axis=0)]))
            self.measure("std", "numpy", dtype, lambda: np.concatenate([rows.std(axis=1), rows.std(axis=0)]))
            self.measure("einsum", "numpy", dtype, lambda: np.einsum("ij,ij->i", rows, rows))
        keys = self.aligned(self.units(3000, "float64", 2) * 100, "int64")
        # Where keys are equal an unstable sort may leave either first: which one depends on the instructions.
        self.measure("argsort", "numpy", "int64", lambda: np.argsort(keys).astype(np.int64))

    def matrix(self, rows, columns, dtype, seed):
        half = self.np.dtype(dtype).type(0.5)
        return self.aligned(self.units(rows * columns, dtype, seed).reshape(rows, columns) - half, dtype)

    def blas(self):
        np = self.np
        for dtype in ("float32", "float64"):
            # Long sums: how a kernel and its threads divide them is what changes results.
            a, b = self.matrix(100, 1000, dtype, 4), self.matrix(1000, 100, dtype, 5)
            x, y = self.matrix(1, 30011, dtype, 6)[0], self.matrix(1, 30011, dtype, 7)[0]
            out = self.aligned(np.zeros((100, 100)), dtype)
            self.measure("matmul", "blas", dtype, lambda: np.matmul(a, b, out=out))
            left, right = self.aligned(a[:13, :17], dtype), self.aligned(b[:17, :11], dtype)
            self.measure("matmul small", "blas", dtype, lambda: left @ right)
            self.measure("syrk", "blas", dtype, lambda: a @ a.T)
            self.measure("gemv", "blas", dtype, lambda: a @ b[:, 0].copy())
            # Two of them long enough to be shared among threads; each time that is done costs milliseconds on a busy machine.
            sizes = [503 * number for number in range(1, 19)] + [20011, 30011]
            self.measure("dot", "blas", dtype, lambda: np.array([x[:size].dot(y[:size]) for size in sizes], dtype))

    def lapack(self):
        np = self.np
        for dtype in ("float32", "float64"):
            a = self.matrix(120, 120, dtype, 8)
            b = self.matrix(120, 3, dtype, 9)
            # Larger ones are reduced in thousands of steps that threads share: on a busy machine that takes seconds.
            small = self.matrix(48, 48, dtype, 12)
            symmetric = self.aligned(small + small.T, dtype)
            definite = self.aligned(symmetric + 64 * np.eye(48, dtype=dtype), dtype)
            self.measure("solve", "lapack", dtype, lambda: np.linalg.solve(a, b))
            self.measure("svd", "lapack", dtype, lambda: np.linalg.svd(small, compute_uv=False))
            self.measure("eigh", "lapack", dtype, lambda: np.linalg.eigh(symmetric)[0])
            self.measure("cholesky", "lapack", dtype, lambda: np.linalg.cholesky(definite))
            self.measure("qr", "lapack", dtype, lambda: np.linalg.qr(small, mode="r"))

    def scipy(self, blas, lapack):
        """scipy's own BLAS and LAPACK: its wheels bring another OpenBLAS than numpy's."""
        a, b = self.matrix(1000, 100, "float64", 10).T, self.matrix(100, 1000, "float64", 11).T
        square, right = self.matrix(120, 120, "float64", 8).T, self.matrix(3, 120, "float64", 9).T
        self.measure("scipy gemm", "blas", "float64", lambda: blas.dgemm(1.0, a, b))
        self.measure("scipy gesv", "lapack", "float64", lambda: lapack.dgesv(square, right)[2])

    def random(self):
        np = self.np
        old = np.random.RandomState(12345)
        stream = [old.normal(size=200), old.gamma(2.5, size=200)]
        self.measure("mt19937", "random", "float64", lambda: np.concatenate(stream))
        if hasattr(np.random, "PCG64"):
            new = np.random.Generator(np.random.PCG64(12345))
            stream = [
                new.standard_normal(200),
                new.standard_exponential(200),
                new.random(200),
                new.gamma(2.5, size=200),
            ]
            self.measure("pcg64", "random", "float64", lambda: np.concatenate(stream))


def numpy_backend(numpy, report):
    report.row("numpy", "version", numpy.__version__)
    core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
    features = getattr(core, "__cpu_features__", None) or {}
    report.row("numpy", "baseline", " ".join(getattr(core, "__cpu_baseline__", ())))
    # What the processor has and what no variable forbids, of what this build has code for.
    dispatch = getattr(core, "__cpu_dispatch__", None)
    known = features if dispatch is None else dispatch
    report.row("numpy", "dispatch", " ".join(name for name in known if features.get(name)) or "none")
    config = getattr(getattr(numpy, "__config__", None), "CONFIG", None)
    if isinstance(config, dict):
        blas = config.get("Build Dependencies", {}).get("blas", {})
        report.row("numpy", "blas", " ".join(filter(None, (blas.get("name"), blas.get("version")))))
    else:
        found = getattr(getattr(numpy, "__config__", None), "blas_opt_info", None) or {}
        report.row("numpy", "blas", " ".join(found.get("libraries", ())))


def beside_scipy(path):
    return "scipy" in "/".join(path.split("/")[-3:-1])


def loaded():
    """Component and path of each library of LIBRARIES in this process; what lies beside scipy last."""
    with open("/proc/self/maps", errors="surrogateescape") as file:
        rows = [line.rstrip("\n").split(None, 5) for line in file]
    paths = {row[5] for row in rows if len(row) == 6 and row[5].startswith("/")}
    found = []
    for path in sorted(paths, key=lambda path: (beside_scipy(path), path)):
        for component, pattern in LIBRARIES:
            if pattern.search(os.path.basename(path)):
                found.append((component, path))
                break
    return found


def call(library, names, restype, *arguments):
    for name in names:
        try:
            function = getattr(library, name)
        except AttributeError:
            continue
        function.restype = restype
        value = function(*arguments)
        return value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return None


def libraries(report):
    """Ask the libraries that are loaded what they are; nothing is loaded for it."""
    names = {}
    for component, path in loaded():
        names[component] = names.get(component, 0) + 1
        # scipy brings an OpenBLAS of its own beside numpy's.
        name = component if names[component] == 1 else "%s-%d" % (component, names[component])
        if names[component] > 1 and beside_scipy(path):
            name = "scipy-" + component
        report.row(name, "library", re.sub(r"-[0-9a-f]{8}(?=[.])", "", os.path.basename(path)))
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        describe = DESCRIBE.get(component)
        if describe:
            describe(report, name, library)


def openblas(report, name, library):
    def ask(what, restype):
        forms = ["%s%s%s" % (before, what, after) for before in ("", "scipy_") for after in ("", "64_", "_64", "_")]
        return call(library, forms, restype)

    kernel = ask("openblas_get_corename", ctypes.c_char_p)
    words = (ask("openblas_get_config", ctypes.c_char_p) or "").split()
    report.row(name, "version", words[1] if words[:1] == ["OpenBLAS"] and len(words) > 1 else None)
    report.row(name, "build", " ".join(word for word in words[2:] if word != kernel))
    report.row(name, "kernel", kernel)
    report.row(name, "threads", ask("openblas_get_num_threads", ctypes.c_int))
    threading = ask("openblas_get_parallel", ctypes.c_int)
    report.row(name, "threading", {0: "none", 1: "pthreads", 2: "openmp"}.get(threading))


def mkl(report, name, library):
    text = ctypes.create_string_buffer(200)
    call(library, ["MKL_Get_Version_String", "mkl_get_version_string"], None, text, 200)
    version = re.search(r"Version ([0-9.]+)", text.value.decode("ascii", "replace"))
    report.row(name, "version", version and version.group(1))
    report.row(name, "kernel", call(library, ["MKL_CBWR_Get_Auto_Branch", "mkl_cbwr_get_auto_branch"], ctypes.c_int))
    report.row(name, "threads", call(library, ["MKL_Get_Max_Threads", "mkl_get_max_threads"], ctypes.c_int))


def blis(report, name, library):
    report.row(name, "version", call(library, ["bli_info_get_version_str"], ctypes.c_char_p))
    arch = call(library, ["bli_arch_query_id"], ctypes.c_int)
    if arch is not None:
        report.row(name, "kernel", call(library, ["bli_arch_string"], ctypes.c_char_p, ctypes.c_int(arch)))
    report.row(name, "threads", call(library, ["bli_thread_get_num_threads"], ctypes.c_int))


def openmp(report, name, library):
    report.row(name, "threads", call(library, ["omp_get_max_threads"], ctypes.c_int))


DESCRIBE = {"openblas": openblas, "mkl": mkl, "blis": blis, "openmp": openmp}


def imported(name, report):
    """The package, or a row that says that there is none, or that it cannot be imported."""
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        absent = error.name == name.partition(".")[0]
        report.row(name, "status", "not installed" if absent else "failed: ModuleNotFoundError")
        return None
    except Exception as error:
        report.row(name, "status", "failed: " + type(error).__name__)
        return None
    module = sys.modules[name]
    if not hasattr(module, "ndarray"):  # a file that happens to have this name
        report.row(name, "status", "failed: no " + name)
        return None
    return module


def extension(package, directory, name):
    """An extension module of a package, loaded by itself: the package's own __init__ takes longer than all that is measured here."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    finder = importlib.machinery.PathFinder.find_spec(
        name, [os.path.join(found.submodule_search_locations[0], directory)]
    )
    if finder is None:
        return None
    module = importlib.util.module_from_spec(finder)
    finder.loader.exec_module(module)
    return module


def scipy(arrays):
    blas, lapack = extension("scipy", "linalg", "_fblas"), extension("scipy", "linalg", "_flapack")
    if blas is not None and lapack is not None:
        arrays.scipy(blas, lapack)


def main():
    report = Report()
    libm(report)
    stdlib_random(report)
    numpy = imported("numpy", report)
    if numpy is not None:
        report.attempt("numpy", lambda: numpy_backend(numpy, report))
        with numpy.errstate(all="ignore"):
            arrays = Arrays(numpy, report)
            for part in (arrays.ufuncs, arrays.blas, arrays.lapack, arrays.random):
                report.attempt(part.__name__, part)
            report.attempt("scipy", lambda: scipy(arrays))
    report.attempt("libraries", lambda: libraries(report))
    answer = {"backend": sorted(report.backend), "measurements": report.measurements}
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")
    sys.stdout.flush()


main()
