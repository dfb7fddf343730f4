"""What was selected beside what should have been: figures of indices, not of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.exact.ulp import ulp
from harness.precision.slabs import misplaced_rows, slab_elements


@dataclass(frozen=True)
class Selections:
    """A selection beside the right one.

    indices: (rows, k) in the order in which the method returned them. y: (rows, n), what the method selected from.
    want_indices: (rows, k), the right selection; among equal values, the one that the method chose. want_y: (rows, n),
    the reference's y. bound: (rows, n), bounds of |y - exact y|, empty for metrics that do not need them. trusted:
    whether these bounds hold here. dtype: the format whose ulps count.
    """

    indices: np.ndarray
    y: np.ndarray
    want_indices: np.ndarray
    want_y: np.ndarray
    bound: np.ndarray
    trusted: bool
    dtype: str


SelectionMetric = Callable[[Selections], float]
SELECTION_METRICS: dict[str, SelectionMetric] = {}


BOUNDED: set[str] = set()
"""Metrics that need the bound of every y, which costs another product."""


def bounded(function: SelectionMetric) -> SelectionMetric:
    """Mark a metric as one that needs the bound."""
    BOUNDED.add(function.__name__)
    return function


def selection_metric(function: SelectionMetric) -> SelectionMetric:
    """Register a metric of a selection under the name of its function."""
    SELECTION_METRICS[function.__name__] = function
    return function


@selection_metric
def flips(s: Selections) -> float:
    """Selected indices that are not among the k largest of the reference; any choice among equal values is right."""
    return float(s.indices.size - shared(s.indices, s.want_indices).sum())


@selection_metric
def jaccard(s: Selections) -> float:
    """Indices in both selections over indices in either, the smallest over rows."""
    both = shared(s.indices, s.want_indices)
    return float(np.min(both / (2 * s.indices.shape[-1] - both)))


@selection_metric
def order_inversions(s: Selections) -> float:
    """Neighbours in the returned order whose second has the larger reference y; NaN is above all numbers."""
    ranked = np.take_along_axis(s.want_y, s.indices, -1)
    first, second = ranked[:, :-1], ranked[:, 1:]
    return float(np.count_nonzero((second > first) | (np.isnan(second) & ~np.isnan(first))))


@selection_metric
def gap_ulp(s: Selections) -> float:
    """Gap of the reference y after the k-th largest, in ulps of the k-th; the smallest over rows, inf where k = n."""
    if s.indices.shape[-1] == s.want_y.shape[-1]:
        return float("inf")
    kth, after = _around_threshold(s.want_y, s.indices.shape[-1])
    with np.errstate(invalid="ignore"):
        return float(np.min((kth - after) / ulp(kth, s.dtype)))


@bounded
@selection_metric
def gap_bounds(s: Selections) -> float:
    """The same gap over the sum of the two error bounds of y, the smallest over rows: above 1 these two cannot swap."""
    k = s.indices.shape[-1]
    if k == s.want_y.shape[-1]:
        return float("inf")
    places = np.argsort(s.want_y, axis=-1)[:, [-k, -k - 1]]
    bounds = np.take_along_axis(s.bound, places, -1).sum(axis=-1)
    kth, after = _around_threshold(s.want_y, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.min(np.where(kth == after, 0.0, (kth - after) / bounds)))


@selection_metric
def tie_group(s: Selections) -> float:
    """Entries of the method's y that equal its k-th largest, the most over rows."""
    kth, _ = _around_threshold(s.y, s.indices.shape[-1])
    return float(np.max(_count(_equal(s.y, kth[:, None]))))


@selection_metric
def straddling_ties(s: Selections) -> float:
    """Rows in which the k-th largest of the method's y equals the next, so that more than one selection is right."""
    if s.indices.shape[-1] == s.y.shape[-1]:
        return 0.0
    kth, after = _around_threshold(s.y, s.indices.shape[-1])
    return float(np.count_nonzero(_equal(kth, after)))


@bounded
@selection_metric
def certified_rows(s: Selections) -> float:
    """Rows whose selection is proved right by the error bound of y alone."""
    return float(np.count_nonzero(certificate(s) > 0))


