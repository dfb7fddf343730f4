"""Figures of a comparison: one decorated function each, float64 arrays in, one float out.

A metric takes a `Comparison`; entries that are zero by structure were left out before. Every metric of an empty
comparison is NaN, and a pair of which one is not finite is an infinite error, never a missing one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.precision.ulp import round_to, ulp_error


@dataclass(frozen=True)
class Comparison:
    """got and want: the entries of one tensor, flat float64; dtype: the format whose ulps count."""

    got: np.ndarray
    want: np.ndarray
    dtype: str

    @cached_property
    def ulps(self) -> np.ndarray:
        """Errors in ulps of want."""
        return ulp_error(self.got, self.want, self.dtype)

    @cached_property
    def errors(self) -> np.ndarray:
        """Absolute errors; like non-finite entries differ by 0, unlike ones by inf."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.where(np.isfinite(self.ulps) & (self.ulps > 0), np.abs(self.got - self.want), self.ulps)

    @cached_property
    def rounded(self) -> np.ndarray:
        """want rounded once to the dtype."""
        return round_to(self.want, self.dtype)


Metric = Callable[[Comparison], float]
METRICS: dict[str, Metric] = {}
"""Metrics of a tensor; those of a selection are in selection.py."""


def metric(function: Metric) -> Metric:
    """Register a metric under the name of its function."""
    METRICS[function.__name__] = function
    return function


def evaluate(name: str, comparison: Comparison) -> float:
    """The figure of this name; NaN where there is nothing to compare."""
    return float(METRICS[name](comparison)) if comparison.got.size else float("nan")


@metric
def abs_max(c: Comparison) -> float:
    """Largest absolute error."""
    return float(c.errors.max())


@metric
def rel_l2(c: Comparison) -> float:
    """Norm-wise relative error, 2-norm: 0 of 0 is 0, anything else of 0 is inf."""
    error = _norm(c.errors)
    if error == 0:
        return 0.0
    size = _norm(np.where(np.isfinite(c.want), c.want, 0.0))
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
def ulp_mean(c: Comparison) -> float:
    """Mean error in ulps."""
    return float(c.ulps.mean())


@metric
def equal_share(c: Comparison) -> float:
    """Share of entries that equal the reference rounded to the dtype; -0 equals 0, NaN equals NaN."""
    return float(np.mean(_equal(c)))


@metric
def bit_equal_share(c: Comparison) -> float:
    """Share of entries with the bits of the reference rounded to the dtype; -0 is not 0, all NaN are one."""
    return float(np.mean(_equal(c) & ((np.signbit(c.got) == np.signbit(c.rounded)) | np.isnan(c.got))))


@metric
def nonfinite_count(c: Comparison) -> float:
    """Entries that are NaN or infinite."""
    return float(np.count_nonzero(~np.isfinite(c.got)))


@metric
def nonfinite_unlike_count(c: Comparison) -> float:
    """Entries of which one is not finite and the other is not the same."""
    return float(np.count_nonzero(np.isinf(c.ulps)))


@metric
def cosine_distance(c: Comparison) -> float:
    """1 - cosine, as half the squared distance of the normalised vectors, which is accurate near 0.

    0 where both vectors are zero, 1 where one is, NaN where an entry is not finite.
    """
    sizes = _norm(c.got), _norm(c.want)
    if 0.0 in sizes:
        return 0.0 if sizes == (0.0, 0.0) else 1.0
    return float(np.sum((c.got / sizes[0] - c.want / sizes[1]) ** 2) / 2)


def _equal(c: Comparison) -> np.ndarray:
    return (c.got == c.rounded) | (np.isnan(c.got) & np.isnan(c.rounded))


def _norm(x: np.ndarray) -> float:
    """2-norm scaled by the largest entry, so that squares neither overflow nor vanish."""
    largest = float(np.max(np.abs(x)))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.sum((x / largest) ** 2)))
