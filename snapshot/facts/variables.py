"""Environment variables by type. A value is kept only where the name is listed here and the value looks as that name's values do.

Of everything else there is a keyed digest, or nothing but the name: a secret that was pasted into the wrong variable is no number, no
name of a processor and no path, and is not stored.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from snapshot.facts.model import Variable, Variables

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The type of a variable that is not listed.
OTHER = "other"

#: What a shell changes at every command; what names a window, a login, a start of a service, the host, the place of an environment, of a user's
#: files and of programs, or where MLflow (which sets that in the process that trains) and envparity keep their records: no part of an environment, and
#: never the same twice.
VOLATILE = frozenset(
    [
        "_",
        "SHLVL",
        "PWD",
        "OLDPWD",
        "COLUMNS",
        "LINES",
        "WINDOWID",
        "TERM_SESSION_ID",
        "TMUX",
        "TMUX_PANE",
        "STY",
        "GPG_TTY",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "SSH_TTY",
        "XDG_SESSION_ID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "SYSTEMD_EXEC_PID",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "MAIL",
        "HOSTNAME",
        "PATH",
        "VIRTUAL_ENV",
        "VIRTUAL_ENV_PROMPT",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_EXPERIMENT_ID",
        "MLFLOW_EXPERIMENT_NAME",
        "MLFLOW_RUN_ID",
        "_MLFLOW_TELEMETRY_SESSION_ID",
        "ENVPARITY_STORE",
        "ENVPARITY_CACHE",
    ]
)

# The forms of values. Each matches a whole value; none leaves room for free text.
_INTEGER = r"-?\d{1,10}"
_INTEGERS = r"\d{1,6}(?:[,:;\s-]\d{1,6}){0,63}"
_SIZE = r"\d{1,10}\s?[bBkKmMgG]?[bB]?"
_FLAG = r"(?i:|[01]|true|false|yes|no|on|off|t|f|y|n)"
_REAL = r"-?\d{1,10}(?:\.\d{1,10})?(?:[eE]-?\d{1,3})?"
# A name in a path, of pieces that are too short for a token: names of libraries and directories of packages fit.
_NAME = r"[A-Za-z0-9]{0,19}(?:[._+~-]{1,2}[A-Za-z0-9]{1,19}){0,8}"
_PATH = rf"(?:/{_NAME}){{1,24}}/?"
_PATHS = rf"(?:{_PATH})?(?:[:;\s](?:{_PATH})?){{0,63}}"
_FEATURES = (
    r"(?:SSE|SSSE|AVX|FMA|F16C|POPCNT|XOP|LAHF|BMI|ERMS|LZCNT|MOVBE|XSAVE|RTM|HLE|NEON|ASIMD|SVE|VSX|VX|VXE|LSX|RVV|Prefer|Slow|Fast)"
    r"[A-Z0-9]{0,6}(?:_[A-Za-z0-9]{1,10}){0,4}"
)
_FEATURE_LIST = rf"{_FEATURES}(?:[,\s]+{_FEATURES}){{0,63}}"
_MACHINES = (
    "prescott|core2|penryn|dunnington|nehalem|sandybridge|ivybridge|haswell|zen|skylakex|cooperlake|sapphirerapids|atom|opteron|"
    "opteron_sse3|barcelona|shanghai|istanbul|bobcat|bulldozer|piledriver|steamroller|excavator|nano|katmai|coppermine|northwood|"
    "banias|athlon|generic|armv7|armv8|armv8sve|armv9sme|cortexa\\d{2}|cortexx\\d|neoversen\\d|neoversev\\d|a64fx|ampere1|thunderx|"
    "thunderx2t99|thunderx3t110|tsv110|falkor|vortex|vortexm4|emag8180|ft2000|power\\d{1,2}|z13|z14|z15|la64_generic|la264|la464|"
    "knl|bdver\\d|broadwell|skx|zen\\d|firestorm|rv64iv|sifive_u5"
)
_LOCALE = r"(?:C|POSIX|[a-z]{2,3}(?:_[A-Z]{2})?)(?:\.(?i:utf-?8|iso-?8859-?\d{1,2}|ascii|euc[a-z]{2}|gb\d{4,5}|koi8-?[ru]))?(?:@[a-z]{4,8})?"
_LOCALES = rf"(?:{_LOCALE})?(?::{_LOCALE}){{0,7}}"
_AREAS = (
    "Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US"
)
_ZONE = (
    rf":?(?:(?:{_AREAS})(?:/[A-Za-z0-9_+-]{{2,24}}){{1,2}}|UTC|UCT|GMT|Zulu|Universal|Japan|Singapore|Israel|Iran|Turkey|Egypt|Eire|GB|PRC|"
    r"ROC|ROK|NZ|W-SU|CET|EET|MET|WET|EST|MST|HST|(?:[A-Z]{3,4}[+-]?\d{1,2}){1,2}(?:[A-Z]{3,4})?(?:,[MJ]?\d{1,3}(?:[./:]\d{1,3}){0,4}){0,2}|/"
    rf"etc/localtime|/usr/share/zoneinfo/(?:(?:{_AREAS})/)?[A-Za-z_+-]{{2,24}})?"
)
_ACTION = r"(?:default|error|always|all|module|once|ignore)"
_WARNING = rf"{_ACTION}(?:::(?:[A-Z][a-z]{{1,15}}){{0,5}}Warning)?"
_WARNINGS = rf"{_WARNING}(?:,{_WARNING}){{0,15}}"
_DEVICE = r"(?:-?\d{1,3}|(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|NoDevFiles|all|none|void)"
_DEVICES = rf"(?:{_DEVICE}(?:,{_DEVICE}){{0,63}})?"
_SETTING = rf"[a-z][a-z_]{{2,40}}:(?:{_FLAG}|{_REAL}|native|cudaMallocAsync)"
_SETTINGS = rf"{_SETTING}(?:,{_SETTING}){{0,15}}"
_TUNABLE = rf"glibc\.[a-z_]{{2,12}}\.[a-z0-9_]{{2,40}}=(?:-?(?:0x)?[0-9a-fA-F]{{1,10}}|-?{_FEATURES}(?:,-?{_FEATURES}){{0,31}})"
_TUNABLES = rf"{_TUNABLE}(?::{_TUNABLE}){{0,31}}"
_BINDING = r"(?:[{(]\d{1,4}(?:[:,]-?\d{1,4}){0,16}[)}]|\d{1,4}(?:[-:,]\d{1,4}){0,16}|threads|cores|sockets|ll_caches|numa_domains)"
_PLACES = rf"{_BINDING}(?:[,:\s]\s?(?:{_BINDING}|\d{{1,4}})){{0,31}}"
_AFFINITY_WORD = (
    r"(?:(?:granularity=)?(?:fine|core|thread|tile|socket|die|node|group)|compact|scatter|balanced|disabled|none|explicit|logical|"
    r"physical|(?:no)?(?:verbose|warnings|respect|reset)|\d{1,4})"
)
_AFFINITY = rf"{_AFFINITY_WORD}(?:,{_AFFINITY_WORD}){{0,15}}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A variable, or a pattern of names as in `fnmatch`, that changes what Python or a numeric library does.

    `type` is the class of what it changes, `form` the regular expression that a whole value must match to be kept.
    """

    name: str
    type: str
    form: str


