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
from functools import cached_property

import numpy as np

from harness.exact.ulp import FORMATS, Format
from harness.precision.solution import (
    Factors,
    Solution,
    inner_products,
    input_gradient,
    input_gradient_at,
    weight_gradient,
    weight_gradient_at,
)

LAMBDA = 5.0
"""Of the probabilistic bound: it fails for an inner product of m terms with probability under 7.5e-6 m."""

ENLARGED = 1 + 2.0**-40
"""More than the few operations that evaluate a bound round off; sums are enlarged by their own gamma besides."""

TF32 = Format(p=11, emin=-126, emax=127)
"""float32 with the significant bits of float16: what tensor cores read (NVIDIA A100 white paper, 2020)."""

SUMMED_IN_STORAGE = ("torch-default", "reduced-reductions")
"""Modes in which cuBLAS may add the parts of a sum of halves in halves (PyTorch, numerical accuracy: reduced precision
reduction): after how many terms is not said, so that the bound is of a sum that rounds after each."""

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
        """The arithmetic of torch's products: halves are accumulated in float32, but in modes SUMMED_IN_STORAGE."""
        form, single = FORMATS[dtype], FORMATS["float32"]
        if (reduced := reduced_format(dtype, mode)) is not None:
            # Gradients are cast back to the dtype of the inputs: the coarser of both rounds last.
            return cls(single if mode == "tf32" else min(form, reduced, key=lambda each: each.p), single, reduced)
        in_storage = form.p >= single.p or mode in SUMMED_IN_STORAGE
        return cls(form, form if in_storage else single)

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


@dataclass(frozen=True)
class SumBound:
    """The bound of |computed - exact| of an inner product: of_size times its sum of |terms| (0 where that is 0), plus
    of_result times |what was computed|, plus least. of_size, least: float64, shaped as the numbers of terms."""

    of_size: np.ndarray
    of_result: float
    least: np.ndarray

    @classmethod
    def of(cls, count: int | np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma) -> SumBound:
        """For so many terms. Products and the result may underflow gradually, by half the smallest subnormal each."""
        terms = np.asarray(count, dtype=float)
        factor = growth(terms, arithmetic.accumulation.unit_roundoff)
        if arithmetic.factors:
            u = arithmetic.factors.unit_roundoff
            factor = factor + (2 * u + u * u) * (1 + factor)
        least, last = terms * smallest(arithmetic.factors or arithmetic.accumulation), 0.0
        if arithmetic.storage != arithmetic.accumulation:
            least, last = least + smallest(arithmetic.storage), arithmetic.storage.unit_roundoff
        enlarged = float(_enlarged(np.array(1.0), 1))  # the three parts are added too
        return cls(_enlarged(factor, terms) * enlarged, last * enlarged, least * enlarged)


def sum_bound(
    count: int | np.ndarray, size: np.ndarray, result: np.ndarray, arithmetic: Arithmetic, growth: Growth = gamma
) -> np.ndarray:
    """Bound of |computed - exact| of inner products.

    count: numbers of terms; size: sums of |terms|; result: what was computed, for its last rounding; all broadcast.
    """
    found = SumBound.of(count, arithmetic, growth)
    with np.errstate(invalid="ignore"):
        bound: np.ndarray = found.of_size * size
        if np.isinf(found.of_size).any():
            bound = np.where(size == 0, 0.0, bound)  # and not NaN
        bound = bound + found.least
        return bound + found.of_result * np.abs(result) if found.of_result else bound


class Sizes:
    """Sums of |terms| of a method's solution, each made when it is asked for, shaped as in `Solution`.

    y (rows, n) is |W||x|; values, dy (rows, k); dx (rows, d); dW (t, d). dx and dW are None without weights.
    """

    def __init__(self, got: Solution, factors: Factors, loss: str) -> None:
        self.got, self.factors, self.loss = got, factors, loss

    @cached_property
    def cotangent(self) -> np.ndarray:
        """g (rows, k), the gradient of the loss by the method's values; the doubling of `square` does not round."""
        return self.factors.weights if self.loss == "linear" else 2 * self.got.values

    @cached_property
    def y(self) -> np.ndarray:
        x = self.factors.x
        return np.abs(self.got.y) if x is None else np.abs(x) @ np.abs(self.factors.all_W()).T

    @cached_property
    def values(self) -> np.ndarray:
        x, W = self.factors.x, self.factors.W
        if x is None or W is None:
            return np.abs(self.got.values)
        return inner_products(self.got.places, np.abs(x), np.abs(W))

    @cached_property
    def dy(self) -> np.ndarray:
        linear = self.loss == "linear" or self.factors.x is None
        return np.abs(self.cotangent) if linear else 2 * self.values

    @cached_property
    def dx(self) -> np.ndarray | None:
        W = self.factors.W
        return None if W is None else input_gradient(self.got.places, np.abs(self.cotangent), np.abs(W))

    @cached_property
    def dW(self) -> np.ndarray | None:  # noqa: N802  (the name of the tensor)
        x = self.factors.x
        return None if x is None else weight_gradient(self.got.places, np.abs(self.cotangent), np.abs(x))

    def at(self, tensor: str, at: np.ndarray) -> np.ndarray:
        """dx or dW at ascending flat places (m,) of it, where there are weights."""
        x, W = self.factors.x, self.factors.W
        assert x is not None
        assert W is not None
        cotangent = np.abs(self.cotangent)
        if tensor == "dx":
            return input_gradient_at(at, self.got.places, cotangent, np.abs(W))
        return weight_gradient_at(at, self.got.places, cotangent, np.abs(x))


