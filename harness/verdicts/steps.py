"""Where the level of a quantity stepped, over the judged runs of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.verdicts.changes import IDENTITY
from harness.verdicts.floors import added

OF = ["study", *IDENTITY]
"""What a trend is of: the same case under another study was measured by another protocol."""

TOLERANCE = 0.02
"""A smaller relative step is none: it is what `[gate] time` of the studies says."""

SHORTEST = 3
"""Runs between two steps: one run alone may have met a bad day, and does not move the median of three."""

FEWEST_RUNS = 2 * SHORTEST

PENALTY, FEW_RUNS = 4.0, 10.0
"""A step must explain PENALTY (1 + FEW_RUNS / n) sigma² log(n) of the sum of squares of n runs: BIC's log(n), its
factor and what is added for few runs, whose sigma is uncertain, by simulation. Of 1000 series of 6 to 60 runs without
a step at most 1.4 % have one at sd 1.5 %, and 2.2 % at sd 5 %, where the tolerance does not help. A step of 5 % in the
middle at sd 1.5 % is found within one run in 55 % of series of 10 runs, 93 % of 20 and 98 % of 40."""

LEAST_SPREAD = 0.005
"""Of log(level) between runs: a series that repeats to the bit, as errors do, has no spread to estimate."""

NORMAL_MEDIAN = 0.6745
"""Median absolute value of a standard normal variable."""

OF_A_RUN = (
    "begin", "base_commit", "head_commit", "torch", "base", "head", "ratio", "low", "high", "launches", "verdict",
    "level",
)  # fmt: skip
"""Columns of a history that differ between the runs of a quantity."""

_FOUND = ("begin", "head_commit", "runs", "before", "after", "ratio")


def trends(history: pd.DataFrame) -> pd.DataFrame:
    """The rows of a history that have a level, in order of `begin`, with column `signal`: what steps are looked for in.

    The signal is log(level); of memory log(level + MEMORY_ADDED) and of an error log(level + its unit), since both may
    be 0. What is not finite is left out (its verdict tells), as are cells. A run that was judged several times counts
    once.
    """
    rows = history[history["kind"] != "cell"].sort_values("begin", kind="stable")
    rows = rows.drop_duplicates([*OF, "begin", "head_commit"], keep="last")
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = np.log(rows["level"].to_numpy(dtype=float) + added(rows))
    return rows.assign(signal=signal)[np.isfinite(signal)]


def steps(history: pd.DataFrame) -> pd.DataFrame:
    """Per step of a quantity: begin and head_commit of the first run after it, runs (that the quantity has), before and
    after (median levels of the runs up to the steps beside it) and ratio.

    Steps are the change points of the signal's mean (Killick et al. 2012, PELT) that exceed TOLERANCE. A quantity of
    fewer than FEWEST_RUNS runs has none; a drift is told as the steps that follow it best.
    """
    key = [name for name in history.columns if name not in OF_A_RUN]
    rows = [found for _, series in trends(history).groupby(OF, sort=False) for found in _of_series(series, key)]
    return pd.DataFrame(rows, columns=[*key, *_FOUND])


def _of_series(series: pd.DataFrame, key: list[str]) -> Iterator[dict[str, Any]]:
    signal, level = series["signal"].to_numpy(), series["level"].to_numpy()
    places = change_points(signal)
    edges = [0, *places, len(signal)]
    for before, place, after in zip(edges, places, edges[2:], strict=False):
        size = np.median(signal[place:after]) - np.median(signal[before:place])
        if abs(size) <= np.log1p(TOLERANCE):
            continue
        one, two = float(np.median(level[before:place])), float(np.median(level[place:after]))
        first = series.iloc[place]
        yield {name: first[name] for name in (*key, "begin", "head_commit")} | {
            "runs": len(signal),
            "before": one,
            "after": two,
            "ratio": two / one if one else np.inf,
        }


def change_points(signal: np.ndarray) -> list[int]:
    """The places in a finite series at which its mean steps: each the first of what comes after."""
    import ruptures

    n = len(signal)
    if n < FEWEST_RUNS:
        return []
    # The median of the differences does not see the few of them that are steps.
    spread = float(np.median(np.abs(np.diff(signal)))) / NORMAL_MEDIAN / np.sqrt(2)
    penalty = PENALTY * (1 + FEW_RUNS / n) * max(spread, LEAST_SPREAD) ** 2 * np.log(n)
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(signal[:, np.newaxis])
    return [int(each) for each in search.predict(pen=penalty)[:-1]]
