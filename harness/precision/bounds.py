"""Rounding error bounds of topk(W x) and its gradients, entry by entry, deterministic or probabilistic.

arithmetic.py has the bound of one inner product and its sources; here it is applied to y, values, dy, dx, dW and dS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from harness.exact.ulp import FORMATS
from harness.precision.arithmetic import Arithmetic, Growth, enlarged, gamma, reduced_format, smallest, sum_bound
from harness.precision.solution import (
    Factors,
    Solution,
    inner_products,
    input_gradient,
    input_gradient_at,
    weight_gradient,
    weight_gradient_at,
)


class Sizes:
    """Sums of |terms| of a method's tensors, float64, each computed when it is first asked for.

    y (rows, n) is |x| |W|ᵀ; values, dy (rows, k); dx (rows, d); dW (t, d), at the touched rows. dx and dW are None
    without weights.
    """

    def __init__(self, got: Solution, factors: Factors, loss: str) -> None:
        self.got, self.factors, self.loss = got, factors, loss

    @cached_property
    def cotangent(self) -> np.ndarray:
        """g (rows, k), the gradient of the loss with respect to the method's values; doubling (`square`) is exact."""
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
        """The sizes of dx or dW at ascending flat places (m,) alone; only where there are weights."""
        x, W = self.factors.x, self.factors.W
        assert x is not None
        assert W is not None
        cotangent = np.abs(self.cotangent)
        if tensor == "dx":
            return input_gradient_at(at, self.got.places, cotangent, np.abs(W))
        return weight_gradient_at(at, self.got.places, cotangent, np.abs(x))


class Bounds:
    """Bounds of |method - exact answer on the method's own selection|, shaped as `Sizes`; zero where nothing rounds.

    The exact gradient is the gradient at the exact values. So an error of y carries over into dy = 2 v (`square`), and
    from there into dx and dW.
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
        """The bounds of dx or dW at ascending flat places (m,) alone; size: what `Sizes.at` gives there.

        dx sums k terms and an entry of dW one term for each row that selected it: neither bound grows with n.
        """
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
            return enlarged(carried, terms) + sum_bound(terms, size, result, self.arithmetic, self.growth)


def _finite(factors: np.ndarray) -> np.ndarray:
    """|factors|, with 0 for those that are not finite: a sum with such a term has no bound anyway, and the carried
    error of the other sums must stay finite."""
    return np.abs(np.where(np.isfinite(factors), factors, 0.0))


def matrix_bound(bound: Bounds, result: np.ndarray) -> np.ndarray:
    """The bound of dS = g yᵀ in the shape of `result`: (rows, k, n), or (rows, k) at the entries of S.

    A product of two inexact factors: |(a + da)(b + db) - a b| <= da (b + db) + a db, and one rounding.
    """
    got, dy = bound.got, bound.size.cotangent
    with np.errstate(invalid="ignore", over="ignore"):
        if result.ndim == 3:
            left, left_bound = np.abs(dy)[..., None], bound.dy[..., None]
            right, right_bound = np.abs(got.y)[:, None], bound.y[:, None]
        else:
            left, left_bound, right, right_bound = np.abs(dy), bound.dy, np.abs(got.values), bound.values
        carried = left_bound * (right + right_bound) + left * right_bound
        return enlarged(carried, 1) + sum_bound(1, left * right, result, bound.arithmetic)


def bound_is_trusted(inputs: Mapping[str, np.ndarray], dtype: str, mode: str) -> bool:
    """Whether the bound of y may certify a selection.

    It may not in a mode that reduces precision, nor where bfloat16 factors or products can be subnormal: the kernels
    flush these to zero at some sizes and not at others, while the bound assumes gradual underflow. Where y itself was
    drawn nothing is computed, and its bound, zero, is true.
    """
    x, W = inputs.get("x"), inputs.get("W")
    if x is None or W is None:
        return True
    if reduced_format(dtype, mode) is not None:
        return False
    least = [float(np.min(np.abs(factor), where=factor != 0, initial=np.inf)) for factor in (x, W)]
    with np.errstate(over="ignore"):
        return dtype != "bfloat16" or min(*least, least[0] * least[1]) >= 2.0 ** FORMATS["bfloat16"].emin


def _recast(x: np.ndarray, arithmetic: Arithmetic) -> np.ndarray:
    """The bound of a copy of x, which rounds only where the mode reduces precision."""
    if arithmetic.factors is None:
        return np.zeros_like(x)
    return enlarged(arithmetic.factors.unit_roundoff * np.abs(x) + smallest(arithmetic.factors), 0)
