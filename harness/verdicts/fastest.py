"""Which method is fastest in a case: only what all methods of the case, compared at once, allow to be said.

Who picks the best looking of nine equal methods, each held to native by an interval of its own, names one that is not
native in 8 to 17 % of cases, and another one in the next run. So the intervals of a case hold simultaneously.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.methods import registered
from harness.tables import first_clock
from harness.verdicts.ratios import CONFIDENCE, FEWEST_LAUNCHES, WIDEST, launch_medians, paired_log_ratios
from harness.vocabulary import YARDSTICKS

WHOLE = ("forward", "backward", "step", "pipeline")
"""Phases that native has too, so that a ratio compares like with like."""

BASE = "native"

WORTH = 1.05
"""Times as fast as native from which another method is worth taking."""

TOGETHER = " or "
"""Between the names of methods that are not told apart."""

FASTEST, SHARED, FASTER = "fastest", "among the fastest", "faster than native"
ALIKE, SLOWER, UNRANKED = "not told from native", "slower than native", "too few launches"
"""Standings of a method in a case and phase. FASTEST: surely faster than native and than every other method. SHARED:
surely faster than native, but some other method is not told from it, or from the one that looks fastest."""


def relaxations() -> set[str]:
    """Methods that return something else than the k largest; one from outside is taken to return them."""
    return {name for name, each in registered().items() if not each.exact} - set(YARDSTICKS)


def standings(timings: pd.DataFrame) -> pd.DataFrame:
    """Per case, phase, clock and competing method: the key, `phase clock`, `speedup low high` over native, `launches`,
    `standing`.

    Relaxations, which return something else, and the yardsticks do not compete, nor do phases that native lacks. Each
    comparison of a method with native, or with the method that looks fastest, is a t interval over the launches that
    both have, with a variance of its own: methods differ in how much their launches scatter. Its confidence is shared
    by Bonferroni (Dunn, J. Am. Stat. Assoc. 56, 1961) among all comparisons of the case with native, over its phases.
    So for the comparisons with native this is Dunnett's problem (J. Am. Stat. Assoc. 50, 1955) without his equal
    variances; and since the quantile is that of all methods, whichever of them looks fastest, it bounds Hsu's
    constrained intervals for comparisons with the best (Annals of Statistics 12, 1984, pp. 1136-1144) too. A method of
    under FEWEST_LAUNCHES launches has no interval and no rank.
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
        found = _standings(figures[places[phase]][:, wide.columns.get_indexer(names)], tail)
        rows += [(*phase, name, *each) for name, each in zip(names, found, strict=True)]
    table = pd.DataFrame(rows, columns=[*of_phase, "method", "speedup", "low", "high", "launches", "standing"])
    return medians[key].drop_duplicates().merge(table, on=[*of_phase, "method"])


def fastest(timings: pd.DataFrame) -> pd.DataFrame:
    """Per case and phase the answer: a row of standings() of one method, and column `fastest`, the answer's words.

    By the device clock where the case has times by it: a method that has none does not compete there.

    It is native unless another is surely faster. Where several of those are not told apart `fastest` names all of
    them, in alphabetical order, and the other columns are of the one that looks fastest. A case and phase without
    FEWEST_LAUNCHES launches of two methods has no row.
    """
    return fastest_of(standings(first_clock(timings)))


def fastest_of(found: pd.DataFrame) -> pd.DataFrame:
    """The same of the rows of standings()."""
    found = first_clock(found)
    found = found[found["standing"] != UNRANKED]
    best = [row for _, rows in found.groupby(["case", "phase"], sort=False) for row in _answer(rows)]
    return pd.DataFrame(best, columns=[*found.columns, "fastest"])


def _answer(rows: pd.DataFrame) -> Iterator[dict[Hashable, Any]]:
    """The answer among the ranked methods of one case and phase; none where native has nothing to be held against."""
    first = rows[rows["standing"].isin((FASTEST, SHARED))]
    leader = first if len(first) else rows[rows["method"] == BASE]
    if len(rows) > 1 and len(leader):
        (best,) = leader.nlargest(1, "speedup").to_dict("records")
        yield best | {"fastest": TOGETHER.join(sorted(leader["method"]))}


def _standings(log_ratios: np.ndarray, tail: float) -> Iterator[tuple[float, float, float, int, str]]:
    """Of each method speed-up, low, high, launches, standing; log_ratios: ln(seconds / native's) of shape (launches,
    methods)."""
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
    too_wide = high - low > 2 * WIDEST  # an answer may rest on it, and no figure shows it
    speedup, least, most = np.exp(mean), *(np.exp(np.where(too_wide, np.nan, each)) for each in (low, high))
    return zip(speedup, least, most, launches.tolist(), standing, strict=True)


def _intervals(values: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of each column low end, mean and high end of a t interval with this probability beyond each end, and of how many
    finite values it is. Of fewer than FEWEST_LAUNCHES both ends are NaN."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    mean = np.where(count > 0, np.where(finite, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    squares = np.where(finite, values - mean, 0.0) ** 2
    error = np.sqrt(squares.sum(axis=0) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    half = np.array([_quantile(tail, each - 1) if each >= FEWEST_LAUNCHES else np.nan for each in count.tolist()])
    return mean - half * error, mean, mean + half * error, count


@cache
def _quantile(tail: float, freedom: int) -> float:
    """Student's t that is exceeded with this probability: the same for thousands of cases, and slow to find."""
    return float(stats.t.isf(tail, freedom))
