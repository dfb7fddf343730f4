"""Error bounds by hand, and no error of torch beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.accuracy.assessment import Assessment
from harness.accuracy.references import References
from harness.exact.ulp import FORMATS
from harness.methods import method
from harness.precision.arithmetic import LAMBDA, Arithmetic, gamma, gamma_probable, smallest, sum_bound
from harness.precision.bounds import bound_is_trusted
from harness.precision.metrics import METRICS
from harness.study.cells import Case
from harness.topk.outcome import run_once, selected_of
from harness.topk.problems import draw
from harness.vocabulary import DTYPES

F16, BF16, F32, F64 = (FORMATS[name] for name in ("float16", "bfloat16", "float32", "float64"))


def test_gamma_by_hand() -> None:
    assert gamma(np.array([1.0, 2.0, 3.0, 4.0]), 0.25).tolist() == pytest.approx([1 / 3, 1.0, 1.5, 2.0])
    assert gamma(np.array(0.0), 0.25) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_gamma_bounds_a_sum_that_no_longer_grows_and_one_that_grows_too_fast(dtype: str, start: float) -> None:
    """Additions in halves: of ones, and of a little more than half an ulp, each of which is rounded up to an ulp."""
    form, u = getattr(torch, dtype), FORMATS[dtype].unit_roundoff
    term = float(torch.tensor(start * u * 1.01, dtype=form)) or 1.0
    total = torch.tensor(start, dtype=form)
    count = 2 ** (FORMATS[dtype].p + 1) if start == 0 else 2 ** (FORMATS[dtype].p - 1) - 1
    for _ in range(count):
        total = (total.double() + term).to(form)
    size = start + count * term
    error = abs(float(total) - size)
    assert 0.3 * size < error <= float(gamma(np.array(count + 1.0), u)) * size < np.inf


def test_the_probabilistic_gamma_grows_with_the_root() -> None:
    u = 2.0**-24
    terms = np.array([1.0, 4.0, 100.0])
    assert gamma_probable(terms, u) == pytest.approx(LAMBDA * np.sqrt(terms) * u, rel=1e-5)
    assert gamma_probable(np.array(1e4), u) < gamma(np.array(1e4), u)


@pytest.mark.parametrize(
    ("dtype", "mode", "expected"),
    [
        ("float16", "ieee", Arithmetic(F16, F32)),
        ("bfloat16", "ieee", Arithmetic(BF16, F32)),
        ("float32", "ieee", Arithmetic(F32, F32)),
        ("float64", "ieee", Arithmetic(F64, F64)),
        ("float32", "autocast-bfloat16", Arithmetic(BF16, F32, BF16)),
        ("float32", "autocast-float16", Arithmetic(F16, F32, F16)),
        ("bfloat16", "autocast-float16", Arithmetic(BF16, F32, F16)),  # gradients are cast back to bfloat16
        ("float16", "autocast-bfloat16", Arithmetic(BF16, F32, BF16)),
        ("float64", "autocast-bfloat16", Arithmetic(F64, F64)),
    ],
)
def test_arithmetic_of_a_dtype_and_mode(dtype: str, mode: str, expected: Arithmetic) -> None:
    assert Arithmetic.of(dtype, mode) == expected


def test_a_sum_in_mixed_precision_by_hand() -> None:
    """Three terms, of which |terms| sum to 2, accumulated in float32 and stored as 1.5 in bfloat16."""
    found = sum_bound(3, np.array(2.0), np.array(1.5), Arithmetic.of("bfloat16"))
    by_hand = 3 * 2.0**-24 / (1 - 3 * 2.0**-24) * 2 + 2.0**-8 * 1.5 + 3 * smallest(F32) + smallest(BF16)
    assert by_hand < found < by_hand * (1 + 2.0**-38)


def test_an_infinite_factor_bounds_a_sum_of_zeros_by_underflow_alone() -> None:
    in_halves = Arithmetic.of("bfloat16").accumulating_in_storage()
    count = 10**8
    assert np.isinf(sum_bound(count, np.array(1.0), np.array(0.0), in_halves, gamma_probable))
    assert sum_bound(count, np.array(0.0), np.array(0.0), in_halves, gamma_probable) < 1e-32


DISTRIBUTIONS = ("normal", "uniform", "heavy_tailed", "ties")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_error_is_beyond_its_bound(dtype: str, distribution: str) -> None:
    """Each dtype of each distribution meets both losses."""
    parity = DTYPES.index(dtype) + DISTRIBUTIONS.index(distribution)
    largest = {"bound_ratio_max": 0.0, "probable_ratio_max": 0.0}
    for rows, d, k, seed in ((1, 7, 3, 0), (1, 300, 40, 1), (5, 64, 16, 2), (64, 16, 8, 3)):
        loss = ("linear", "square")[(parity + seed) % 2]
        problem = draw(Case(n=97, k=k, rows=rows, d=d, dtype=dtype, distribution=distribution, seed=seed))
        native = run_once(method("native"), problem, loss, with_dS=False)
        mine = Assessment(native, References(problem, selected_of(native), loss), summed_again=False)
        for tensor in ("values", "dy", "dx", "dW"):
            compared = mine.comparison(tensor, "conditional", largest)
            assert compared is not None
            largest = {name: max(value, METRICS[name](compared)) for name, value in largest.items()}
    assert 0.01 < largest["bound_ratio_max"] <= 1
    assert 0.01 < largest["probable_ratio_max"] <= 1


@pytest.mark.parametrize(
    ("dtype", "mode", "scale", "trusted"),
    [
        ("bfloat16", "ieee", 1.0, True),
        ("bfloat16", "ieee", 2.0**-127, False),
        ("bfloat16", "ieee", 2.0**-70, False),  # the products are subnormal, the factors are not
        ("float16", "ieee", 2.0**-20, True),
        ("float32", "autocast-bfloat16", 1.0, False),
    ],
)
def test_where_the_bound_of_y_may_certify(dtype: str, mode: str, scale: float, trusted: bool) -> None:
    inputs = {"x": np.array([[scale, 0.0]]), "W": np.array([[scale, 1.0], [0.0, 1.0]])}
    assert bound_is_trusted(inputs, dtype, mode) is trusted
    assert bound_is_trusted({"y": np.array([[scale]])}, dtype, mode)
