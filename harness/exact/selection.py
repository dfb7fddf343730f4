"""The k largest of exact numbers, which may be closer to each other than the numbers of any format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter

import numpy as np

from harness.exact.certified import Certified, Rung
from harness.exact.dyadic import Dyadic, comparable

Exactly = Callable[[int, int], Dyadic]
"""(row, index) to the exact number, of those that are finite."""


def largest(scores: Certified, preferred: np.ndarray, exactly: Exactly) -> np.ndarray:
    """Indices (rows, k), ascending, of the k largest exact scores (rows, n); k is that of preferred (rows, k).

    Of equal numbers the preferred are taken first, then those of the lowest index. NaN ranks greatest, as in
    torch.topk. Numbers are compared by what they round to, which never reverses an order; where that is equal, by
    their residuals as far as the error of these tells them apart; and where it does not, exactly.
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
    wanted = k - above.size
    favoured = np.isin(level, preferred)
    if level.size > wanted and not np.isnan(threshold):
        chosen = _among_equals(scores.map(lambda array: array[level]), level, favoured, wanted, exactly)
    else:
        chosen = np.argsort(~favoured, kind="stable")[:wanted]
    return np.sort(np.concatenate([above, level[chosen]]))


def _among_equals(
    level: Certified, indices: np.ndarray, favoured: np.ndarray, wanted: int, exactly: Callable[[int], Dyadic]
) -> np.ndarray:
    """Places of the wanted largest (1 or more, but not all) of numbers that round alike."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = level.residual - level.error, level.residual + level.error
    unsure = level.error > 0
    low, high = np.where(unsure, np.nextafter(low, -np.inf), low), np.where(unsure, np.nextafter(high, np.inf), high)
    least, most = (np.partition(end, end.size - wanted)[end.size - wanted] for end in (low, high))
    inside = np.flatnonzero(low > most)  # the one looked for is between least and most
    open_ = np.flatnonzero((low <= most) & (high >= least))
    keys: list[tuple[int, int]] = [(0, 0)] * open_.size
    if unsure[open_].any() or np.isinf(level.rounded[0]):
        keys = _keys(level.map(lambda array: array[open_]), indices[open_], exactly)
    order = sorted(range(open_.size), key=lambda place: (keys[place], favoured[open_[place]], -place), reverse=True)
    return np.concatenate([inside, open_[order[: wanted - inside.size]]])


def _keys(level: Certified, indices: np.ndarray, exactly: Callable[[int], Dyadic]) -> list[tuple[int, int]]:
    """In the order of the numbers: (0, an integer), and (1, 0) or (-1, 0) for the infinities."""
    finite = np.flatnonzero(level.rung != Rung.nonfinite)
    keys = [(int(sign), 0) for sign in np.sign(level.rounded)]
    for place, number in zip(finite, comparable([exactly(index) for index in indices[finite].tolist()]), strict=True):
        keys[place] = (0, number)
    return keys
