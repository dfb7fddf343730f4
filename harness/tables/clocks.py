"""Which clock a time was read from: readers take the times of one clock, and never mix two.

A block is timed by the `wall` clock, which counts what a caller waits, or by the `device` clock, which excludes kernel
launches (harness/device/clock.py describes both). On a CPU all times are of the wall clock. On an accelerator those of
the device clock come first, and the wall clock is shown beside them where the two differ by more than DIFFER.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from harness.vocabulary import CLOCKS, HOST, WALL

DIFFER = 0.10
"""The wall clock is shown beside the device clock where its times are longer by more than this share."""


def clocks_of(timings: pd.DataFrame) -> list[str]:
    """The clocks in these rows, in the order of CLOCKS."""
    present = set(timings["clock"])
    return [clock for clock in CLOCKS if clock in present]


def first_clock(rows: pd.DataFrame, by: Sequence[str] = ("case",)) -> pd.DataFrame:
    """Of every case (or every combination of the columns `by`) the rows of the first of its clocks.

    A method that waits for the device itself has no device time. So it drops out of a case in which others have one,
    unless `by` includes the method.
    """
    order = rows["clock"].map(CLOCKS.index)
    first = order.groupby([rows[name] for name in by], sort=False).transform("min")
    return rows[order == first]


def shown_by(timings: pd.DataFrame, clock: str) -> pd.DataFrame:
    """The rows of a clock that are shown.

    Of the first clock these are all rows. Of the other they are the rows of those cases in which a phase takes longer
    by more than DIFFER, or has no time by the first clock.
    """
    rows = timings[timings["clock"] == clock]
    if clock == clocks_of(timings)[0]:
        return rows
    medians = timings.groupby(["case", "method", "phase", "clock"], sort=False)["seconds"].median().unstack("clock")
    others = medians.drop(columns=clock).min(axis=1)
    # Negated, so that a phase without a time by the first clock (NaN) differs too.
    unlike = medians[~(medians[clock] <= (1 + DIFFER) * others) & medians[clock].notna()]
    return rows[rows["case"].isin(unlike.index.get_level_values("case"))]


def clock_words(rows: pd.DataFrame) -> str:
    """The clock of these rows in words, such as ' by the device clock'; '' on a CPU, which has only one clock."""
    if rows.empty or set(rows["device"]) == {HOST}:
        return ""
    return " by the " + " and the ".join(clocks_of(rows)) + " clock"


assert CLOCKS[-1] == WALL  # the device clock comes first wherever both were read
