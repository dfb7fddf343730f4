"""Sums and dot products against fractions, over all bit patterns and where rounding is hard."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.exact.certified import Certified, Proof, unsettled
from harness.exact.dyadic import integer_dot
from harness.exact.sums import attempt_dot, exact_dot, exact_sum
from harness.exact.ulp import FORMATS
from tests.adversarial import GENERATORS, exact_dots, from_bits, wrong
from tests.swept import swept

DTYPES = tuple(FORMATS)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1, max_size=9))
def test_all_bit_patterns(dtype: str, bits: list[tuple[int, int]]) -> None:
    a, b = from_bits(np.array(bits, dtype=np.uint64).T.copy(), dtype)
    assert wrong(exact_dot(a, b, dtype), exact_dots(a[None], b[None]), dtype) == 0
    ones = np.ones_like(a)
    assert wrong(exact_sum(a, dtype), exact_dots(a[None], ones[None]), dtype) == 0


@swept("length", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_to_round(dtype: str, name: str, length: int) -> None:
    a, b = GENERATORS[name](np.random.default_rng(length), dtype, (200, max(length, 2)))
    assert wrong(exact_dot(a, b, dtype), exact_dots(a, b), dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_float64_inputs_to_every_format(dtype: str) -> None:
    for name in ("uniform_bits", "halfway", "subnormal"):
        a, b = GENERATORS[name](np.random.default_rng(0), "float64", (200, 4))
        assert wrong(exact_dot(a, b, dtype), exact_dots(a, b), dtype) == 0


def test_every_rung() -> None:
    rng = np.random.default_rng(1)
    a, b = GENERATORS["normal"](rng, "float16", (100, 20))
    assert exact_dot(a, b, "float16").proof.bound > 90
    a, b = GENERATORS["normal"](rng, "float64", (100, 1000))
    assert exact_dot(a, b, "float64").proof == Proof(double=100)
    a, b = GENERATORS["cancelling"](rng, "float64", (100, 20))
    assert exact_dot(a, b, "float64").proof.integer > 50
    a[7, 3] = np.inf
    assert exact_dot(a, b, "float64").proof.nonfinite == 1


def test_ziv_asks_for_more_at_a_tie() -> None:
    tie = np.array([[1.0, 2.0**-24, 2.0**-120]])  # float32: half-way between 1 and the next but for a hair
    found = exact_sum(tie, "float32")
    assert found.rounded.item() == 1 + 2.0**-23
    assert found.residual.item() == 2.0**-24 - 2.0**-23  # the hair is under the error
    assert found.proof.integer == 1
    assert exact_sum(tie[:, :2], "float32").rounded.item() == 1.0


def test_rounds_once_and_not_through_float64() -> None:
    terms = np.array([[1.0, 2.0**-11, 2.0**-80]])  # in float64 a tie of float16, which would go to even
    assert exact_sum(terms, "float16").rounded.item() == 1 + 2.0**-10


def test_zeros_and_what_vanishes() -> None:
    found = exact_sum(np.array([[1.0, -1.0], [-0.0, -0.0], [-(2.0**-30), 0.0]]), "float16")
    assert np.signbit(found.rounded).tolist() == [False, False, True]
    assert found.residual.tolist() == [0, 0, -(2.0**-30)]


def test_beyond_the_range_is_told_from_an_infinity() -> None:
    found = exact_sum(np.array([[1e308, 1e308], [np.inf, 0.0], [np.inf, -np.inf]]), "float64")
    np.testing.assert_array_equal(found.rounded, [np.inf, np.inf, np.nan])
    assert found.error.tolist() == [np.inf, 0, 0]
    assert found.residual.tolist() == [0, 0, 0]


def test_shapes_broadcast() -> None:
    a, b = np.arange(24.0).reshape(2, 3, 4), np.arange(4.0)
    found = exact_dot(a, b, "float64")
    np.testing.assert_array_equal(found.rounded, a @ b)
    assert exact_dot(b, b, "float64").rounded.shape == ()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(DTYPES), st.integers(0, 60))
def test_slack_is_covered(seed: int, dtype: str, bits: int) -> None:
    """Whatever is settled with a slack is right for the sum plus anything within it."""
    rng = np.random.default_rng(seed)
    a, b = GENERATORS["halfway"](rng, dtype, (20, 3))
    slack = np.abs(a @ np.ones(3)) * 2.0**-bits
    found = attempt_dot(a, b, dtype, slack, exponent=1)
    settled = found.rung > 0
    for share in (-1, 0, 1):
        exact = [
            2 * (dot + share * Fraction(each))
            for dot, each in zip(exact_dots(a, b), slack.tolist(), strict=True)
            if isinstance(dot, Fraction)
        ]
        kept = [answer for answer, is_settled in zip(exact, settled, strict=True) if is_settled]
        assert wrong(found.map(lambda array: array[settled]), kept, dtype) == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_of_long_sums(sign: int) -> None:
    ones = np.full((1, 2**20 + 3), 1 - 2.0**-53)
    ((number, exponent),) = integer_dot(ones, sign * ones)
    assert Fraction(number) * Fraction(2) ** exponent == sign * (2**20 + 3) * Fraction(1 - 2.0**-53) ** 2


def test_a_product_whose_parts_underflow_is_not_called_exact() -> None:
    a = np.array([[1.0, 2.0**-500 * (1 + 2.0**-52)]])
    b = np.array([[1.0, 2.0**-520 * (1 + 2.0**-52)]])
    found = exact_dot(a, b, "float64")
    assert wrong(found, exact_dots(a, b), "float64") == 0
    assert found.error.item() > 0


def test_no_answer_without_proof() -> None:
    with pytest.raises(ValueError, match="2 entries have no proof"):
        _ = unsettled((2,)).proof
    assert Proof(bound=1, integer=2) + Proof(integer=3) == Proof(bound=1, integer=5)
    assert isinstance(unsettled((2,)), Certified)
