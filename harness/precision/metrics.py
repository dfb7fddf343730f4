"""Figures of a comparison: one decorated function each, float64 arrays in, one float out.

A metric takes a `Comparison`; entries that are zero by structure were left out before. Every metric of an empty
comparison is NaN. A pair of which one is not finite is an infinite error; what divides by its size, or is an angle,
is NaN there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.errors import UserError
from harness.exact.ulp import absolute_error, ulp_error
from harness.precision.norms import direction, norm


@dataclass(frozen=True)
class Comparison:
    """The entries of one tensor beside a reference, flat float64 arrays of one length.

    got: the method's; want: the reference's, rounded to dtype, the format whose ulps count; residual: what want lacks
    to the exact answer. size: sums of |terms|; bound, probable: error bounds; native_error: native's rel_l2 against
    the same reference. Metrics that need one of these leave out a comparison that has it not.
    """

    got: np.ndarray
    want: np.ndarray
    dtype: str
    residual: np.ndarray | float = 0.0
    size: np.ndarray | None = None
    bound: np.ndarray | None = None
    probable: np.ndarray | None = None
    native_error: float | None = None

    @cached_property
    def ulps(self) -> np.ndarray:
        """Errors in ulps of the exact answer."""
        return ulp_error(self.got, self.want, self.dtype, self.residual)

    @cached_property
    def errors(self) -> np.ndarray:
        """Absolute errors; like non-finite entries differ by 0, unlike ones by inf."""
        return absolute_error(self.got, self.want, self.residual)


Metric = Callable[[Comparison], float]
METRICS: dict[str, Metric] = {}
"""Metrics of a tensor; those of a selection are in selection.py."""

NEEDS: dict[str, str] = {}
"""metric -> the field of a comparison that it needs."""


def metric(function: Metric) -> Metric:
    """Register a metric under the name of its function. Raises UserError where another module has that name already."""
    there = METRICS.get(function.__name__, function)
    if there.__module__ != function.__module__:
        raise UserError(f"metrics: {function.__module__} has a second '{function.__name__}': that name is taken")
    METRICS[function.__name__] = function
    return function


def metric_of(field: str) -> Callable[[Metric], Metric]:
    """Register a metric that needs an optional field of the comparison."""

    def register(function: Metric) -> Metric:
        registered = metric(function)  # or it is refused, and the one that has its name keeps its own need
        NEEDS[function.__name__] = field
        return registered

    return register


def evaluate(name: str, comparison: Comparison) -> float | None:
    """The figure of this name; NaN where there is nothing to compare, None where the comparison lacks what it needs."""
    if name in NEEDS and getattr(comparison, NEEDS[name]) is None:
        return None
    return float(METRICS[name](comparison)) if comparison.got.size else float("nan")


@metric
def abs_max(c: Comparison) -> float:
    """Largest absolute error."""
    return float(c.errors.max())


@metric
def rmse(c: Comparison) -> float:
    """Root of the mean squared error."""
    return norm(c.errors) / math.sqrt(c.errors.size)


@metric
def rel_l2(c: Comparison) -> float:
    """Norm-wise relative error, 2-norm: 0 of 0 is 0, anything else of 0 is inf."""
    error = norm(c.errors)
    if error == 0:
        return 0.0
    size = norm(np.where(np.isfinite(c.want), c.want, 0.0))
    return error / size if size else float("inf")


@metric
def ulp_max(c: Comparison) -> float:
    """Largest error in ulps."""
    return float(c.ulps.max())


@metric
def ulp_p99(c: Comparison) -> float:
    """99th percentile of the errors in ulps: the smallest error that 99 % do not exceed."""
    return float(np.quantile(c.ulps, 0.99, method="inverted_cdf"))


@metric
def ulp_p50(c: Comparison) -> float:
    """Median error in ulps: the smallest error that half of them do not exceed."""
    return float(np.quantile(c.ulps, 0.5, method="inverted_cdf"))


@metric
def ulp_mean(c: Comparison) -> float:
    """Mean error in ulps."""
    return float(c.ulps.mean())


@metric
def half_ulp_share(c: Comparison) -> float:
    """Share of entries no farther off than half an ulp."""
    return float(np.mean(c.ulps <= 0.5))


@metric
def one_ulp_share(c: Comparison) -> float:
    """Share of entries no farther off than one ulp."""
    return float(np.mean(c.ulps <= 1.0))


@metric_of("size")
def component_max(c: Comparison) -> float:
    """Largest error relative to the sum of |terms|: |W||x| for y. 0 of 0 is 0."""
    return float(np.max(_ratios(c.errors, c.size)))


@metric_of("size")
def condition_max(c: Comparison) -> float:
    """Largest condition number of a sum: the sum of |terms| over |sum|. 0 of 0 is 0."""
    return float(np.max(_ratios(c.size, np.abs(c.want + c.residual))))


@metric_of("bound")
def bound_ratio_max(c: Comparison) -> float:
    """Largest error in units of its deterministic bound: never above 1 against `conditional`. 0 of 0 is 0."""
    return float(np.max(_ratios(c.errors, c.bound)))


@metric_of("probable")
def probable_ratio_max(c: Comparison) -> float:
    """Largest error in units of its probabilistic bound. 0 of 0 is 0."""
    return float(np.max(_ratios(c.errors, c.probable)))


@metric_of("native_error")
def native_ratio(c: Comparison) -> float:
    """rel_l2 over that of native against the same reference. 0 of 0 is 1."""
    own, native = rel_l2(c), c.native_error
    if own == native:
        return 1.0
    return own / native if native else float("inf")


@metric
def equal_share(c: Comparison) -> float:
    """Share of entries that equal the reference rounded to the dtype; -0 equals 0, NaN equals NaN."""
    return float(np.mean(_equal(c)))


@metric
def bit_equal_share(c: Comparison) -> float:
    """Share of entries with the bits of the reference rounded to the dtype; -0 is not 0, all NaN are one."""
    return float(np.mean(_equal(c) & ((np.signbit(c.got) == np.signbit(c.want)) | np.isnan(c.got))))


@metric
def nonfinite_count(c: Comparison) -> float:
    """Entries that are NaN or infinite."""
    return float(np.count_nonzero(~np.isfinite(c.got)))


@metric
def nonfinite_unlike_count(c: Comparison) -> float:
    """Entries of which one is not finite and the other is not the same."""
    return float(np.count_nonzero(np.isinf(c.ulps) & ~(np.isfinite(c.got) & np.isfinite(c.want))))


@metric
def signed_zero_count(c: Comparison) -> float:
    """Entries that are zero in both, with unlike signs."""
    return float(np.count_nonzero((c.got == 0) & (c.want == 0) & (np.signbit(c.got) != np.signbit(c.want))))


@metric
def cosine_distance(c: Comparison) -> float:
    """1 - cosine, as half the squared distance of the normalised vectors, which is accurate near 0.

    0 where both vectors are zero, 1 where one is, NaN where an entry is not finite.
    """
    if not (np.isfinite(c.got).all() and np.isfinite(c.want).all()):
        return float("nan")
    got, want = direction(c.got), direction(c.want)
    if not (got.any() and want.any()):
        return float(got.any() != want.any())
    return float(np.sum((got - want) ** 2) / 2)


def _equal(c: Comparison) -> np.ndarray:
    return (c.got == c.want) | (np.isnan(c.got) & np.isnan(c.want))


def _ratios(part: np.ndarray | None, whole: np.ndarray | None) -> np.ndarray:
    """part / whole, where 0 / 0 is 0."""
    if part is None or whole is None:
        raise ValueError("this metric needs a field that the comparison has not")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(part == 0, 0.0, part / whole)
