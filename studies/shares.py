"""Shares of cases and their Clopper-Pearson intervals, for figures and for sentences."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats


def interval(found: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, observed as `found` of `of` independent cases (Clopper and Pearson 1934)."""
    limits = stats.binomtest(found, of).proportion_ci(0.95)
    return float(limits.low), float(limits.high)


def at_most(found: int, of: int) -> float:
    """The upper end of the one-sided 95 % interval of a share."""
    return float(stats.binomtest(found, of, alternative="less").proportion_ci(0.95).high)


def with_bars(found: pd.Series, of: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """The shares, and how far their intervals reach below and above them, of shape (2, length), for errorbar."""
    share = found / of
    counts = zip(found.astype(int), of.astype(int), strict=True)
    limits = np.array([interval(*pair) for pair in counts]).reshape(-1, 2)
    # At 0 and at all of the cases rounding may put an end beyond the share, and errorbar takes no negative length.
    return share, np.maximum(0, [share - limits[:, 0], limits[:, 1] - share])


def in_words(found: int, of: int, what: str = "") -> str:
    """'17 of 18 cases (95 % 72.7..99.9 %)'."""
    low, high = interval(found, of)
    return f"{' '.join(f'{found} of {of} {what}'.split())} (95 % {100 * low:.3g}..{100 * high:.3g} %)"


def span(counts: Iterable[int]) -> str:
    """'18', or '3 to 18' where they differ: the number of cases behind a point of a figure."""
    least, most = min(counts := [*counts]), max(counts)
    return f"{least}" if least == most else f"{least} to {most}"
