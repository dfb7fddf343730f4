"""Whole solutions against fractions: selection, values and every gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.exact.answers import ExactSolution, solve_exactly
from harness.exact.certified import Proof, Rung
from harness.exact.ulp import FORMATS
from tests.adversarial import from_bits, round_fraction, uniform_bits, wrong

DTYPES = tuple(FORMATS)
LOSSES = ("linear", "square")
Inputs = Mapping[str, np.ndarray]
Extended = Fraction | float
"""A real number, or an infinity or NaN as a float."""


def exact(array: np.ndarray) -> list[list[Extended]]:
    """Rows of fractions, and of floats where they are not finite."""
    return [[Fraction(x) if np.isfinite(x) else x for x in row] for row in array.tolist()]


def times(a: Extended, b: Extended) -> Extended:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    signs = [float((x > 0) - (x < 0)) if isinstance(x, Fraction) else x for x in (a, b)]
    return signs[0] * signs[1]


def dot(a: Iterable[Extended], b: Iterable[Extended]) -> Extended:
    products = [times(x, y) for x, y in zip(a, b, strict=True)]
    special = [x for x in products if isinstance(x, float)]
    return sum(special) if special else sum((x for x in products if isinstance(x, Fraction)), Fraction())


def exact_scores(inputs: Inputs) -> list[list[Extended]]:
    if "y" in inputs:
        return exact(inputs["y"])
    W = exact(inputs["W"])
    return [[dot(x, w) for w in W] for x in exact(inputs["x"])]


def count_wrong(solution: ExactSolution, inputs: Inputs, loss: str, dtype: str) -> dict[str, int]:
    """Wrong entries of each tensor, given the selection."""
    y, rows = exact_scores(inputs), [row.tolist() for row in solution.indices]
    v = [[y[r][i] for i in chosen] for r, chosen in enumerate(rows)]
    weights = exact(inputs["weights"])
    double = [[times(Fraction(2), x) for x in row] for row in v]
    g = double if loss == "square" else [[weights[r][i] for i in chosen] for r, chosen in enumerate(rows)]
    want = {"y": y, "values": v, "dy": g}
    if solution.dS is not None:
        full = solution.dS.rounded.ndim == 3
        others = [[y[r]] * len(v[r]) if full else [[x] for x in v[r]] for r in range(len(y))]
        want["dS"] = [
            [times(a, b) for b in other] for r in range(len(y)) for a, other in zip(g[r], others[r], strict=True)
        ]
    if "x" in inputs:
        x, W = exact(inputs["x"]), exact(inputs["W"])
        want["dx"] = [[dot(g[r], (W[i][j] for i in rows[r])) for j in range(len(x[0]))] for r in range(len(x))]
        owners = [[r for r in range(len(x)) if i in rows[r]] for i in solution.touched.tolist()]
        parts = [
            [g[r][rows[r].index(i)] for r in own] for i, own in zip(solution.touched.tolist(), owners, strict=True)
        ]
        want["dW"] = [
            [dot(part, (x[r][j] for r in own)) for j in range(len(x[0]))]
            for part, own in zip(parts, owners, strict=True)
        ]
    return {
        name: wrong(getattr(solution, name), (x for row in rows_of for x in row), dtype)
        for name, rows_of in want.items()
    }


def assert_right(solution: ExactSolution, inputs: Inputs, loss: str, dtype: str) -> None:
    counts = count_wrong(solution, inputs, loss, dtype)
    assert not any(counts.values()), counts


def assert_largest(solution: ExactSolution, inputs: Inputs, preferred: np.ndarray) -> None:
    """No unselected score is larger; of those equal to the smallest, the preferred are selected first."""
    for row, chosen, favoured in zip(exact_scores(inputs), solution.indices, preferred, strict=True):
        y = np.array([(1, 0) if isinstance(x, float) and np.isnan(x) else (0, x) for x in row] + [0], dtype=object)[:-1]
        assert (np.diff(chosen) > 0).all()
        threshold = min(y[chosen].tolist())
        others = np.setdiff1d(np.arange(y.size), chosen)
        assert all(y[other] <= threshold for other in others)
        tied = {index for index in range(y.size) if y[index] == threshold}
        assert not (tied & set(others) & set(favoured)) or tied & set(chosen) <= set(favoured)


def projected(rng: np.random.Generator, dtype: str, rows: int, n: int, d: int) -> dict[str, np.ndarray]:
    """Normal x, W and weights, held by the format."""

    def hold(*shape: int) -> np.ndarray:
        if dtype == "bfloat16":
            return from_bits(rng.standard_normal(shape).astype(np.float32).view(np.uint32) >> 16, dtype)
        return rng.standard_normal(shape).astype(dtype).astype(np.float64)

    return {"weights": hold(rows, n), "x": hold(rows, d), "W": hold(n, d)}


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_inputs(dtype: str, loss: str, rows: int) -> None:
    inputs = projected(np.random.default_rng(rows), dtype, rows, n=30, d=12)
    preferred = np.tile(np.arange(5), (rows, 1))
    solution = solve_exactly(inputs, preferred, loss, dtype, matrix="full")
    assert_largest(solution, inputs, preferred)
    assert_right(solution, inputs, loss, dtype)
    np.testing.assert_array_equal(solution.touched, np.unique(solution.indices))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@given(st.data())
def test_all_bit_patterns(dtype: str, loss: str, data: st.DataObject) -> None:
    rows, n, d = (data.draw(st.integers(1, most)) for most in (3, 4, 3))
    k = data.draw(st.integers(1, n))
    sizes = {"weights": (rows, n), "x": (rows, d), "W": (n, d), "y": (rows, n)}
    names = data.draw(st.sampled_from([("weights", "x", "W"), ("weights", "y")]))
    number = st.integers(0, 2**64 - 1)
    inputs = {}
    for name in names:
        count = sizes[name][0] * sizes[name][1]
        drawn = from_bits(np.array(data.draw(st.lists(number, min_size=count, max_size=count)), dtype=np.uint64), dtype)
        keep = np.isfinite(drawn) | data.draw(st.booleans())
        inputs[name] = np.where(keep, drawn, 1.0).reshape(sizes[name])
    preferred = np.tile(np.arange(n - k, n), (rows, 1))
    solution = solve_exactly(inputs, preferred, loss, dtype, matrix="full" if data.draw(st.booleans()) else "selected")
    assert_largest(solution, inputs, preferred)
    assert_right(solution, inputs, loss, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_uniform_bit_patterns(dtype: str, loss: str) -> None:
    """Hypothesis prefers small integers, which are subnormal numbers; here overflow is as likely."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = {}
        for name, shape in (("weights", (2, 5)), ("x", (2, 3)), ("W", (5, 3))):
            numbers = uniform_bits(rng, dtype, shape)[0]
            drawn[name] = np.where(np.isfinite(numbers) | (seed % 4 == 0), numbers, 1.0)
        preferred = np.tile(np.arange(3), (2, 1))
        solution = solve_exactly(drawn, preferred, loss, dtype, matrix="full" if seed % 2 else "selected")
        assert_largest(solution, drawn, preferred)
        assert_right(solution, drawn, loss, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_selection_among_residuals_that_err(dtype: str) -> None:
    """The same terms in another order: float64 sums differ by more than the exact ones, which a hair tells apart."""
    rng = np.random.default_rng(0)
    terms = np.tile(rng.standard_normal(20), (60, 1))
    hairs = rng.permutation(60)[:, None] * 2.0**-60
    W = np.concatenate([rng.permuted(terms, axis=-1), hairs], axis=-1)
    inputs = {"weights": np.ones((1, 60)), "x": np.ones((1, 21)), "W": W}
    for k in (1, 7, 30):
        preferred = np.arange(k)[None]
        solution = solve_exactly(inputs, preferred, "linear", dtype)
        assert_largest(solution, inputs, preferred)


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.data())
def test_small_integers_tie_exactly(dtype: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    inputs = {
        name: rng.integers(-3, 4, shape).astype(float)
        for name, shape in (("weights", (2, 12)), ("x", (2, 3)), ("W", (12, 3)))
    }
    preferred = np.stack([rng.permutation(12)[:4] for _ in range(2)])
    solution = solve_exactly(inputs, preferred, "square", dtype, matrix="selected")
    assert_largest(solution, inputs, preferred)
    assert_right(solution, inputs, "square", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_original_of_another_format(dtype: str) -> None:
    inputs = projected(np.random.default_rng(7), "float64", 2, 20, 6)
    inputs["x"] = inputs["x"] * 2.0**40  # beyond the range of float16
    preferred = np.tile(np.arange(4), (2, 1))
    for loss in LOSSES:
        solution = solve_exactly(inputs, preferred, loss, dtype, matrix="full")
        assert_largest(solution, inputs, preferred)
        assert_right(solution, inputs, loss, dtype)
    given_scores = {"weights": inputs["weights"], "y": 2.0**16 * inputs["weights"]}
    solution = solve_exactly(given_scores, preferred, "square", dtype, matrix="full")
    assert_largest(solution, given_scores, preferred)
    assert_right(solution, given_scores, "square", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hair", [2.0**-20, 2.0**-60, 2.0**-110])
def test_selection_where_rounded_scores_tie(dtype: str, hair: float) -> None:
    """y is 1 in every format but for a hair, which alone orders it; beyond 2^-100 only the integers see it."""
    hairs = np.array([0.0, 3.0, -1.0, 2.0, 1.0, 2.0])
    W = np.stack([np.ones(6), hairs], axis=1)
    step = hair if dtype == "float64" else hair**0.5
    inputs = {"weights": np.ones((1, 6)), "x": np.array([[1.0, step * 2.0**-20]]), "W": W * [1.0, step]}
    solution = solve_exactly(inputs, np.array([[5, 0]]), "linear", dtype)
    assert solution.indices.tolist() == [[1, 5]]
    assert solve_exactly(inputs, np.array([[0, 2]]), "linear", dtype).indices.tolist() == [[1, 3]]


def test_selection_among_numbers_beyond_the_range() -> None:
    W = np.array([[1e300, 0], [3e300, 0], [2e300, 0], [-1.0, 0], [0, np.inf]])
    inputs = {"weights": np.ones((1, 5)), "x": np.array([[1e10, 0.0]]), "W": W}
    chosen = [solve_exactly(inputs, np.arange(k)[None], "square", "float64").indices.tolist() for k in (1, 2, 3)]
    assert chosen == [[[4]], [[1, 4]], [[1, 2, 4]]]  # 0 inf is NaN, which ranks greatest
    inputs["x"] = np.array([[1e10, 1.0]])
    chosen = [solve_exactly(inputs, np.arange(k)[None], "square", "float64").indices.tolist() for k in (1, 2, 3)]
    assert chosen == [[[4]], [[1, 4]], [[1, 2, 4]]]


def test_zero_times_infinity_is_nan() -> None:
    inputs = {"weights": np.ones((1, 2)), "x": np.array([[1.0, 1.0]]), "W": np.array([[1.0, -1.0], [np.inf, 0.0]])}
    solution = solve_exactly(inputs, np.array([[0]]), "square", "float64", indices=np.array([[0]]), matrix="full")
    assert_right(solution, inputs, "square", "float64")
    assert solution.dS is not None
    np.testing.assert_array_equal(solution.dS.rounded, [[[0, np.nan]]])


def test_a_fixed_selection_is_taken_as_it_is() -> None:
    inputs = projected(np.random.default_rng(8), "float32", 2, 20, 6)
    indices = np.array([[0, 5, 7], [1, 5, 9]])
    free = solve_exactly(inputs, indices, "square", "float32")
    fixed = solve_exactly(inputs, indices, "square", "float32", indices=indices, y=free.y, matrix="selected")
    assert fixed.y is free.y
    np.testing.assert_array_equal(fixed.indices, indices)
    assert_right(fixed, inputs, "square", "float32")


def test_infinities_and_nan_stay_where_ieee_puts_them() -> None:
    y = np.array([[np.nan, np.inf, 3.0, -np.inf, 2.0]])
    solution = solve_exactly(
        {"weights": np.ones((1, 5)), "y": y}, np.array([[0, 1, 2]]), "square", "float32", matrix="full"
    )
    np.testing.assert_array_equal(solution.indices, [[0, 1, 2]])
    np.testing.assert_array_equal(solution.dy.rounded, [[np.nan, np.inf, 6]])
    assert solution.dS is not None
    np.testing.assert_array_equal(
        solution.dS.rounded[0, 1:], [[np.nan, np.inf, np.inf, -np.inf, np.inf], [np.nan, np.inf, 18, -np.inf, 12]]
    )
    W = np.array([[1.0, 2.0], [np.inf, 1.0], [-5.0, np.inf]])
    inputs = {"weights": np.ones((1, 3)), "x": np.array([[1.0, -1.0]]), "W": W}
    solution = solve_exactly(inputs, np.array([[0, 1]]), "square", "float32")  # y = -1, inf, -inf
    assert solution.dx is not None
    assert solution.dW is not None
    np.testing.assert_array_equal(solution.indices, [[0, 1]])
    np.testing.assert_array_equal(solution.dx.rounded, [[np.inf, np.inf]])
    np.testing.assert_array_equal(solution.dW.rounded, [[-2, 2], [np.inf, -np.inf]])
    assert solve_exactly(inputs, np.array([[0]]), "linear", "float32", indices=np.array([[0]])).dx is not None


def test_finite_scores_meet_an_infinite_entry_of_the_weights() -> None:
    """A tail of 0 must not make 0 inf of it."""
    inputs = {"weights": np.ones((1, 2)), "x": np.array([[0.0, 1.0]]), "W": np.array([[3.0, 1.0], [0.5, 2.0]])}
    clean = solve_exactly(inputs, np.array([[1]]), "square", "float64")
    inputs["W"] = np.array([[np.inf, 1.0], [0.5, 2.0]])
    spoiled = solve_exactly(inputs, np.array([[0]]), "square", "float64", indices=np.array([[1]]))
    assert clean.dx is not None
    assert spoiled.dx is not None
    np.testing.assert_array_equal(clean.dx.rounded, spoiled.dx.rounded)
    assert clean.dx.rounded.tolist() == [[2.0, 8.0]]


def test_linear_dx_is_sliced_and_square_dx_too() -> None:
    inputs = projected(np.random.default_rng(9), "float64", 1, 200, 100)
    preferred = np.arange(50)[None]
    for loss in LOSSES:
        solution = solve_exactly(inputs, preferred, loss, "float64")
        assert solution.dx is not None
        assert solution.dx.proof.sliced == 100
        assert solution.proof == solution.y.proof + solution.dy.proof + solution.dx.proof + Proof(double=50 * 100)


def test_of_cancelling_scores_the_gradients_come_from_integers() -> None:
    W = np.array([[1.0, 1.0, 2.0**-200], [3.0, 1.0, 0.0]])
    inputs = {"weights": np.ones((1, 2)), "x": np.array([[1.0, -1.0, 1.0]]), "W": W}
    solution = solve_exactly(inputs, np.array([[0]]), "square", "float64", indices=np.array([[0]]), matrix="full")
    assert_right(solution, inputs, "square", "float64")
    assert solution.values.rounded.tolist() == [[2.0**-200]]
    assert solution.y.rung.tolist() == [[Rung.integer, Rung.sliced]]


def test_an_unknown_loss_is_refused() -> None:
    inputs = projected(np.random.default_rng(9), "float64", 1, 2, 2)
    with pytest.raises(ValueError, match="'cubic' is not one of"):
        solve_exactly(inputs, np.array([[0]]), "cubic", "float64")


def test_round_fraction_of_the_tests_is_round_half_even() -> None:
    assert [round_fraction(Fraction(2048 + odd), "float16") for odd in (1, 3)] == [2048, 2052]
    assert round_fraction(Fraction(65520), "float16") == np.inf
    assert round_fraction(Fraction(65520) - Fraction(1, 10**9), "float16") == 65504
    assert round_fraction(Fraction(1, 2**25), "float16") == 0
    assert round_fraction(Fraction(3, 2**25), "float16") == 2.0**-23
