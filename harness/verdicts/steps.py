"""Finds the steps in the level of a quantity over the judged runs of a machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.verdicts.changes import IDENTITY
from harness.verdicts.floors import added

SERIES = ["study", *IDENTITY]
"""The columns that identify a series of runs. The same case in another study was measured by another protocol."""

TOLERANCE = 0.02
"""The least relative step that is reported: the default tolerance of times (`[gate] time`)."""

SHORTEST = 3
"""The fewest runs between two steps: a single run may have met a bad day, which does not move the median of three."""

FEWEST_RUNS = 2 * SHORTEST

PENALTY, FEW_RUNS = 4.0, 10.0
"""A step must reduce the sum of squares of n runs by PENALTY (1 + FEW_RUNS / n) sigma² log(n).

log(n) is that of BIC (Schwarz 1978). The factor, and the addition for few runs, whose sigma is uncertain, were found by
simulation: of 1000 series of 6 to 60 runs without a step, at most 1.4 % show one at sd 1.5 %, and 2.2 % at sd 5 %,
where TOLERANCE does not help. A step of 5 % in the middle, at sd 1.5 %, is found within one run of its place in 55 % of
series of 10 runs, 93 % of 20 and 98 % of 40.
"""

LEAST_SPREAD = 0.005
"""The least sd of log(level) between runs that is assumed: a series that repeats to the bit, as errors do, has none."""

NORMAL_MEDIAN = 0.6745
"""Median absolute value of a standard normal variable."""

OF_A_RUN = (
    "begin", "base_commit", "head_commit", "torch", "base", "head", "ratio", "low", "high", "launches", "verdict",
    "level",
)  # fmt: skip
"""The columns of a history that differ between the runs of a quantity."""

_STEP = ("begin", "head_commit", "runs", "before", "after", "ratio")


def trends(history: pd.DataFrame) -> pd.DataFrame:
    """The rows of a history that have a level, in order of `begin`, with the column `signal` that steps are sought in.

    The signal is log(level), for memory log(level + MEMORY_ADDED) and for an error log(level + its unit), because both
    may be 0. Rows without a finite signal are left out (their verdict says why), and so are whole cells. A run that was
    judged several times counts once.
    """
    rows = history[history["kind"] != "cell"].sort_values("begin", kind="stable")
    rows = rows.drop_duplicates([*SERIES, "begin", "head_commit"], keep="last")
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = np.log(rows["level"].to_numpy(dtype=float) + added(rows))
    return rows.assign(signal=signal)[np.isfinite(signal)]


def steps(history: pd.DataFrame) -> pd.DataFrame:
    """One row per step of a quantity.

    Columns: those that identify the quantity; begin and head_commit of the first run after the step; runs (how many the
    quantity has); before and after (median levels between this step and its neighbours); ratio. Steps are the change
    points of the signal's mean (Killick et al. 2012, PELT) that exceed TOLERANCE. A quantity with fewer than
    FEWEST_RUNS runs has none; a drift is reported as the steps that approximate it best.
    """
    key = [name for name in history.columns if name not in OF_A_RUN]
    rows = [step for _, series in trends(history).groupby(SERIES, sort=False) for step in _of_series(series, key)]
    return pd.DataFrame(rows, columns=[*key, *_STEP])


def _of_series(series: pd.DataFrame, key: list[str]) -> Iterator[dict[str, Any]]:
    """The steps of one series, as rows of `steps`."""
    signal, level = series["signal"].to_numpy(), series["level"].to_numpy()
    indices = change_points(signal)
    edges = [0, *indices, len(signal)]
    for begin, step, end in zip(edges, indices, edges[2:], strict=False):
        size = np.median(signal[step:end]) - np.median(signal[begin:step])
        if abs(size) <= np.log1p(TOLERANCE):
            continue
        before, after = float(np.median(level[begin:step])), float(np.median(level[step:end]))
        first = series.iloc[step]
        yield {name: first[name] for name in (*key, "begin", "head_commit")} | {
            "runs": len(signal),
            "before": before,
            "after": after,
            "ratio": after / before if before else np.inf,
        }


def change_points(signal: np.ndarray) -> list[int]:
    """The indices at which the mean of a finite series steps: those of the first values after the steps."""
    import ruptures

    n = len(signal)
    if n < FEWEST_RUNS:
        return []
    # A robust estimate of sigma: few of the differences between neighbours are steps, and their median ignores those.
    spread = float(np.median(np.abs(np.diff(signal)))) / NORMAL_MEDIAN / np.sqrt(2)
    penalty = PENALTY * (1 + FEW_RUNS / n) * max(spread, LEAST_SPREAD) ** 2 * np.log(n)
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(signal[:, np.newaxis])
    return [int(index) for index in search.predict(pen=penalty)[:-1]]  # the last is the end of the series
