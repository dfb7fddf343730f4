"""The exact oracle at size: y and dx of a square W, and one long dot product."""

from __future__ import annotations

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from harness.exact.product import exact_product
from harness.exact.sums import exact_dot


def test_products_of_a_square_matrix(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    W, x, g = rng.standard_normal((4096, 4096)), rng.standard_normal(4096), rng.standard_normal(4096)
    y, dx = benchmark(lambda: (exact_product(W, x, "float64"), exact_product(W.T, g, "float64")))
    assert (y.proof + dx.proof).sliced > 8000


def test_long_dot_product(benchmark: BenchmarkFixture) -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 10**5))
    found = benchmark(exact_dot, a, b, "float64")
    assert abs(found.rounded - a @ b) < 1e-9
