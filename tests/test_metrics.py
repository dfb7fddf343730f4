"""Every metric of a tensor by hand, the ulp and the rounding against exact rational arithmetic."""

from __future__ import annotations

import math
import struct
import sys
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.exact.ulp import FORMATS, round_to, ulp, ulp_error
from harness.precision import registered_metrics
from harness.precision.causes import CAUSES_METRIC
from harness.precision.metrics import METRICS, NEEDS, Comparison, evaluate
from harness.precision.repeats import repeat_metrics
from harness.precision.selection import SELECTION_METRICS
from harness.vocabulary import DTYPES

INF, NAN = math.inf, math.nan
TINY = 2.0**-1074

Row = tuple[list[float], list[float], str, float]
BY_HAND: dict[str, list[Row]] = {
    "abs_max": [
        ([1.0, 2.5, -3.0], [1.0, 2.0, -3.25], "float32", 0.5),
        ([INF, -INF, NAN, 1.0], [INF, -INF, NAN, 1.0], "float32", 0.0),
        ([NAN, 1.0], [1.0, 1.0], "float32", INF),
        ([1.0, 1.0], [NAN, 1.0], "float32", INF),
        ([1.0], [0.0], "float64", 1.0),
        ([0.0], [TINY], "float64", TINY),
    ],
    "rel_l2": [
        ([3.0, 4.0], [3.0, 3.0], "float32", 1 / math.sqrt(18)),
        ([0.0, 0.0], [0.0, -0.0], "float32", 0.0),
        ([1.0], [0.0], "float32", INF),
        ([NAN, 1.0], [1.0, 1.0], "float32", INF),
        ([NAN, 1.0], [NAN, 2.0], "float32", 0.5),
        ([3e200, 4e200], [3e200, 1e200], "float64", 3 / math.sqrt(10)),
        ([3e-200, 4e-200], [3e-200, 3e-200], "float64", 1 / math.sqrt(18)),
        ([1.0, 1.0], [0.0, 1.0], "float64", 1.0),
    ],
    "ulp_max": [
        ([1.0 + 2.0**-10, 2.0], [1.0, 2.0 + 2.0**-8], "float16", 2.0),
        ([2.0 - 2.0**-10], [2.0], "float16", 0.5),
        ([2.0**-24], [0.0], "float16", 1.0),
        ([0.0], [2.0**-133], "bfloat16", 1.0),
        ([1.0], [1.0 + 2.0**-25], "float32", 0.25),
        ([TINY], [0.0], "float64", 1.0),
        ([INF, NAN], [INF, NAN], "float16", 0.0),
        ([INF], [-INF], "float16", INF),
        ([65504.0], [INF], "float16", INF),
        ([NAN], [1.0], "float16", INF),
    ],
    "ulp_p99": [
        ([1.0 + i * 2.0**-23 for i in range(100)], [1.0] * 100, "float32", 98.0),
        ([1.0 + 2.0**-23] + [1.0] * 99, [1.0] * 100, "float32", 0.0),
        ([1.0 + 2.0**-23] * 2 + [1.0] * 98, [1.0] * 100, "float32", 1.0),
        ([NAN] + [1.0] * 99, [1.0] * 100, "float32", 0.0),
        ([NAN] * 2 + [1.0] * 98, [1.0] * 100, "float32", INF),
    ],
    "rmse": [([1.0, 5.0], [1.0, 2.0], "float32", 3 / math.sqrt(2)), ([NAN, 1.0], [1.0, 1.0], "float32", INF)],
    "ulp_p50": [
        ([1.0, 1.0 + 2.0**-23, 1.0 + 2.0**-21], [1.0] * 3, "float32", 1.0),
        ([1.0, 1.0, NAN, NAN], [1.0] * 4, "float32", 0.0),
    ],
    "half_ulp_share": [([1.0, 1.0 + 2.0**-10, NAN], [1.0 + 2.0**-11, 1.0, 1.0], "float16", 1 / 3)],
    "one_ulp_share": [([1.0, 1.0 + 2.0**-10, 2.0, NAN], [1.0, 1.0, 1.0, 1.0], "float16", 0.5)],
    "signed_zero_count": [([0.0, -0.0, -0.0, 1.0], [-0.0, -0.0, 0.0, -0.0], "float32", 2.0)],
    "ulp_mean": [
        ([1.0, 1.0 + 3 * 2.0**-7], [1.0, 1.0], "bfloat16", 1.5),
        ([NAN, 1.0], [1.0, 1.0], "bfloat16", INF),
    ],
    "equal_share": [
        ([1.0, 2.0, -0.0, NAN], [1.0, 3.0, 0.0, NAN], "float32", 0.75),
        ([1.0, INF], [1.0, INF], "float16", 1.0),
        ([1.0, 1.0, -INF], [NAN, INF, INF], "float32", 0.0),
    ],
    "bit_equal_share": [
        ([1.0, 2.0, -0.0, NAN], [1.0, 3.0, 0.0, -NAN], "float32", 0.5),
        ([-0.0, 0.0], [-0.0, 0.0], "float16", 1.0),
    ],
    "nonfinite_count": [([1.0, INF, -INF, NAN], [NAN, INF, INF, NAN], "float32", 3.0)],
    "nonfinite_unlike_count": [
        ([1.0, INF, -INF, NAN, NAN, 2.0], [NAN, INF, INF, NAN, 1.0, 3.0], "float32", 3.0),
        ([1.0], [0.0], "float64", 0.0),
    ],
    "cosine_distance": [
        ([1.0, 0.0], [0.0, 3.0], "float32", 1.0),
        ([1.0, 1.0], [-2.0, -2.0], "float32", 2.0),
        ([3e200, 4e200], [3e-200, 4e-200], "float64", 0.0),
        ([TINY, TINY], [1.0, 1.0], "float64", 0.0),
        ([0.0], [-0.0], "float32", 0.0),
        ([0.0], [2.0], "float32", 1.0),
        ([NAN, 1.0], [1.0, 1.0], "float32", NAN),
        ([NAN], [0.0], "float32", NAN),
        ([INF, 1.0], [1.0, 1.0], "float32", NAN),
    ],
}
OPTIONAL: dict[str, list[tuple[float, float, object, float]]] = {
    "component_max": [(3.0, 2.0, np.array([4.0]), 0.25), (2.0, 2.0, np.array([0.0]), 0.0), (1, 0, np.zeros(1), INF)],
    "condition_max": [(3.0, -2.0, np.array([5.0]), 2.5), (0.0, 0.0, np.array([1.0]), INF), (0, 0, np.zeros(1), 0.0)],
    "bound_ratio_max": [(3.0, 2.0, np.array([2.0]), 0.5), (3.0, 2.0, np.zeros(1), INF), (NAN, 1, np.ones(1), INF)],
    "probable_ratio_max": [(3.0, 2.0, np.array([4.0]), 0.25), (2.0, 2.0, np.zeros(1), 0.0)],
    "native_ratio": [(3.0, 2.0, 0.25, 2.0), (2.0, 2.0, 0.0, 1.0), (3.0, 2.0, 0.0, INF), (2.0, 2.0, 0.5, 0.0)],
}
"""metric -> (got, want, the field that it needs, expected), of one entry each."""