def _rows(type_: str, form: str, names: str) -> tuple[Listed, ...]:
    return tuple(Listed(name, type_, form) for name in names.split())


#: The first row that fits a name counts. docs/parity.md says what each type is worth.
LISTED: tuple[Listed, ...] = (
    *_rows("hash-seed", r"random|\d{1,10}", "PYTHONHASHSEED"),
    *_rows("locale", _LOCALES, "LANG LANGUAGE LC_*"),
    *_rows("timezone", _ZONE, "TZ"),
    *_rows("search-path", _PATHS, "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONPLATLIBDIR PYTHONEXECUTABLE"),
    *_rows(
        "python",
        rf"{_FLAG}|{_INTEGER}",
        "PYTHONOPTIMIZE PYTHONUTF8 PYTHONDONTWRITEBYTECODE PYTHONNOUSERSITE PYTHONSAFEPATH PYTHONUNBUFFERED PYTHONDEBUG PYTHONINSPECT "
        "PYTHONDEVMODE PYTHONFAULTHANDLER PYTHONTRACEMALLOC PYTHONCOERCECLOCALE PYTHONLEGACY* PYTHONVERBOSE PYTHONINTMAXSTRDIGITS "
        "PYTHONASYNCIODEBUG PYTHONMALLOCSTATS PYTHONPROFILEIMPORTTIME PYTHONNODEBUGRANGES PYTHON_GIL PYTHON_JIT PYTHON_FROZEN_MODULES "
        "PYTHON_CPU_COUNT PYTHON_COLORS PYTHONWARNDEFAULTENCODING PYTHON_CONTEXT_AWARE_WARNINGS PYTHON_THREAD_INHERIT_CONTEXT",
    ),
    *_rows("python", _WARNINGS, "PYTHONWARNINGS"),
    *_rows("python", r"(?i:utf-?8|ascii|latin-?1|iso-?8859-?\d{1,2})?(?::[a-z]{6,20})?", "PYTHONIOENCODING"),
    *_rows("python", r"0|[a-z_]{1,20}\.[a-z_]{1,20}", "PYTHONBREAKPOINT"),
    *_rows("python", _PATH, "PYTHONPYCACHEPREFIX"),
    *_rows("allocator", r"(?:default|debug|malloc(?:_debug)?|py(?:malloc|mimalloc)(?:_debug)?|mimalloc(?:_debug)?)", "PYTHONMALLOC"),
    *_rows("allocator", rf"{_INTEGER}|{_SIZE}", "MALLOC_* MIMALLOC_*"),
    *_rows("loader", _PATHS, "LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT"),
    *_rows("loader", rf"{_FLAG}|{_INTEGER}", "LD_BIND_NOW LD_BIND_NOT LD_DYNAMIC_WEAK LD_HWCAP_MASK"),
    *_rows("dispatch", _TUNABLES, "GLIBC_TUNABLES"),
    *_rows("dispatch", rf"(?i:{_MACHINES})", "OPENBLAS_CORETYPE BLIS_ARCH_TYPE"),
    *_rows("dispatch", _FEATURE_LIST, "NPY_DISABLE_CPU_FEATURES NPY_ENABLE_CPU_FEATURES"),
    *_rows(
        "dispatch",
        r"(?i:default|avx|avx2|avx512(?:_core)?(?:_(?:vnni|bf16|fp16|amx|amx_fp16))?(?:,strict)?|avx512_e[1-5]|avx2_(?:e1|vnni|vnni_2)|sse4_[12]|sse41|"
        r"all|none|cbwr_[a-z0-9_]{2,12}|auto|auto,strict|compatible(?:,strict)?)",
        "MKL_ENABLE_INSTRUCTIONS MKL_CBWR MKL_DEBUG_CPU_TYPE ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA ATEN_CPU_CAPABILITY",
    ),
    *_rows("dispatch", rf"{_INTEGER}", "MKL_DEBUG_CPU_TYPE"),
    *_rows(
        "threads",
        _INTEGERS,
        "OMP_NUM_THREADS OPENBLAS_NUM_THREADS GOTO_NUM_THREADS OPENBLAS_DEFAULT_NUM_THREADS MKL_NUM_THREADS BLIS_NUM_THREADS BLIS_?C_NT "
        "BLIS_?R_NT NUMEXPR_NUM_THREADS NUMEXPR_MAX_THREADS VECLIB_MAXIMUM_THREADS OMP_THREAD_LIMIT OMP_MAX_ACTIVE_LEVELS "
        "NUMBA_NUM_THREADS RAYON_NUM_THREADS POLARS_MAX_THREADS LOKY_MAX_CPU_COUNT TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS "
        "JOBLIB_N_JOBS ARROW_IO_THREADS NTHREADS OPENBLAS_MAIN_FREE OMP_TEAMS_THREAD_LIMIT KMP_*_THREADS",
    ),
    *_rows("threads", r"(?:MKL_(?:DOMAIN_)?(?:ALL|BLAS|FFT|VML|PARDISO)\s?=\s?\d{1,4}[,;\s]{0,2}){1,5}", "MKL_DOMAIN_NUM_THREADS"),
    *_rows("threads", rf"(?i:{_FLAG}|static|dynamic|guided|auto)(?:,\d{{1,6}})?", "OMP_DYNAMIC OMP_NESTED OMP_SCHEDULE MKL_DYNAMIC"),
    *_rows("threads", r"(?i:true|false|master|primary|close|spread|auto)(?:,(?i:master|primary|close|spread)){0,3}", "OMP_PROC_BIND"),
    *_rows("threads", _PLACES, "OMP_PLACES GOMP_CPU_AFFINITY"),
    *_rows("threads", _AFFINITY, "KMP_AFFINITY KMP_HW_SUBSET"),
    *_rows("threads", r"(?i:active|passive|turnaround|throughput|serial|infinite|gnu|intel|tbb|sequential)", "OMP_WAIT_POLICY KMP_LIBRARY"),
    *_rows("threads", r"(?i:gnu|intel|tbb|sequential|pgi)", "MKL_THREADING_LAYER"),
    *_rows("threads", r"(?i:default|safe|forksafe|threadsafe|omp|tbb|workqueue)", "NUMBA_THREADING_LAYER"),
    *_rows("threads", rf"{_FLAG}|{_SIZE}|(?i:infinite)", "KMP_* GOMP_* OMP_* OPENBLAS_*"),
    *_rows("determinism", rf"{_FLAG}|{_INTEGER}", "TF_DETERMINISTIC_OPS TF_CUDNN_DETERMINISTIC TF_CUDNN_USE_AUTOTUNE FLAGS_cudnn_deterministic"),
    *_rows("determinism", r":\d{1,6}:\d{1,4}(?::\d{1,6}:\d{1,4}){0,3}", "CUBLAS_WORKSPACE_CONFIG CUBLASLT_WORKSPACE_SIZE"),
    *_rows("determinism", _FLAG, "TF_ENABLE_ONEDNN_OPTS NVIDIA_TF32_OVERRIDE TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *_rows("determinism", r"(?i:legacy|weak|weak_promotion|weak_and_warn)|[012]?\.?\d{0,2}|1\.13", "NPY_PROMOTION_STATE"),
    *_rows("accelerator", _DEVICES, "CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES GPU_DEVICE_ORDINAL"),
    *_rows("accelerator", r"(?:all|compute|utility|graphics|video|display|compat32)(?:,(?:all|compute|utility|graphics|video)){0,5}", "NVIDIA_DRIVER_CAPABILITIES"),
    *_rows("accelerator", r"FASTEST_FIRST|PCI_BUS_ID", "CUDA_DEVICE_ORDER"),
    *_rows("accelerator", _SETTINGS, "PYTORCH_CUDA_ALLOC_CONF PYTORCH_HIP_ALLOC_CONF PYTORCH_ALLOC_CONF"),
    *_rows("accelerator", _PATHS, "CUDA_HOME CUDA_PATH CUDA_ROOT CUDNN_HOME ROCM_PATH ROCM_HOME"),
    *_rows("accelerator", r"(?i:cpu|cuda|gpu|rocm|tpu|metal)(?:,(?i:cpu|cuda|gpu|rocm|tpu|metal)){0,3}", "JAX_PLATFORMS JAX_PLATFORM_NAME"),
    *_rows("accelerator", rf"{_FLAG}|{_INTEGER}|{_REAL}", "CUDA_* CUDNN_* CUBLAS_* NCCL_* HIP_* HSA_* ROCM_* TORCH_* PYTORCH_* JAX_*"),
    *_rows("numeric", rf"{_FLAG}|{_INTEGER}|{_REAL}", "TF_* XLA_* MKL_* BLIS_* NPY_* NUMEXPR_* VECLIB_* NUMBA_* ONEDNN_* DNNL_* SCIPY_* SKLEARN_* KERAS_*"),
    *_rows("numeric", r"(?i:tensorflow|jax|torch|openvino|numpy)", "KERAS_BACKEND"),
)  # fmt: skip


def variables(environ: Mapping[str, str], key: bytes | None) -> Variables:
    """The variables of a process, sorted by name. `key` is for the digests (HMAC-SHA256, RFC 2104) of values that are not kept.

    With the same key equal values have equal digests; who has the key can try values, so it is as secret as they are.
    """
    return Variables(
        tuple(_variable(name, environ[name], key) for name in sorted(environ) if name not in VOLATILE),
        "" if key is None else _mac(key, b"key")[:16],
    )


def _variable(name: str, value: str, key: bytes | None) -> Variable:
    listed = _listed(name)
    shown = name.encode("utf-8", "backslashreplace").decode()
    for row in listed:
        if len(value) <= 4096 and re.fullmatch(row.form, value, re.ASCII):
            return Variable(shown, listed[0].type, value=value)
    digest = None
    if key is not None:
        # The name goes in, so that nobody sees that two variables have one value.
        digest = _mac(key, b"value", name, value)
    return Variable(shown, listed[0].type if listed else OTHER, digest=digest)


def _mac(key: bytes, use: bytes, *texts: str) -> str:
    message = b"\0".join((b"envparity variable", use, *(text.encode("utf-8", "surrogateescape") for text in texts)))
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def _listed(name: str) -> tuple[Listed, ...]:
    """The rows that say what a value of `name` looks like: those with its name, or else the first pattern that fits."""
    exact = _exact().get(name)
    if exact:
        return exact
    return next(((row,) for row, pattern in _patterns() if pattern.match(name)), ())


@cache
def _exact() -> dict[str, tuple[Listed, ...]]:
    found: dict[str, tuple[Listed, ...]] = {}
    for row in LISTED:
        if not set(row.name) & set("*?"):
            found[row.name] = (*found.get(row.name, ()), row)
    return found


@cache
def _patterns() -> tuple[tuple[Listed, re.Pattern[str]], ...]:
    rows = (row for row in LISTED if set(row.name) & set("*?"))
    return tuple((row, re.compile(fnmatch.translate(row.name))) for row in rows)
