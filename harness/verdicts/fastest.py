"""Which method is fastest in a case, by intervals that hold simultaneously for all methods of the case.

Comparing each method with native by an interval of its own would not do: of nine equal methods, the one that looks
fastest would be called faster than native in 8 to 17 % of cases, and in the next run it would be another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from harness.methods import registered
from harness.tables import first_clock
from harness.verdicts.ratios import CONFIDENCE, FEWEST_LAUNCHES, WIDEST, launch_medians, paired_log_ratios
from harness.vocabulary import YARDSTICKS

WHOLE = ("forward", "backward", "step", "pipeline")
"""The phases that native has too, so that a ratio compares like with like."""

BASE = "native"

WORTH = 1.05
"""The least speed-up over native for which another method is worth taking."""

TOGETHER = " or "
"""Joins the names of methods that cannot be told apart."""

FASTEST, SHARED, FASTER = "fastest", "among the fastest", "faster than native"
ALIKE, SLOWER, UNRANKED = "indistinguishable from native", "slower than native", "too few launches"
"""Standings of a method in a case and phase. FASTEST: surely faster than native and than every other method. SHARED:
surely faster than native, but not surely slower than the method that looks fastest; or it is that method, and another
one is not surely slower."""


def relaxations() -> set[str]:
    """The methods that do not return the k largest; one from outside the harness is assumed to return them."""
    return {name for name, method in registered().items() if not method.exact} - set(YARDSTICKS)


def standings(timings: pd.DataFrame) -> pd.DataFrame:
    """The standing of every competing method in each case, phase and clock.

    Columns: the key, `phase clock`, `speedup low high` over native, `launches`, `standing`. Relaxations and yardsticks
    do not compete, nor do methods in phases that native lacks. A method with fewer than FEWEST_LAUNCHES launches has no
    interval and no rank.

    Each comparison of a method with native, or with the method that looks fastest, is a t interval over the launches
    that both have. It has its own variance, because methods differ in how much their launches scatter. Bonferroni's
    inequality (Dunn, J. Am. Stat. Assoc. 56, 1961) divides the error probability among all comparisons with native in
    the case, over all its phases. For the comparisons with native this is Dunnett's problem (J. Am. Stat. Assoc. 50,
    1955) without the assumption of equal variances. The same quantile is used whichever method looks fastest, so it
    also bounds Hsu's constrained intervals for comparisons with the best (Annals of Statistics 12, 1984,
    pp. 1136-1144).
    """
    columns = list(timings.columns)
    key = columns[: columns.index("clock") + 1]
    rivals = timings[timings["phase"].isin(WHOLE) & ~timings["method"].isin({*YARDSTICKS, *relaxations()})]
    medians = launch_medians(paired_log_ratios(rivals, BASE), key, "log_ratio")
    of_phase = ["case", "phase", "clock"]
    wide = medians.pivot(index=[*of_phase, "launch"], columns="method", values="log_ratio")
    present = medians.groupby(of_phase, sort=False)["method"].unique()
    comparisons = present.map(lambda names: len(set(names) - {BASE}))
    of_case = comparisons.groupby(["case", "clock"], sort=False).transform("sum")
    places, figures = wide.groupby(of_phase, sort=False).indices, wide.to_numpy()
    rows: list[Any] = []
    for phase, names, compared in zip(present.index.tolist(), present.tolist(), of_case.tolist(), strict=True):
        tail = (1 - CONFIDENCE) / 2 / max(1, compared)
        of_methods = _standings(figures[places[phase]][:, wide.columns.get_indexer(names)], tail)
        rows += [(*phase, name, *standing) for name, standing in zip(names, of_methods, strict=True)]
    table = pd.DataFrame(rows, columns=[*of_phase, "method", "speedup", "low", "high", "launches", "standing"])
    return medians[key].drop_duplicates().merge(table, on=[*of_phase, "method"])


def fastest(timings: pd.DataFrame) -> pd.DataFrame:
    """The answer for each case and phase: a row of `standings`, with the column `fastest`.

    The fastest method is native unless another is surely faster. If several surely faster methods cannot be told apart,
    `fastest` names all of them in alphabetical order, and the other columns are those of the one that looks fastest. A
    case with times by the device clock is judged by these alone: a method without device times does not compete. A case
    and phase in which fewer than two methods have FEWEST_LAUNCHES launches has no row.
    """
    return fastest_of(standings(first_clock(timings)))


def fastest_of(ranked: pd.DataFrame) -> pd.DataFrame:
    """The same as `fastest`, from rows of `standings`."""
    ranked = first_clock(ranked)
    ranked = ranked[ranked["standing"] != UNRANKED].reset_index(drop=True)
    number = ranked.groupby(["case", "phase"], sort=False).ngroup()
    surely = ranked["standing"].isin((FASTEST, SHARED))
    leading = surely | (~surely.groupby(number).transform("any") & (ranked["method"] == BASE))
    compared = number.groupby(number).transform("size") > 1  # else there is nothing to compare native with
    leaders = ranked[leading & compared]
    groups = leaders.sort_values("method").groupby(number.loc[leaders.index])  # in the order of their numbers
    best = leaders.loc[leaders["speedup"].groupby(number.loc[leaders.index]).idxmax()]
    return best.assign(fastest=groups["method"].agg(TOGETHER.join).to_numpy()).reset_index(drop=True)


def _standings(log_ratios: np.ndarray, tail: float) -> Iterator[tuple[float, float, float, int, str]]:
    """Per method: speed-up, low, high, launches, standing.

    log_ratios: ln(seconds / native's), of shape (launches, methods), NaN where missing; tail: error probability beyond
    each end of an interval.
    """
    low, mean, high, launches = _intervals(-log_ratios, tail)
    known = launches >= FEWEST_LAUNCHES
    standing = np.select([~known, low > 0, high < 0], [UNRANKED, FASTER, SLOWER], ALIKE).astype(object)
    surely = np.flatnonzero(standing == FASTER)
    if surely.size:
        leader = surely[np.argmax(mean[surely])]
        beaten = _intervals(log_ratios - log_ratios[:, [leader]], tail)[0] > 0
        beaten[leader] = True
        standing[leader] = FASTEST if beaten[known].all() else SHARED
        standing[~beaten & (standing == FASTER)] = SHARED
    too_wide = high - low > 2 * WIDEST  # such an interval still decides the standing, but is not shown
    speedup, least, most = np.exp(mean), *(np.exp(np.where(too_wide, np.nan, each)) for each in (low, high))
    return zip(speedup, least, most, launches.tolist(), standing, strict=True)


def _intervals(values: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per column of `values`: low end, mean and high end of a t interval, and the number of finite values behind it.

    tail: probability beyond each end. With fewer than FEWEST_LAUNCHES finite values both ends are NaN.
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    mean = np.where(count > 0, np.where(finite, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    squares = np.where(finite, values - mean, 0.0) ** 2
    error = np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    half = np.where(count >= FEWEST_LAUNCHES, -special.stdtrit(np.maximum(count - 1, 1), tail), np.nan)
    return mean - half * error, mean, mean + half * error, count