def by_hand() -> list[object]:
    rows = ((name, *row) for name, rows in BY_HAND.items() for row in rows)
    return [pytest.param(*row, id=f"{row[0]}-{number}") for number, row in enumerate(rows)]


@pytest.mark.parametrize(("name", "got", "want", "dtype", "expected"), by_hand())
def test_a_metric_by_hand(name: str, got: list[float], want: list[float], dtype: str, expected: float) -> None:
    figure = evaluate(name, Comparison(np.array(got), np.array(want), dtype))
    assert figure == pytest.approx(expected, rel=1e-14, abs=1e-30 if name == "cosine_distance" else 0, nan_ok=True)


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_metric_that_needs_more_by_hand(name: str) -> None:
    for got, want, field, expected in OPTIONAL[name]:
        values = np.array([float(got)]), np.array([float(want)]), "float64"
        figure = evaluate(name, Comparison(*values, **{NEEDS[name]: field}))  # type: ignore[arg-type]
        assert figure == pytest.approx(expected, rel=1e-14)
        assert evaluate(name, Comparison(*values)) is None


def test_a_condition_is_that_of_the_exact_sum() -> None:
    one, sizes = np.array([1.0]), np.array([3.0])
    assert evaluate("condition_max", Comparison(one, one, "float32", -0.5 * one, size=sizes)) == 6.0


