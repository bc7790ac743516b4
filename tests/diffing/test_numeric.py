"""How far results moved: laws of the distance in units in the last place, against the standard library's own."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from diffing.errors import DiffError
from diffing.numeric import InvalidResultError, Moved, moved, ulps, unmatched
from snapshot.facts.model import Measurement, Numeric

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
NARROW = st.floats(width=32)
DTYPES = st.sampled_from(["float64", "float32", "float16"])


def measurement(*values, name="sin", group="libm", dtype="float64", digest=None):
    sample = tuple(float(value).hex() for value in values)
    return Measurement(name, group, dtype, digest or "sha256:" + "".join(sample), sample)


def numeric(*measurements):
    return Numeric((), measurements)


def same(one, other):
    """Equal as a value that a program sees: any NaN is any other, and the zeros differ."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return struct.pack("d", one) == struct.pack("d", other)


@given(FLOATS, FLOATS)
@example(0.0, -0.0)
@example(math.nan, -math.nan)
@example(math.inf, -math.inf)
def test_zero_if_and_only_if_equal(one, other):
    assert (ulps(one, other, "float64") == 0) is same(one, other)


@given(FLOATS, FLOATS, DTYPES)
def test_symmetric(one, other, dtype):
    assert ulps(one, other, dtype) == ulps(other, one, dtype)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.0)
@example(5e-324)
@example(1.7976931348623157e308)
@example(1.0)
def test_one_step_is_one_unit(value):
    after = math.nextafter(value, math.inf)
    # From the zero below nothing the next number is the smallest: there are two zeros, which differ.
    assert ulps(value, after, "float64") == (2 if struct.pack("d", value) == struct.pack("d", -0.0) else 1)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_distances_add_up_along_the_line(one, two, three):
    low, middle, high = sorted((one, two, three), key=lambda value: (value, math.copysign(1, value)))
    total = ulps(low, middle, "float64") + ulps(middle, high, "float64")
    assert ulps(low, high, "float64") == pytest.approx(total, rel=1e-15)


@given(NARROW)
def test_single_precision_has_its_own_units(value):
    assume(math.isfinite(value) and value > 0)
    (bits,) = struct.unpack("<i", struct.pack("<f", value))
    (after,) = struct.unpack("<f", struct.pack("<i", bits + 1))
    assert ulps(value, after, "float32") == 1
    assert ulps(value, after, "float64") > 1


@given(st.floats(0.5, 1e10), st.integers(1, 1000))
def test_many_steps(value, steps):
    after = value
    for _ in range(steps):
        after = math.nextafter(after, math.inf)
    assert ulps(value, after, "float64") == steps
    assert abs(after - value) <= steps * math.ulp(after)


@pytest.mark.parametrize(
    ("one", "other", "dtype", "expected"),
    [
        (math.nan, 1.0, "float64", math.inf),
        (math.inf, 1.7976931348623157e308, "float64", 1),
        (0.0, -0.0, "float64", 1),
        (5e-324, -5e-324, "float64", 3),
        (1.0, 1.0 + 2**-10, "float16", 1),
        (1.0, 1.0 + 1e-12, "float32", 1),  # no two numbers of that type, yet they differ
        (1e300, 1e301, "float32", 1),
        (3.0, 700.0, "int64", 1),
        (3.0, 3.0, "int64", 0),
    ],
)
def test_edges(one, other, dtype, expected):
    assert ulps(one, other, dtype) == expected


SAMPLES = st.lists(st.tuples(FLOATS, FLOATS), max_size=6)


@given(SAMPLES, DTYPES)
def test_moved_is_symmetric(pairs, dtype):
    one = numeric(measurement(*(pair[0] for pair in pairs), dtype=dtype, digest="a"))
    other = numeric(measurement(*(pair[1] for pair in pairs), dtype=dtype, digest="b"))
    assert moved(one, other) == moved(other, one)
    (row,) = moved(one, other)
    assert row.ulps >= 1
    assert 0 <= row.share <= 1
    assert row.relative >= 0
    assert (row.share > 0) is any(not same(*pair) for pair in pairs)


@given(st.lists(FLOATS, max_size=6))
def test_nothing_moves_without_a_difference(values):
    assert moved(numeric(measurement(*values)), numeric(measurement(*values))) == ()


def test_how_far_and_how_many():
    train = numeric(measurement(1.0, 2.0, 4.0, 8.0))
    serve = numeric(measurement(1.0, math.nextafter(2.0, 3), 4.0 + 16 * math.ulp(4.0), 8.0))
    assert moved(train, serve) == (Moved("sin", "libm", 16.0, 0.5, pytest.approx(16 * math.ulp(4.0) / 4.0)),)


def test_only_the_digest_differs():
    train, serve = numeric(measurement(1.0, digest="a")), numeric(measurement(1.0, digest="b"))
    assert moved(train, serve) == (Moved("sin", "libm", 1.0, 0.0, 0.0),)


def test_the_farthest_first():
    train = numeric(*(measurement(1.0, name=name) for name in "abc"))
    serve = numeric(*(measurement(1.0 + n * 2**-52, name=name) for name, n in zip("abc", (1, 3, 2), strict=True)))
    assert [row.name for row in moved(train, serve)] == ["b", "c", "a"]


def test_other_results_altogether():
    wide, narrow = measurement(1.0), measurement(1.0, dtype="float32")
    assert moved(numeric(wide), numeric(narrow)) == (Moved("sin", "libm", math.inf, 1.0, math.inf),)
    assert moved(numeric(wide), numeric(measurement(1.0, 2.0)))[0].ulps == math.inf


def test_what_one_side_has_not_measured():
    train = numeric(measurement(1.0), measurement(1.0, name="matmul", group="blas"))
    serve = numeric(measurement(1.0), measurement(1.0, name="cos"))
    assert moved(train, serve) == ()
    assert unmatched(train, serve) == (("blas", "matmul"), ("libm", "cos"))


@pytest.mark.parametrize("text", ["", "1.5x", "0x1.0p+99999", "é"])
def test_a_result_that_is_none(text):
    broken = numeric(Measurement("sin", "libm", "float64", "sha256:1", (text,)))
    with pytest.raises(
        InvalidResultError, match=r"numeric fingerprint, sin: .* is no result of float.hex; capture"
    ) as caught:
        moved(broken, numeric(measurement(1.0)))
    assert isinstance(caught.value, DiffError)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
@example(1.7976931348623157e308, -1.7976931348623157e308)
@example(5e-324, 0.0)
@example(5e-324, 1.5e-323)
def test_the_relative_error_is_at_most_two(one, other):
    assume(not same(one, other))
    (row,) = moved(numeric(measurement(one)), numeric(measurement(other)))
    assert 0 <= row.relative <= 2
    assert (row.relative > 0) is (one != other)
