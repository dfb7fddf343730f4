"""Finds times that are too fast to be true: they contradict the speed of memory, or the other clock.

The least bytes that a phase must move, divided by its time, are compared with the rate of the yardsticks `copy` and
`read`. The yardsticks of the same case would not do: at small n they time the cost of a call, and S may be many times
as large as y. By them, 69 of the 1855 phases in the committed run of `speed` would be too fast, by up to 20 times. By
the rule below (`paces`) none is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.tables import Run, first_clock
from harness.verdicts.ratios import PHASE_OF_CELL, launch_medians
from harness.vocabulary import ALIKE_BYTES, CACHE, DEVICE_CLOCK, PACE_BOUND, WALL, YARDSTICKS


def believed(run: Run) -> pd.DataFrame:
    """The rows of timings.csv without the phases that are too fast to be true, or whose clocks contradict each other.

    Answers are made from these rows, so that a method that was not waited for cannot win. The phases that are left out
    are named by harness/report/doubts.py.
    """
    if run.timings.empty:
        return run.timings
    phases = paces(run.timings, run.memory)
    doubted = pd.concat(
        [phases.loc[phases["pace"] > PACE_BOUND, PHASE_OF_CELL], contradicted(run.timings)[PHASE_OF_CELL]]
    )
    if doubted.empty:
        return run.timings
    doubtful = pd.MultiIndex.from_frame(doubted.drop_duplicates())
    return run.timings[~pd.MultiIndex.from_frame(run.timings[PHASE_OF_CELL]).isin(doubtful)]


def paces(timings: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """Every timed phase except those of yardsticks: the cell, `phase`, and `pace`, its rate over a yardstick's.

    The rate of a phase is its least bytes over the median time of its slowest launch, by the device clock if it has
    times by that. It is divided by the fastest rate of a yardstick that moves about as many bytes (ALIKE_BYTES), with
    the same device, clock, threads and state of the cache, in its fastest launch. From the time of a yardstick the cost
    of a call is subtracted, which is estimated by the quickest of its cases, but at most half of the time. pace is NaN
    if no yardstick moves about as many bytes.
    """
    rows = _with_bytes(timings, memory)
    yardsticks = rows[rows["method"].isin(YARDSTICKS)]
    setting = [name for name in ("device", "clock", "threads", CACHE) if name in rows]
    of_call = yardsticks.groupby([*setting, "method"])["fastest"].transform("min")
    # The quickest case itself would be left with no time at all, and an infinite rate.
    moving = np.maximum(yardsticks["fastest"] - of_call, yardsticks["fastest"] / 2)
    yardsticks = yardsticks.assign(rate=yardsticks["min_bytes"] / moving)
    known = {key: (of["min_bytes"].to_numpy(), of["rate"].to_numpy()) for key, of in yardsticks.groupby(setting)}
    phases = first_clock(rows[~rows["method"].isin(YARDSTICKS)], PHASE_OF_CELL)
    best = [
        _fastest(known.get(key), least)
        for key, least in zip(phases[setting].itertuples(index=False, name=None), phases["min_bytes"], strict=True)
    ]
    return phases.assign(pace=phases["min_bytes"] / phases["slowest"] / np.array(best, dtype=float))


def contradicted(timings: pd.DataFrame) -> pd.DataFrame:
    """The phases that take over PACE_BOUND times as long by the device clock as by the wall clock.

    Columns: the cell, `phase` and `pace`, the ratio of the medians over blocks. Each clock has blocks of its own, in
    the same rounds.
    """
    key = _key(timings)
    if not {WALL, DEVICE_CLOCK} <= set(timings["clock"]):
        return pd.DataFrame(columns=[*key[:-1], "pace"])
    medians = timings.groupby(key, sort=False)["seconds"].median().unstack("clock")
    ratios = (medians[DEVICE_CLOCK] / medians[WALL]).rename("pace").reset_index()
    return ratios[ratios["pace"] > PACE_BOUND]


def _key(timings: pd.DataFrame) -> list[str]:
    names = list(timings.columns)
    return names[: names.index("clock") + 1]


def _with_bytes(timings: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """Every phase with its least bytes, and the median seconds of its fastest and of its slowest launch."""
    key = _key(timings)
    medians = launch_medians(timings, key, "seconds").groupby(key, sort=False)["seconds"]
    seconds = medians.agg(fastest="min", slowest="max").reset_index()
    return seconds.merge(memory.groupby(PHASE_OF_CELL)["min_bytes"].max().reset_index(), on=PHASE_OF_CELL)


def _fastest(yardsticks: tuple[np.ndarray, np.ndarray] | None, least: int) -> float:
    """The fastest rate, in bytes per second, of those yardsticks (bytes, rates) that move about `least` bytes."""
    if yardsticks is None:
        return float("nan")
    moved, rate = yardsticks
    alike = rate[(moved >= least / ALIKE_BYTES) & (moved <= least * ALIKE_BYTES)]
    return float(alike.max()) if alike.size else float("nan")