def test_every_registered_metric_was_computed_by_hand() -> None:
    assert set(BY_HAND) | set(OPTIONAL) == set(METRICS), "a metric needs values worked out by hand, here"
    assert set(OPTIONAL) == set(NEEDS)
    assert registered_metrics() == (*METRICS, *SELECTION_METRICS, *repeat_metrics(), CAUSES_METRIC)


@pytest.mark.parametrize("name", BY_HAND)
def test_an_empty_comparison_is_nan(name: str) -> None:
    figure = evaluate(name, Comparison(np.empty(0), np.empty(0), "float32"))
    assert figure is not None
    assert math.isnan(figure)


@pytest.mark.parametrize(
    ("got", "want", "residual", "ulps"),
    [
        (1.0, 1.0, 2.0**-13, 0.125),
        (1.0 + 2.0**-10, 1.0, 2.0**-12, 0.75),
        (1.0, 1.0, -(2.0**-13), 0.25),  # exact lies below a power of two, where ulps are half as long
        (-1.0, -1.0, 2.0**-13, 0.25),
        (2.0**-14, 2.0**-14, -(2.0**-27), 0.125),  # but not below the smallest normal number
        (0.0, 0.0, 2.0**-26, 0.25),
        (INF, INF, 0.0, 0.0),
    ],
)
def test_errors_count_from_the_exact_answer(got: float, want: float, residual: float, ulps: float) -> None:
    error = ulp_error(np.array([got]), np.array([want]), "float16", np.array([residual]))
    assert error.tolist() == [ulps]


def floor_log2(x: Fraction) -> int:
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if x >= Fraction(2) ** guess else guess - 1


def exact_ulp(x: float, dtype: str) -> Fraction:
    form = FORMATS[dtype]
    exponent = form.emin if x == 0 else max(floor_log2(abs(Fraction(x))), form.emin)
    return Fraction(2) ** (exponent - form.p + 1)


def exactly_rounded(x: float, dtype: str) -> float:
    """Half to even is what Python's round of a Fraction does."""
    form, spacing = FORMATS[dtype], exact_ulp(x, dtype)
    rounded = round(Fraction(x) / spacing) * spacing
    too_large = abs(rounded) >= Fraction(2) ** (form.emax + 1)
    return math.copysign(INF if too_large else float(abs(rounded)), x)


def float64_of(bits: int) -> float:
    (x,) = struct.unpack("<d", struct.pack("<Q", bits))
    return float(x)


def held(bits: int, dtype: str) -> float:
    """The number with these bits in the dtype."""
    if dtype == "float64":
        return float64_of(bits)
    if dtype == "float16":
        return float(struct.unpack("<e", struct.pack("<H", bits & 0xFFFF))[0])
    mask = 0xFFFFFFFF if dtype == "float32" else 0xFFFF0000  # bfloat16 is the upper half of float32
    return float(struct.unpack("<f", struct.pack("<I", bits & mask))[0])


@st.composite
def finite_numbers(draw: st.DrawFn, dtype: str) -> float:
    """Numbers of the dtype, numbers at and beside the middle between two of them, and any float64."""
    bits = draw(st.integers(0, 2**64 - 1))
    kind = draw(st.sampled_from(["held", "between", "float64"]))
    x = float64_of(bits) if kind == "float64" else held(bits, dtype)
    if kind == "between" and math.isfinite(x):
        beside = draw(st.sampled_from([0.25, 0.5, 0.5 - 2.0**-26, 0.5 + 2.0**-26]))
        x += math.copysign(float(exact_ulp(x, dtype)) * beside, x)
    return x if math.isfinite(x) else 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=500)
