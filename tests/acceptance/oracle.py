"""The oracle is right on dot products that are hard to round, and fast and small on a whole product."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flint import arb_mat, ctx

from harness.device.cpu import peak_bytes
from harness.exact.certified import Certified, Proof
from harness.exact.product import exact_product
from harness.exact.sums import exact_dot
from harness.exact.ulp import FORMATS
from tests.acceptance.line import Line
from tests.adversarial import GENERATORS, exact_dots, wrong

DOT_PRODUCTS = 10_000
LENGTHS = (2, 3, 8, 30)
SIZE = 4096
REPEATS = 5
ARB_BITS = 53


def measure() -> Iterator[Line]:
    """Wrong answers by dtype, then seconds, ratios to Arb and memory."""
    for dtype in FORMATS:
        yield Line(*wrong_answers(dtype), 0)
    rng = np.random.default_rng(0)
    W, x, g = rng.standard_normal((SIZE, SIZE)), rng.standard_normal(SIZE), rng.standard_normal(SIZE)

    def oracle() -> tuple[Certified, Certified]:
        return exact_product(W, x, "float64"), exact_product(W.T, g, "float64")

    yield Line("peak memory of exact y and dx in copies of W, itself among them", 1 + peak_bytes(oracle) / W.nbytes, 6)
    ours = best_of(REPEATS, oracle)
    yield Line(f"seconds for exact y and dx, W {SIZE} x {SIZE} float64", ours, 2)
    conversion, one, both = seconds_of_arb(W, x, g)
    y_alone = best_of(REPEATS, lambda: exact_product(W, x, "float64"))
    yield Line(f"exact y / Arb's W x alone, at {ARB_BITS} bits ({one:.2f} s)", y_alone / one, 1)
    yield Line(f"exact y and dx / Arb's two products alone ({both:.2f} s)", ours / both, 1)
    what = f"Arb's two products with its conversion of W ({conversion:.1f} s) / exact y and dx"
    yield Line(what, (conversion + both) / ours, 10, at_least=True)


def wrong_answers(dtype: str) -> tuple[str, int]:
    """DOT_PRODUCTS of all generators and lengths in equal parts: a text that says what proved them, and the count."""
    kinds = [(generator, length) for generator in GENERATORS.values() for length in LENGTHS]
    counts = np.diff(np.linspace(0, DOT_PRODUCTS, len(kinds) + 1).astype(int)).tolist()
    rng, failures, proof = np.random.default_rng(1), 0, Proof()
    for (generator, length), count in zip(kinds, counts, strict=True):
        a, b = generator(rng, dtype, (count, length))
        found = exact_dot(a, b, dtype)
        failures += wrong(found, exact_dots(a, b), dtype)
        proof += found.proof
    told = ", ".join(f"{number} {name}" for name, number in vars(proof).items() if number)
    return f"wrong of {sum(counts)} dot products, {dtype} ({told})", failures


def seconds_of_arb(W: np.ndarray, x: np.ndarray, g: np.ndarray) -> tuple[float, float, float]:
    """Seconds to convert W, x and g to Arb's matrices, W x alone, and both products; so few bits prove no rounding."""
    before, ctx.prec = ctx.prec, ARB_BITS
    try:
        start = time.perf_counter()
        matrix, right, left = arb_mat(W.tolist()), arb_mat(x[:, None].tolist()), arb_mat(g[None].tolist())
        conversion = time.perf_counter() - start
        one = best_of(REPEATS, lambda: matrix * right)
        return conversion, one, one + best_of(REPEATS, lambda: left * matrix)
    finally:
        ctx.prec = before


def best_of(repeats: int, call: Callable[[], Any]) -> float:
    """Least seconds of a call."""

    def seconds() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return min(seconds() for _ in range(repeats))
