"""What was selected, against what should have been: figures of indices, not of values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SelectionMetric = Callable[[np.ndarray, np.ndarray], float]
SELECTION_METRICS: dict[str, SelectionMetric] = {}


def selection_metric(function: SelectionMetric) -> SelectionMetric:
    """Register a metric of (indices (rows, k), reference y (rows, n) in float64)."""
    SELECTION_METRICS[function.__name__] = function
    return function


@selection_metric
def flips(indices: np.ndarray, y: np.ndarray) -> float:
    """Selected values that are not among the k largest of the reference y, counted with multiplicity.

    Of equal values any choice is right. NaN ranks greatest, as in torch.topk and in NumPy's sort.
    """
    k = indices.shape[-1]
    threshold = np.partition(y, y.shape[-1] - k, axis=-1)[:, -k, None]
    selected = np.take_along_axis(y, indices, -1)
    above = _count(_above(selected, threshold))
    room_at_threshold = k - _count(_above(y, threshold))
    at = _count((selected == threshold) | (np.isnan(selected) & np.isnan(threshold)))
    return float(np.sum(k - above - np.minimum(at, room_at_threshold)))


def _above(y: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return (y > threshold) | (np.isnan(y) & ~np.isnan(threshold))


def _count(mask: np.ndarray) -> np.ndarray:
    return np.count_nonzero(mask, axis=-1)
