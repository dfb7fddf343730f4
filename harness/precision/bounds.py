"""Rounding error bounds of topk(W x) and its gradients, entry by entry: deterministic, and with a stated probability.

An inner product of m terms in arithmetic of unit roundoff u errs by at most gamma_m(u) sum |terms|, whatever the order
(Higham 2002, section 3.1). float16 and bfloat16 are accumulated in float32 and rounded once to their own format at
the end (mixed precision: storage and accumulation units apart). With rounding errors that are independent and of mean
zero, gamma~_m = exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 takes the place of gamma_m with a probability of at least
1 - 2 m exp(-lambda² (1 - u)² / 2) (Higham & Mary 2019, theorem 3.1).

All bounds are float64 and enlarged by more than their own evaluation can round off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.precision.solution import Solution, weight_gradients
from harness.precision.ulp import FORMATS, Format

LAMBDA = 5.0
"""Of the probabilistic bound: it fails for an inner product of m terms with probability under 7.5e-6 m."""

ENLARGED = 1 + 2.0**-40
"""More than the few operations that evaluate a bound round off; sums are enlarged by their own gamma besides."""

TF32 = Format(p=11, emin=-126, emax=127)
"""float32 with the significant bits of float16: what tensor cores read (NVIDIA A100 white paper, 2020)."""

REDUCED = {"autocast-bfloat16": FORMATS["bfloat16"], "autocast-float16": FORMATS["float16"], "tf32": TF32}
"""mode -> the format that it rounds the factors of products to; autocast rounds the results to it too."""


def reduced_format(dtype: str, mode: str) -> Format | None:
    """The format that a mode rounds the factors of products of this dtype to; None where it leaves them as they are.

    TF32 is for float32 alone; autocast casts every floating dtype but float64 (torch: ATen/autocast_mode.h).
    """
    cast = dtype == "float32" if mode == "tf32" else dtype != "float64"
    return REDUCED[mode] if mode in REDUCED and cast and REDUCED[mode] != FORMATS[dtype] else None


Growth = Callable[[np.ndarray, float], np.ndarray]
"""(numbers of terms, unit roundoff) -> factor of sum |terms|."""


@dataclass(frozen=True)
class Arithmetic:
    """What a product is computed in: results in `storage`, sums in `accumulation`, factors rounded to `factors`."""

    storage: Format
    accumulation: Format
    factors: Format | None = None

    @classmethod
    def of(cls, dtype: str, mode: str = "ieee") -> Arithmetic:
        """The arithmetic of torch's products: halves are accumulated in float32."""
        form, single = FORMATS[dtype], FORMATS["float32"]
        if (reduced := reduced_format(dtype, mode)) is not None:
            # Gradients are cast back to the dtype of the inputs: the coarser of both rounds last.
            return cls(single if mode == "tf32" else min(form, reduced, key=lambda each: each.p), single, reduced)
        return cls(form, form if form.p >= single.p else single)

    def accumulating_in_storage(self) -> Arithmetic:
        """The arithmetic of a sum that rounds to the storage format after each addition."""
        return replace(self, accumulation=self.storage)


def gamma(terms: np.ndarray, u: float) -> np.ndarray:
    """m u / (1 - m u), infinite where m u >= 1 (Higham 2002, lemma 3.1)."""
    with np.errstate(divide="ignore"):
        return np.where(terms * u < 1, terms * u / np.maximum(1 - terms * u, 0), np.inf)


def gamma_probable(terms: np.ndarray, u: float) -> np.ndarray:
    """exp(lambda sqrt(m) u + m u² / (1 - u)) - 1 with lambda = LAMBDA (Higham & Mary 2019)."""
    grown: np.ndarray = np.expm1(LAMBDA * np.sqrt(terms) * u + terms * u * u / (1 - u))
    return grown


def smallest(form: Format) -> float:
    """The smallest subnormal of a format."""
    return float(2.0 ** (form.emin - form.p + 1))


def sum_bound(
    count: int | np.ndarray, size: np.ndarray, result: np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma
) -> np.ndarray:
    """Bound of |computed - exact| of inner products.

    count: numbers of terms; size: sums of |terms|; result: what was computed, for its last rounding; all broadcast.
    Products and the result may underflow gradually, by half the smallest subnormal each.
    """
    terms = np.asarray(count, dtype=float)
    factor = growth(terms, arithmetic.accumulation.unit_roundoff)
    if arithmetic.factors:
        u = arithmetic.factors.unit_roundoff
        factor = factor + (2 * u + u * u) * (1 + factor)
    with np.errstate(invalid="ignore"):
        summed = np.where(size == 0, 0.0, factor * size)  # not NaN where the factor is infinite
    bound = _enlarged(summed, terms) + terms * smallest(arithmetic.factors or arithmetic.accumulation)
    if arithmetic.storage != arithmetic.accumulation:
        bound = bound + arithmetic.storage.unit_roundoff * np.abs(result) + smallest(arithmetic.storage)
    return _enlarged(bound, 0)


@dataclass(frozen=True)
class Sizes:
    """Sums of |terms|, shaped as `Solution`: y (rows, n) is |W||x|; values, dy (rows, k); dx (rows, d); dW (t, d)."""

    y: np.ndarray
    values: np.ndarray
    dy: np.ndarray
    dx: np.ndarray | None
    dW: np.ndarray | None


Bounds = Sizes
"""Bounds of |method - exact on the method's own selection|, in the same shapes; zero where nothing rounds."""


