"""Matrix-vector products against fractions, against the dot products of the oracle, and against Arb at size."""

from __future__ import annotations

from fractions import Fraction
from operator import itemgetter

import numpy as np
import pytest
from flint import arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from harness.exact.certified import Certified, Rung
from harness.exact.product import attempt_product, exact_product
from harness.exact.sums import exact_dot
from harness.exact.ulp import FORMATS
from tests.adversarial import GENERATORS, exact_dots, from_bits, round_fraction, wrong
from tests.swept import swept

DTYPES = tuple(FORMATS)


def same(a: Certified, b: Certified, dtype: str) -> bool:
    """Whether both are of the same exact numbers, as far as their errors tell."""
    finite = np.isfinite(a.rounded)
    near = np.abs(a.residual - b.residual)[finite] <= 1.001 * (a.error + b.error)[finite]
    return np.array_equal(a.rounded, b.rounded, equal_nan=True) and bool(near.all())


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data())
def test_all_bit_patterns(dtype: str, data: st.DataObject) -> None:
    n, d = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    bits = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=(n + 2) * d, max_size=(n + 2) * d))
    numbers = from_bits(np.array(bits, dtype=np.uint64), dtype).reshape(n + 2, d)
    A, b = numbers[:n], numbers[n:]
    found = exact_product(A, b, dtype)
    for row in range(2):
        exact = exact_dots(A, np.broadcast_to(b[row], A.shape))
        assert wrong(found.map(itemgetter(row)), exact, dtype) == 0


@swept("length", [1, 2, 5, 40])
@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_to_round(dtype: str, name: str, length: int) -> None:
    """Rows that are hard with one vector: that of the first row, which is of ones where the sum is what is hard."""
    A, b = GENERATORS[name](np.random.default_rng(length), dtype, (60, max(length, 2)))
    found = exact_product(A, b[0], dtype)
    assert wrong(found, exact_dots(A, np.broadcast_to(b[0], A.shape)), dtype) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_is_what_the_dot_products_are(dtype: str) -> None:
    A, B = GENERATORS["normal"](np.random.default_rng(2), dtype, (700, 300))
    vectors = np.stack([B[0], 2.0**-8 * B[1], np.zeros(300)])
    found = exact_product(A, vectors, dtype)
    assert same(found, exact_dot(A[None], vectors[:, None, :], dtype), dtype)
    fast = found.proof.sliced + found.proof.bound
    assert fast > 2000
    transposed = exact_product(A.T, A[:, 0].copy(), dtype)
    assert same(transposed, exact_dot(A.T, A[:, 0], dtype), dtype)


def test_rungs() -> None:
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((50, 64)), rng.standard_normal(64)
    assert exact_product(A, b, "float64").proof.sliced == 50
    held = A.astype(np.float16).astype(float), b.astype(np.float16).astype(float)
    assert exact_product(*held, "float16").proof.bound > 40
    A[3, 5], A[4] = np.nan, 0.0
    A[5, :32] = A[5, 32:] * b[32:] / b[:32]
    A[6] *= 2.0**-400
    found = exact_product(A, b, "float64")
    assert [found.rung[place] for place in (3, 4, 6)] == [Rung.nonfinite, Rung.sliced, Rung.double]
    assert wrong(found, exact_dots(A, np.broadcast_to(b, A.shape)), "float64") == 0


def test_rows_and_entries_of_any_size() -> None:
    rng = np.random.default_rng(4)
    A = rng.standard_normal((100, 20)) * 2.0 ** rng.integers(-280, 280, (100, 1))
    A[50:] *= 2.0 ** rng.integers(-200, 0, (50, 20))
    b = rng.standard_normal((2, 20)) * 2.0 ** rng.integers(-250, 200, (2, 20))
    found = exact_product(A, b, "float64")
    for row in range(2):
        exact = exact_dots(A, np.broadcast_to(b[row], A.shape))
        assert wrong(found.map(itemgetter(row)), exact, "float64") == 0
    assert found.proof.sliced > 40
    assert found.proof.double > 40


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_underflows_in_the_proof_still_breaks_a_tie(dtype: str) -> None:
    half = 2.0 ** -FORMATS[dtype].p
    scale = 2.0**-250 if dtype == "float64" else 2.0**-10
    A = scale * np.array([[1.0, half, 1.0], [1.0, half, -1.0], [1.0, half, 0.0], [0.0, 0.0, 2.0**-300]])
    b = np.array([1.0, 1.0, 2.0**-1000])
    found = exact_product(A, b, dtype)
    assert wrong(found, exact_dots(A, np.broadcast_to(b, A.shape)), dtype) == 0
    assert found.rounded[:3].tolist() == [scale * (1 + 2 * half), scale, scale]


@pytest.mark.parametrize("d", [2**17 + 1, 2**20])
def test_long_rows(d: int) -> None:
    rng = np.random.default_rng(5)
    A, b = rng.standard_normal((3, d)), rng.standard_normal(d)
    found = exact_product(A, b, "float64")
    assert found.proof.sliced == 3
    assert same(found, exact_dot(A, b, "float64"), "float64")


def test_too_long_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 33554432 can be sliced"):
        exact_product(np.zeros((0, 2**25 + 1)), np.zeros(2**25 + 1), "float64")


@given(st.integers(0, 2**32), st.integers(30, 100))
def test_tails_and_errors_are_covered(seed: int, bits: int) -> None:
    """What is settled of heads + tails -+ errors is right at both ends."""
    rng = np.random.default_rng(seed)
    A, heads = rng.standard_normal((10, 6)), rng.standard_normal((1, 6))
    tails, errors = heads * rng.uniform(-1, 1, (1, 6)) * 2.0**-53, np.abs(heads) * 2.0**-bits
    found = attempt_product(A, heads, "float64", tails=tails, errors=errors, exponent=1).map(lambda array: array[0])
    settled = found.rung > 0
    assert settled.all() == (bits > 85) or 70 < bits <= 85
    for share in (-1, 0, 1):
        factors = [
            Fraction(h) + Fraction(t) + share * Fraction(e)
            for h, t, e in zip(heads[0].tolist(), tails[0].tolist(), errors[0].tolist(), strict=True)
        ]
        # the worst signs of the errors for each row
        exact = [
            2
            * sum(
                Fraction(x) * (f if share == 0 or x * share > 0 else 2 * Fraction(h) + 2 * Fraction(t) - f)
                for x, f, h, t in zip(line, factors, heads[0].tolist(), tails[0].tolist(), strict=True)
            )
            for line in A[settled].tolist()
        ]
        assert wrong(found.map(lambda array: array[settled]), exact, "float64") == 0


def test_against_arb() -> None:
    rng = np.random.default_rng(6)
    A, b = rng.standard_normal((300, 300)), rng.standard_normal(300)
    ctx.prec = 200
    product = arb_mat(A.tolist()) * arb_mat(b[:, None].tolist())
    found = exact_product(A, b, "float64")
    for row in range(300):
        exact = product[row, 0].mid().fmpq()
        value = Fraction(int(exact.p), int(exact.q))
        assert found.rounded[row] == round_fraction(value, "float64")
        left = value - Fraction(found.rounded[row]) - Fraction(found.residual[row])
        assert abs(left) <= Fraction(found.error[row])
