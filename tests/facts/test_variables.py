"""Which values are kept, and that nothing else comes out."""

from __future__ import annotations

import hashlib
import hmac
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snapshot.facts.variables import LISTED, OTHER, VOLATILE, variables

KEY = b"k" * 32
KEPT = [
    ("PYTHONHASHSEED", "hash-seed", ["0", "random", "4294967295"]),
    ("LANG", "locale", ["C", "POSIX", "C.UTF-8", "en_US.UTF-8", "de_DE@euro", ""]),
    ("LC_NUMERIC", "locale", ["de_DE.ISO-8859-1"]),
    ("TZ", "timezone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "EST5EDT", "CET-1CEST,M3.5.0,M10.5.0/3", ""]),
    ("PYTHONPATH", "search-path", ["/opt/app/src:/srv/x_86-64/lib", "", "/a"]),
    ("PYTHONOPTIMIZE", "python", ["", "1", "2"]),
    ("PYTHONWARNINGS", "python", ["ignore", "error,ignore::DeprecationWarning"]),
    ("PYTHONIOENCODING", "python", ["utf-8", "utf8:surrogateescape"]),
    ("PYTHONMALLOC", "allocator", ["malloc", "pymalloc_debug"]),
    ("MALLOC_ARENA_MAX", "allocator", ["2"]),
    ("LD_LIBRARY_PATH", "loader", ["/usr/local/cuda-12.4/lib64:/opt/rocm/lib"]),
    ("LD_PRELOAD", "loader", ["/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/a/libtcmalloc_minimal.so.4 /b/x.so"]),
    ("GLIBC_TUNABLES", "dispatch", ["glibc.cpu.hwcaps=-AVX2_Usable,-FMA", "glibc.malloc.arena_max=2:glibc.rtld.optional_static_tls=2048"]),
    ("OPENBLAS_CORETYPE", "dispatch", ["Haswell", "SKYLAKEX", "NEOVERSEN1"]),
    ("NPY_DISABLE_CPU_FEATURES", "dispatch", ["AVX512F AVX512_SKX", "AVX2,FMA3"]),
    ("MKL_CBWR", "dispatch", ["COMPATIBLE", "AVX2", "AVX512,STRICT", "AUTO"]),
    ("OMP_NUM_THREADS", "threads", ["1", "4,2"]),
    ("OPENBLAS_NUM_THREADS", "threads", ["64"]),
    ("MKL_DOMAIN_NUM_THREADS", "threads", ["MKL_BLAS=2, MKL_DOMAIN_ALL=1"]),
    ("OMP_PROC_BIND", "threads", ["true", "spread,close"]),
    ("OMP_PLACES", "threads", ["cores", "{0:4}:4:4", "{0,1},{2,3}"]),
    ("GOMP_CPU_AFFINITY", "threads", ["0-3", "0 3 1-2"]),
    ("KMP_AFFINITY", "threads", ["granularity=fine,compact,1,0", "disabled"]),
    ("KMP_BLOCKTIME", "threads", ["0", "infinite"]),
    ("OMP_STACKSIZE", "threads", ["4M"]),
    ("CUDA_VISIBLE_DEVICES", "accelerator", ["", "0,1", "-1", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"]),
    ("PYTORCH_CUDA_ALLOC_CONF", "accelerator", ["max_split_size_mb:128,expandable_segments:True"]),
    ("CUDA_LAUNCH_BLOCKING", "accelerator", ["1"]),
    ("CUBLAS_WORKSPACE_CONFIG", "determinism", [":4096:8", ":16:8"]),
    ("TF_ENABLE_ONEDNN_OPTS", "determinism", ["0"]),
    ("TF_CPP_MIN_LOG_LEVEL", "numeric", ["3"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "type_", "value"), [(name, type_, value) for name, type_, values in KEPT for value in values]
)
def test_values_of_their_form_are_kept(name, type_, value):
    (found,) = variables({name: value}, KEY).items
    assert (found.name, found.type, found.value, found.digest) == (name, type_, value, None)


def test_others_are_a_digest_or_nothing():
    environ = {"API_TOKEN": "s3cret-canary", "OMP_NUM_THREADS": "s3cret-canary"}
    with_key, without = variables(environ, KEY), variables(environ, None)
    assert [(item.name, item.type, item.value) for item in with_key.items] == [
        ("API_TOKEN", OTHER, None),
        ("OMP_NUM_THREADS", "threads", None),
    ]
    assert len({item.digest for item in with_key.items}) == 2  # one value under two names shows nothing of being one
    assert [(item.value, item.digest) for item in without.items] == [(None, None), (None, None)]
    assert without.key == ""


def test_the_digest_is_an_hmac():
    message = b"envparity variable\0value\0API_TOKEN\0s3cret"
    (found,) = variables({"API_TOKEN": "s3cret"}, KEY).items
    assert found.digest == hmac.new(KEY, message, hashlib.sha256).hexdigest()


def test_the_key_is_named_and_not_shown():
    one, other = variables({"X": "1"}, KEY), variables({"X": "1"}, b"other")
    assert re.fullmatch("[0-9a-f]{16}", one.key)
    assert one.key != other.key
    assert one.items != other.items
    assert variables({}, KEY).key == one.key
    assert KEY.hex() not in repr(one)


def test_what_a_shell_changes_all_the_time_is_no_part():
    assert variables(dict.fromkeys(VOLATILE, "/x"), KEY).items == ()


def test_sorted_whatever_the_order():
    environ = {"B": "1", "A": "2", "OMP_NUM_THREADS": "2"}
    assert variables(environ, KEY) == variables(dict(reversed(environ.items())), KEY)
    assert [item.name for item in variables(environ, KEY).items] == ["A", "B", "OMP_NUM_THREADS"]


def test_bytes_that_are_no_text():
    (found,) = variables({"X\udcff": "\udcfe"}, KEY).items
    assert found.name == "X\\udcff"
    assert found.digest


def test_the_list_is_sound():
    for row in LISTED:
        re.compile(row.form)
        assert re.fullmatch(r"[A-Za-z0-9_*?]+", row.name), row
    assert {row.type for row in LISTED} == {type_ for _, type_, _ in KEPT}


NAMES = st.one_of(
    st.sampled_from(sorted({row.name.replace("*", "X").replace("?", "J") for row in LISTED})),
    st.text(string.ascii_uppercase + "_", min_size=1, max_size=20).filter(lambda name: name not in VOLATILE),
)
_TOKEN = st.text(string.ascii_letters + string.digits, min_size=24, max_size=40).filter(lambda text: not text.isdigit())
#: As people have them: with a word, a prefix of an issuer, in a URL, hexadecimal, base64.
SECRETS = st.one_of(
    st.text(min_size=1, max_size=30).map(lambda text: "canary-" + text.replace("\0", "")),
    _TOKEN,
    _TOKEN.map("ghp_{}".format),
    _TOKEN.map("sk-{}==".format),
    _TOKEN.map("/opt/{}/lib".format),
    _TOKEN.map("https://user:{}@example.com/".format),
    st.binary(min_size=16, max_size=32).map(bytes.hex).filter(lambda text: not text.isdigit()),
    st.just("AKIAIOSFODNN7EXAMPLE"),
    st.just("correct horse battery staple"),
)


@given(st.dictionaries(NAMES, SECRETS, min_size=1, max_size=6), st.sampled_from([None, KEY]))
@example({"LANG": "canary-en_US"}, KEY)
@example({"PYTHONPATH": "/opt/app:canary-x"}, KEY)
def test_no_secret_comes_out(environ, key):
    found = variables(environ, key)
    for item in found.items:
        assert item.value is None
        assert (item.digest is None) is (key is None)
    for secret in environ.values():
        assert secret not in repr(found)


@given(st.dictionaries(NAMES, st.text(max_size=20)), st.dictionaries(NAMES, st.text(max_size=20)))
def test_equal_if_and_only_if_the_variables_are(one, other):
    assert (variables(one, KEY) == variables(other, KEY)) is (one == other)
