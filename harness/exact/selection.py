"""The k largest of exact numbers, which may lie closer together than the numbers of any format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter

import numpy as np

from harness.exact.certified import Certified, Rung
from harness.exact.dyadic import Dyadic, comparable

Exactly = Callable[[int, int], Dyadic]
"""(row, index) -> the exact number, for numbers that are finite."""


def largest(scores: Certified, preferred: np.ndarray, exactly: Exactly) -> np.ndarray:
    """Indices (rows, k), ascending, of the k largest exact scores (rows, n); preferred (rows, k) says how many.

    Among equal numbers the preferred indices come first, then the lowest. NaN ranks greatest, as in torch.topk.
    Numbers are compared by their rounded values, since rounding never reverses an order; where these are equal, by
    their residuals, as far as the errors of these allow; and where that is not enough, as exact integers.
    """
    chosen = []
    for row, favoured in enumerate(preferred):
        chosen.append(_largest(scores.map(itemgetter(row)), favoured, partial(exactly, row)))
    return np.stack(chosen)


def _largest(scores: Certified, preferred: np.ndarray, exactly: Callable[[int], Dyadic]) -> np.ndarray:
    y, k = scores.rounded, preferred.size
    threshold = np.partition(y, y.size - k)[y.size - k]
    missing = np.isnan(y)
    above = np.flatnonzero(np.zeros_like(missing) if np.isnan(threshold) else (y > threshold) | missing)
    level = np.flatnonzero(missing if np.isnan(threshold) else y == threshold)
    open_places = k - above.size
    favoured = np.isin(level, preferred)
    if level.size > open_places and not np.isnan(threshold):
        chosen = _among_equals(scores.map(lambda array: array[level]), level, favoured, open_places, exactly)
    else:
        chosen = np.argsort(~favoured, kind="stable")[:open_places]
    return np.sort(np.concatenate([above, level[chosen]]))


def _among_equals(
    level: Certified, indices: np.ndarray, favoured: np.ndarray, count: int, exactly: Callable[[int], Dyadic]
) -> np.ndarray:
    """Places of the `count` largest (at least 1, but not all) of numbers that round to the same value."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = level.residual - level.error, level.residual + level.error
    unsure = level.error > 0
    low, high = np.where(unsure, np.nextafter(low, -np.inf), low), np.where(unsure, np.nextafter(high, np.inf), high)
    # The count-th largest lies between least and most: numbers surely above it are in, those that may be it undecided.
    least, most = (np.partition(end, end.size - count)[end.size - count] for end in (low, high))
    inside = np.flatnonzero(low > most)
    undecided = np.flatnonzero((low <= most) & (high >= least))
    keys: list[tuple[int, int]] = [(0, 0)] * undecided.size
    if unsure[undecided].any() or np.isinf(level.rounded[0]):
        keys = _keys(level.map(lambda array: array[undecided]), indices[undecided], exactly)
    order = sorted(
        range(undecided.size), key=lambda place: (keys[place], favoured[undecided[place]], -place), reverse=True
    )
    return np.concatenate([inside, undecided[order[: count - inside.size]]])


def _keys(level: Certified, indices: np.ndarray, exactly: Callable[[int], Dyadic]) -> list[tuple[int, int]]:
    """Sort keys: (0, an integer) for a finite number, (1, 0) and (-1, 0) for the infinities."""
    finite = np.flatnonzero(level.rung != Rung.nonfinite)
    keys = [(int(sign), 0) for sign in np.sign(level.rounded)]
    for place, number in zip(finite, comparable([exactly(index) for index in indices[finite].tolist()]), strict=True):
        keys[place] = (0, number)
    return keys