class Bounds:
    """Bounds of |method - exact on the method's own selection|, as `Sizes`; zero where nothing rounds.

    The exact gradient is that of the exact values, so an error of y goes on into dy = 2 v (`square`), and from there
    into dx and dW.
    """

    def __init__(self, size: Sizes, arithmetic: Arithmetic, growth: Growth = gamma) -> None:
        self.size, self.arithmetic, self.growth = size, arithmetic, growth
        self.got, self.factors = size.got, size.factors

    @cached_property
    def y(self) -> np.ndarray:
        return self._of_y(self.got.y, lambda: self.size.y)

    @cached_property
    def values(self) -> np.ndarray:
        return self._of_y(np.take_along_axis(self.got.y, self.got.indices, -1), lambda: self.size.values)

    def _of_y(self, y: np.ndarray, size: Callable[[], np.ndarray]) -> np.ndarray:
        x = self.factors.x
        with np.errstate(invalid="ignore", over="ignore"):
            if x is None:
                return _recast(y, self.arithmetic)
            return sum_bound(x.shape[-1], size(), y, self.arithmetic, self.growth)

    @cached_property
    def dy(self) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            carried = 0.0 if self.size.loss == "linear" else 2 * self.values
            dy: np.ndarray = _recast(self.size.cotangent, self.arithmetic) + carried
            return dy

    @cached_property
    def dx(self) -> np.ndarray | None:
        return self._whole("dx", self.size.dx)

    @cached_property
    def dW(self) -> np.ndarray | None:  # noqa: N802  (the name of the tensor)
        return self._whole("dW", self.size.dW)

    def _whole(self, tensor: str, size: np.ndarray | None) -> np.ndarray | None:
        return None if size is None else self.at(tensor, np.arange(size.size), size.ravel()).reshape(size.shape)

    def at(self, tensor: str, at: np.ndarray, size: np.ndarray) -> np.ndarray:
        """dx or dW at ascending flat places (m,) of it, where there are weights; size: what `Sizes.at` gives there."""
        got, x, W = self.got, self.factors.x, self.factors.W
        assert x is not None
        assert W is not None
        whole = getattr(got, tensor)
        result = size if whole is None else whole.ravel()[at]
        with np.errstate(invalid="ignore", over="ignore"):
            if tensor == "dx":
                terms = np.full(1, got.indices.shape[-1])
                carried = input_gradient_at(at, got.places, self.dy, _finite(W))
            else:
                terms = np.bincount(got.places.ravel(), minlength=got.touched.size)[at // x.shape[-1]]
                carried = weight_gradient_at(at, got.places, self.dy, _finite(x))
            return _enlarged(carried, terms) + sum_bound(terms, size, result, self.arithmetic, self.growth)


def _finite(factors: np.ndarray) -> np.ndarray:
    """|factors|, 0 where one is not finite: what is carried into a sum with such a term is lost in it, but must not
    spoil the others."""
    return np.abs(np.where(np.isfinite(factors), factors, 0.0))


def matrix_bound(bound: Bounds, result: np.ndarray) -> np.ndarray:
    """Of dS = dy yᵀ: (rows, k, n), or (rows, k) at the entries of S, as `result` is."""
    got, dy = bound.got, bound.size.cotangent
    with np.errstate(invalid="ignore", over="ignore"):
        if result.ndim == 3:
            left, left_bound = np.abs(dy)[..., None], bound.dy[..., None]
            right, right_bound = np.abs(got.y)[:, None], bound.y[:, None]
        else:
            left, left_bound, right, right_bound = np.abs(dy), bound.dy, np.abs(got.values), bound.values
        carried = left_bound * (right + right_bound) + left * right_bound
        return _enlarged(carried, 1) + sum_bound(1, left * right, result, bound.arithmetic)


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
