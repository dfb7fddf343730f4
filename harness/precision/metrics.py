"""Figures of a comparison: one decorated function each, float64 arrays in, one float out.

A metric takes a `Comparison`, from which entries that are zero by structure were left out. Every metric of an empty
comparison is NaN. Where only one of two entries is finite, their error is infinite; a figure that divides by such an
entry's size, or is an angle, is NaN.
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
    """The entries of one tensor beside a reference: flat float64 arrays of one length.

    got: the method's entries. want: the reference's, rounded to dtype, whose ulps count. residual: the exact answer
    minus want. size: sums of |terms|. bound, probable: deterministic and probabilistic error bounds. native_error:
    rel_l2 of native against the same reference. got_residual: what got lacks to be exact, where it is a reference's
    too. Metrics that need a field which is None are left out.
    """

    got: np.ndarray
    want: np.ndarray
    dtype: str
    residual: np.ndarray | float = 0.0
    size: np.ndarray | None = None
    bound: np.ndarray | None = None
    probable: np.ndarray | None = None
    native_error: float | None = None
    got_residual: np.ndarray | float = 0.0

    @cached_property
    def ulps(self) -> np.ndarray:
        """Errors in ulps of the exact answer."""
        return ulp_error(self.got, self.want, self.dtype, self.residual, self.got_residual)

    @cached_property
    def errors(self) -> np.ndarray:
        """Absolute errors; 0 between equal infinities or two NaN, inf where only one entry is finite."""
        return absolute_error(self.got, self.want, self.residual - self.got_residual)


Metric = Callable[[Comparison], float]
METRICS: dict[str, Metric] = {}
"""Metrics of a tensor; selection.py has those of a selection."""

NEEDS: dict[str, str] = {}
"""metric -> the optional field of a comparison that it needs."""


def metric(function: Metric) -> Metric:
    """Register a metric under the name of its function. Raises UserError if another module has registered that name."""
    present = METRICS.get(function.__name__, function)
    if present.__module__ != function.__module__:
        raise UserError(f"metrics: {function.__module__} has a second '{function.__name__}': that name is taken")
    METRICS[function.__name__] = function
    return function


def metric_of(field: str) -> Callable[[Metric], Metric]:
    """Register a metric that needs an optional field of the comparison."""

    def register(function: Metric) -> Metric:
        registered = metric(function)  # first: where it raises, NEEDS must keep the entry of the metric with that name
        NEEDS[function.__name__] = field
        return registered

    return register


def evaluate(name: str, comparison: Comparison) -> float | None:
    """The figure of this name; NaN if the comparison is empty, None if it lacks what the metric needs."""
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
    """Norm-wise relative error, 2-norm: 0 if both vectors are 0, inf if only the reference is."""
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
    """Share of entries whose error is at most half an ulp."""
    return float(np.mean(c.ulps <= 0.5))


@metric
def one_ulp_share(c: Comparison) -> float:
    """Share of entries whose error is at most one ulp."""
    return float(np.mean(c.ulps <= 1.0))


@metric_of("size")
def component_max(c: Comparison) -> float:
    """Largest error relative to the sum of |terms|, which is |W||x| for y. 0 / 0 counts as 0."""
    return float(np.max(_ratios(c.errors, c.size)))


@metric_of("size")
def condition_max(c: Comparison) -> float:
    """Largest condition number of a sum: the sum of |terms| over |sum|. 0 / 0 counts as 0.

    Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, 2nd ed., problem 4.1.
    """
    return float(np.max(_ratios(c.size, np.abs(c.want + c.residual))))


@metric_of("bound")
def bound_ratio_max(c: Comparison) -> float:
    """Largest error in units of its deterministic bound: at most 1 against `conditional`. 0 / 0 counts as 0."""
    return float(np.max(_ratios(c.errors, c.bound)))


@metric_of("probable")
def probable_ratio_max(c: Comparison) -> float:
    """Largest error in units of its probabilistic bound. 0 / 0 counts as 0."""
    return float(np.max(_ratios(c.errors, c.probable)))


@metric_of("native_error")
def native_ratio(c: Comparison) -> float:
    """rel_l2 over the rel_l2 of native against the same reference. 0 / 0 counts as 1."""
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
    """Share of entries with the bits of the reference rounded to the dtype; -0 is not 0, all NaN count as one."""
    return float(np.mean(_equal(c) & ((np.signbit(c.got) == np.signbit(c.want)) | np.isnan(c.got))))


@metric
def nonfinite_count(c: Comparison) -> float:
    """Entries that are NaN or infinite."""
    return float(np.count_nonzero(~np.isfinite(c.got)))


@metric
def nonfinite_unlike_count(c: Comparison) -> float:
    """Entries where got or want is not finite and the other is not the same."""
    return float(np.count_nonzero(np.isinf(c.ulps) & ~(np.isfinite(c.got) & np.isfinite(c.want))))


@metric
def signed_zero_count(c: Comparison) -> float:
    """Entries that are zero in both, with unlike signs."""
    return float(np.count_nonzero((c.got == 0) & (c.want == 0) & (np.signbit(c.got) != np.signbit(c.want))))


@metric
def cosine_distance(c: Comparison) -> float:
    """1 - cosine: 0 where both vectors are zero, 1 where one is, NaN where an entry is not finite.

    Computed as half the squared distance of the normalised vectors, since 1 - cosine would cancel near 0.
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
        raise ValueError("this metric needs a field that the comparison does not have")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(part == 0, 0.0, part / whole)