@bounded
@selection_metric
def proved_wrong_rows(s: Selections) -> float:
    """Rows whose selection is proved wrong by the error bound of y alone."""
    return float(np.count_nonzero(certificate(s) < 0))


def certificate(s: Selections) -> np.ndarray:
    """(rows,): 1 certified, 0 uncertain, -1 proved wrong.

    With every exact y in [y - bound, y + bound]: a row is certified if the least possible value of every selected y is
    at least the greatest possible value of every other. It is proved wrong if some selected y is surely less than some
    other. It is uncertain where the bound is not trusted or something is not finite.
    """
    rows, n = s.y.shape
    selected = np.zeros((rows, n), dtype=bool)
    np.put_along_axis(selected, s.indices, True, -1)
    with np.errstate(invalid="ignore", over="ignore"):
        exact = s.bound == 0
        # The float64 difference and sum are rounded, so the ends are moved outward by one number.
        low = np.where(exact, s.y, np.nextafter(s.y - s.bound, -np.inf))
        high = np.where(exact, s.y, np.nextafter(s.y + s.bound, np.inf))
    least, most = _extreme(low, selected, np.min, np.inf), _extreme(high, ~selected, np.max, -np.inf)
    best, worst = _extreme(high, selected, np.min, np.inf), _extreme(low, ~selected, np.max, -np.inf)
    known = np.isfinite(s.y).all(axis=-1) & np.isfinite(s.bound).all(axis=-1) & s.trusted
    return np.where(known & (least >= most), 1, np.where(known & (best < worst), -1, 0))


def right_selection(y: np.ndarray, preferred: np.ndarray) -> np.ndarray:
    """Indices (rows, k), ascending, of the k largest of y (rows, n); preferred (rows, k) win among equal values.

    NaN ranks greatest, as in torch.topk and in NumPy's sort.
    """
    import torch

    right = np.sort(preferred, axis=-1)
    distinct = (right[:, 1:] != right[:, :-1]).all(axis=-1)
    tensors = (torch.from_numpy(np.ascontiguousarray(array)) for array in (y, right))
    # Most preferred selections are right already, and finding that out costs one read of y.
    wrong = np.flatnonzero(~distinct | misplaced_rows(*tensors).numpy())
    step = max(1, slab_elements(y.size) // y.shape[-1])
    for start in range(0, wrong.size, step):
        some = wrong[start : start + step]
        right[some] = _largest(y[some], right[some])
    return right


def _largest(y: np.ndarray, preferred: np.ndarray) -> np.ndarray:
    """`right_selection` by ranks: 3 above the threshold, at it 2 for a preferred index and 1 for another, 0 below."""
    k, n = preferred.shape[-1], y.shape[-1]
    threshold = np.partition(y, n - k, axis=-1)[:, n - k, None]
    rank = _equal(y, threshold).astype(np.int8)
    favoured = np.zeros_like(rank)
    np.put_along_axis(favoured, preferred, 1, -1)
    rank += rank * favoured
    rank[(y > threshold) | (np.isnan(y) & ~np.isnan(threshold))] = 3
    # Stable, so that of equal ranks the lowest index comes first.
    return np.sort(np.argsort(-rank, axis=-1, kind="stable")[:, :k], axis=-1)


def shared(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(rows,) how many indices two selections (rows, k) have in common; the indices of a row must be distinct."""
    both = np.sort(np.concatenate((one, two), axis=-1), axis=-1)
    return np.count_nonzero(both[:, 1:] == both[:, :-1], axis=-1)


def _around_threshold(y: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(the k-th largest, the next after it or -inf) of each row; NaN ranks greatest."""
    n = y.shape[-1]
    if k == n:
        return np.sort(y, axis=-1)[:, 0], np.full(len(y), -np.inf)
    near = np.partition(y, (n - k - 1, n - k), axis=-1)
    return near[:, n - k], near[:, n - k - 1]


def _extreme(y: np.ndarray, mask: np.ndarray, extreme: Callable[..., np.ndarray], neutral: float) -> np.ndarray:
    return extreme(np.where(mask, y, neutral), axis=-1)


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _count(mask: np.ndarray) -> np.ndarray:
    return np.count_nonzero(mask, axis=-1)