def cotangent(got: Solution, inputs: Mapping[str, np.ndarray], loss: str) -> np.ndarray:
    """g (rows, k), the gradient of the loss by the method's values; the doubling of `square` does not round."""
    return np.take_along_axis(inputs["weights"], got.indices, -1) if loss == "linear" else 2 * got.values


def sizes(got: Solution, inputs: Mapping[str, np.ndarray], loss: str) -> Sizes:
    """Of a method's solution, from the inputs (`weights`, and `y` or `x` and `W`) as the dtype holds them."""
    x, W = inputs.get("x"), inputs.get("W")
    with np.errstate(invalid="ignore", over="ignore"):
        dy = np.abs(cotangent(got, inputs, loss))
        if x is None or W is None:
            return Sizes(np.abs(got.y), np.abs(got.values), dy, None, None)
        y = np.abs(x) @ np.abs(W).T
        values = np.take_along_axis(y, got.indices, -1)
        dx, dW = _weight_sizes(got, dy, x, W)
        return Sizes(y, values, dy if loss == "linear" else 2 * values, dx, dW)


def bounds(
    got: Solution,
    size: Sizes,
    inputs: Mapping[str, np.ndarray],
    loss: str,
    arithmetic: Arithmetic,
    growth: Growth = gamma,
) -> Bounds:
    """The bounds of a method's solution.

    The exact gradient is that of the exact values, so an error of y goes on into dy = 2 v (`square`), and from there
    into dx and dW.
    """
    x, W = inputs.get("x"), inputs.get("W")
    with np.errstate(invalid="ignore", over="ignore"):
        if x is None or W is None:
            y = _recast(got.y, arithmetic)
        else:
            y = sum_bound(x.shape[-1], size.y, got.y, arithmetic, growth)
        values = np.take_along_axis(y, got.indices, -1)
        dy = _recast(cotangent(got, inputs, loss), arithmetic) + (0 if loss == "linear" else 2 * values)
        if x is None or W is None or size.dx is None or size.dW is None:
            return Bounds(y, values, dy, None, None)
        # what is carried into a sum with a term that is not finite is lost in it, but must not spoil the others
        carried_x, carried_W = _weight_sizes(got, dy, *(np.where(np.isfinite(each), each, 0.0) for each in (x, W)))
        k = got.indices.shape[-1]
        times = np.bincount(np.searchsorted(got.touched, got.indices).ravel(), minlength=got.touched.size)[:, None]
        dx = sum_bound(k, size.dx, size.dx if got.dx is None else got.dx, arithmetic, growth)
        dW = sum_bound(times, size.dW, size.dW if got.dW is None else got.dW, arithmetic, growth)
        return Bounds(y, values, dy, _enlarged(carried_x, k) + dx, _enlarged(carried_W, times) + dW)


def matrix_bound(
    got: Solution, bound: Bounds, dy: np.ndarray, result: np.ndarray, arithmetic: Arithmetic
) -> np.ndarray:
    """Of dS = dy yᵀ: (rows, k, n), or (rows, k) at the entries of S, as `result` is."""
    with np.errstate(invalid="ignore", over="ignore"):
        if result.ndim == 3:
            left, left_bound = np.abs(dy)[..., None], bound.dy[..., None]
            right, right_bound = np.abs(got.y)[:, None], bound.y[:, None]
        else:
            left, left_bound, right, right_bound = np.abs(dy), bound.dy, np.abs(got.values), bound.values
        carried = left_bound * (right + right_bound) + left * right_bound
        return _enlarged(carried, 1) + sum_bound(1, left * right, result, arithmetic)


def bound_is_trusted(inputs: Mapping[str, np.ndarray], dtype: str, mode: str) -> bool:
    """Whether the bound of y may certify: not in a mode that reduces precision, nor where bfloat16 kernels may flush.

    These treat subnormal factors and products as zero at some sizes and not at others; the bound knows only gradual
    underflow. Where y itself was drawn nothing is computed, and the bound, zero, is true.
    """
    x, W = inputs.get("x"), inputs.get("W")
    if x is None or W is None:
        return True
    if reduced_format(dtype, mode) is not None:
        return False
    least = [float(np.min(np.abs(each), where=each != 0, initial=np.inf)) for each in (x, W)]
    with np.errstate(over="ignore"):
        return dtype != "bfloat16" or min(*least, least[0] * least[1]) >= 2.0 ** FORMATS["bfloat16"].emin


def _recast(x: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """The bound of a copy of x: it rounds only where the mode reduces precision."""
    if arithmetic.factors is None:
        return np.zeros_like(x)
    return _enlarged(arithmetic.factors.unit_roundoff * np.abs(x) + smallest(arithmetic.factors), 0)


def _enlarged(bound: np.ndarray, count: int | np.ndarray) -> np.ndarray:
    """By more than a float64 sum of so many terms, and a few operations more, can have rounded off."""
    rounded_off = 2 * gamma(np.asarray(count, dtype=float) + 2, FORMATS["float64"].unit_roundoff)
    enlarged: np.ndarray = bound * (1 + rounded_off) * ENLARGED
    return enlarged


def _weight_sizes(got: Solution, dy: np.ndarray, x: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of |terms| of dx = dy W (rows, d) and dW = dyᵀ x (t, d)."""
    places = np.searchsorted(got.touched, got.indices)
    return weight_gradients(places, dy, np.abs(x), np.abs(W[got.touched]))
