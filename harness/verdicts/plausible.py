"""Can it be so fast? Times that contradict what memory does, or what the device says.

What a phase must move at least, over its time, is held to what the yardsticks `copy` and `read` reach. Not to those
of its own case: at small n they time the cost of a call, and S may be many times as large as y. In the committed run of
`speed`, 69 of 1855 phases would be too fast by that, up to 20 times, and none is by the following.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.tables import Run, first_clock
from harness.verdicts.ratios import launch_medians
from harness.verdicts.wording import axes_of, case_name
from harness.vocabulary import ALIKE_BYTES, CACHE, DEVICE_CLOCK, PACE_BOUND, WALL, YARDSTICKS

CELL = ["case", "method", "phase"]

NAMED_PHASES = 3


def doubts(run: Run) -> Iterator[str]:
    """A line for each self-check of a run that failed, with the cells that are worst; none, if all is well."""
    if run.timings.empty:
        return
    found = paces(run.timings, run.memory)
    fast = found[found["pace"] > PACE_BOUND]
    if not fast.empty:
        yield (
            f"too fast to be true: {len(fast)} of {len(found)} phases move their bytes over {PACE_BOUND} times as fast "
            f"as the better yardstick: {_worst(fast)}: a missing synchronise, work optimised away, or a nearer cache"
        )
    if found["pace"].isna().all():
        yield "bytes per second: no phase could be held to a yardstick"
    if not (against := contradicted(run.timings)).empty:
        yield f"the device clock says more than the wall clock: {_worst(against)}: the wall clock does not wait"


def believed(run: Run) -> pd.DataFrame:
    """The rows of timings.csv without the phases that are too fast to be true, or whose clocks contradict each other.

    They are what an answer is made of: a method that was not waited for must not win. `doubts` names what is left out.
    """
    if run.timings.empty:
        return run.timings
    found = paces(run.timings, run.memory)
    doubted = pd.concat([found.loc[found["pace"] > PACE_BOUND, CELL], contradicted(run.timings)[CELL]])
    if doubted.empty:
        return run.timings
    doubtful = pd.MultiIndex.from_frame(doubted.drop_duplicates())
    return run.timings[~pd.MultiIndex.from_frame(run.timings[CELL]).isin(doubtful)]


def paces(timings: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """Every timed phase but the yardsticks': the cell, `phase`, and `pace`, its bytes per second over the yardstick's.

    Of the phase the slowest launch counts, of the yardsticks of its device, threads and state of the cache the fastest
    one, all by the device clock where a phase has a time by it. Their times are less the cost of a call, which the
    quickest of their cases tells, but not less than half. pace is NaN where the run has no yardstick that moves about
    as many bytes.
    """
    rows = _with_bytes(timings, memory)
    yardsticks = rows[rows["method"].isin(YARDSTICKS)]
    setting = [name for name in ("device", "clock", "threads", CACHE) if name in rows]
    of_call = yardsticks.groupby([*setting, "method"])["fastest"].transform("min")
    moving = np.maximum(yardsticks["fastest"] - of_call, yardsticks["fastest"] / 2)
    yardsticks = yardsticks.assign(rate=yardsticks["min_bytes"] / moving)
    known = {key: (each["min_bytes"].to_numpy(), each["rate"].to_numpy()) for key, each in yardsticks.groupby(setting)}
    phases = first_clock(rows[~rows["method"].isin(YARDSTICKS)], CELL)
    best = [
        _fastest(known.get(key), least)
        for key, least in zip(phases[setting].itertuples(index=False, name=None), phases["min_bytes"], strict=True)
    ]
    return phases.assign(pace=phases["min_bytes"] / phases["slowest"] / np.array(best, dtype=float))


def contradicted(timings: pd.DataFrame) -> pd.DataFrame:
    """Phases that take over PACE_BOUND times as long by the device clock as by the wall clock, in the median over
    blocks: the cell, `phase` and `pace`, the one over the other. Each clock has its own blocks, in the same rounds."""
    medians = timings.groupby(_key(timings), sort=False)["seconds"].median().unstack("clock")
    if not {WALL, DEVICE_CLOCK} <= set(medians):
        return pd.DataFrame(columns=[*medians.index.names, "pace"])
    found = (medians[DEVICE_CLOCK] / medians[WALL]).rename("pace").reset_index()
    return found[found["pace"] > PACE_BOUND]


def _key(timings: pd.DataFrame) -> list[str]:
    names = list(timings.columns)
    return names[: names.index("clock") + 1]


def _with_bytes(timings: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """Every phase: its least bytes, and the medians of its slowest and of its fastest launch in seconds."""
    key = _key(timings)
    medians = launch_medians(timings, key, "seconds").groupby(key, sort=False)["seconds"]
    lasted = medians.agg(fastest="min", slowest="max").reset_index()
    return lasted.merge(memory.groupby(CELL)["min_bytes"].max().reset_index(), on=CELL)


def _fastest(yardsticks: tuple[np.ndarray, np.ndarray] | None, least: int) -> float:
    if yardsticks is None:
        return float("nan")
    moved, rate = yardsticks
    alike = rate[(moved >= least / ALIKE_BYTES) & (moved <= least * ALIKE_BYTES)]
    return float(alike.max()) if alike.size else float("nan")


def _worst(rows: pd.DataFrame) -> str:
    worst = rows.sort_values("pace", ascending=False).head(NAMED_PHASES).to_dict("records")
    told = [f"{row['method']} {case_name(axes_of(row, 'phase'))}, {row['phase']} ({row['pace']:.2g}x)" for row in worst]
    return "; ".join(told) + (f"; and {len(rows) - len(told)} more" if len(rows) > len(told) else "")
