"""Which clock a time is of: readers take one of them, and never mix two.

A block was timed by the `wall` clock, which a caller waits by, or by the `device` clock, which holds no launches
(design of both: harness/device/clock.py). On a CPU all times are of the wall clock. On an accelerator that of the
device comes first, and the wall clock is shown beside it where the two differ by more than DIFFER.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.vocabulary import CLOCKS, HOST, WALL

DIFFER = 0.10
"""The wall clock is shown beside the device's where it is this much longer."""


def clocks_of(timings: pd.DataFrame) -> list[str]:
    """The clocks of some rows, the one that comes first before the other."""
    present = set(timings["clock"])
    return [clock for clock in CLOCKS if clock in present]


def first_clock(rows: pd.DataFrame, by: Sequence[str] = ("case",)) -> pd.DataFrame:
    """The rows of the first clock that each case has, or each combination of the columns `by`.

    A method that waits for the device itself has no device time, so it drops out of cases that have one unless `by`
    tells methods apart.
    """
    place = rows["clock"].map(CLOCKS.index)
    first = place.groupby([rows[name] for name in by], sort=False).transform("min")
    return rows[place == first]


def shown_by(timings: pd.DataFrame, clock: str) -> pd.DataFrame:
    """The rows of a clock that are shown: all of the one that comes first; of the other those of the cases in which a
    phase takes over DIFFER longer by it, or has no time by the first."""
    rows = timings[timings["clock"] == clock]
    if clock == clocks_of(timings)[0]:
        return rows
    medians = timings.groupby(["case", "method", "phase", "clock"], sort=False)["seconds"].median().unstack("clock")
    others = medians.drop(columns=clock).min(axis=1)
    apart = medians[~(medians[clock] <= (1 + DIFFER) * others) & medians[clock].notna()]
    return rows[rows["case"].isin(apart.index.get_level_values("case"))]


def clock_words(rows: pd.DataFrame) -> str:
    """' by the device clock' of rows of one clock; '' on a CPU, which has one only."""
    if rows.empty or set(rows["device"]) == {HOST}:
        return ""
    return " by the " + " and the ".join(clocks_of(rows)) + " clock"


assert CLOCKS[-1] == WALL