@given(data=st.data())
def test_ulp_and_rounding_are_those_of_exact_arithmetic(dtype: str, data: st.DataObject) -> None:
    x = data.draw(finite_numbers(dtype))
    assert Fraction(float(ulp(np.array(x), dtype))) == exact_ulp(x, dtype)
    rounded = float(round_to(np.array(x), dtype))
    assert struct.pack("<d", rounded) == struct.pack("<d", exactly_rounded(x, dtype))
    if dtype != "bfloat16":  # NumPy rounds float64 once; torch rounds to the halves by way of float32
        with np.errstate(over="ignore"):
            assert rounded == float(np.float64(x).astype(dtype))
    if dtype == "float64":
        assert float(ulp(np.array(x), dtype)) == math.ulp(x)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@given(bits=st.integers(0, 2**64 - 1))
def test_ulp_is_the_spacing_that_numpy_says(dtype: str, bits: int) -> None:
    x = abs(held(bits, dtype))  # NumPy's spacing of -2 is that towards zero
    if x < 2.0 ** FORMATS[dtype].emax:
        assert float(ulp(np.array(-x), dtype)) == float(np.spacing(np.dtype(dtype).type(x)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_formats_are_those_of_torch(dtype: str) -> None:
    info, form = torch.finfo(getattr(torch, dtype)), FORMATS[dtype]
    assert (info.tiny, info.eps) == (2.0**form.emin, 2 * form.unit_roundoff)
    assert info.max == math.ldexp(2 - 2.0 ** (1 - form.p), form.emax)
    assert round_to(np.array([info.max, -info.max]), dtype).tolist() == [info.max, -info.max]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_only_half_an_ulp_beyond_the_largest_overflows(dtype: str) -> None:
    largest = torch.finfo(getattr(torch, dtype)).max
    spacing = float(exact_ulp(largest, dtype))
    beyond = np.array([largest + 0.49 * spacing, -largest - 0.5 * spacing])
    assert round_to(beyond, dtype).tolist() == [largest, -INF]
    assert round_to(np.array([sys.float_info.max]), dtype).tolist() == [INF]  # without a warning either


def test_what_is_not_finite_has_no_ulp_and_rounds_to_itself() -> None:
    x = np.array([INF, -INF, NAN])
    assert all(np.isnan(ulp(x, dtype)).all() for dtype in DTYPES)
    assert all(np.array_equal(round_to(x, dtype), x, equal_nan=True) for dtype in DTYPES)


def test_an_error_is_in_ulps_of_what_was_wanted() -> None:
    below, above = np.array([1.0]), np.array([1.0 - 2.0**-53])
    assert (ulp_error(below, above, "float64")[0], ulp_error(above, below, "float64")[0]) == (1.0, 0.5)


@pytest.mark.parametrize(("residual", "got_residual", "ulps"), [(0.0, 2.0**-30, 2.0**-7), (-(2.0**-30), 0.0, 2.0**-6)])
def test_the_ulps_of_two_exact_answers_are_those_of_the_one_that_is_wanted(
    residual: float, got_residual: float, ulps: float
) -> None:
    """1 + 2^-30 beside 1, and 1 beside 1 - 2^-30, where the ulps of float32 are half as long."""
    one = np.array([1.0])
    assert Comparison(one, one, "float32", residual, got_residual=got_residual).ulps.tolist() == [ulps]


@given(st.lists(st.integers(1, 2**20), min_size=2, max_size=8), st.integers(20, 50), st.integers(0, 7))
def test_cosine_distance_is_accurate_near_zero(numbers: list[int], closeness: int, where: int) -> None:
    want = np.array(numbers, dtype=np.float64)
    got = want.copy()
    got[where % len(got)] *= 1 + 2.0**-closeness
    with localcontext() as context:
        context.prec = 80
        one, two = ([Decimal(float(each)) for each in side] for side in (got, want))
        dot = sum(a * b for a, b in zip(one, two, strict=True))
        sizes = sum(a * a for a in one) * sum(b * b for b in two)
        exact = float(1 - dot / sizes.sqrt())  # type: ignore[union-attr]
    # Each normalised entry is off by a few 2^-53, which is beside a difference of about sqrt(2 exact).
    slack = 8 * 2.0**-53 * math.sqrt(2 * exact) * math.sqrt(len(got)) + 64 * 2.0**-106 * len(got)
    assert evaluate("cosine_distance", Comparison(got, want, "float64")) == pytest.approx(exact, rel=0, abs=slack)
