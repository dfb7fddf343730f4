"""Ratios of times: paired within a round, then one median a launch, then an interval over launches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from harness.vocabulary import BASE_PHASE

CONFIDENCE = 0.95

FEWEST_LAUNCHES = 3
"""Fewer have no interval: with one degree of freedom Student's t is 12.7, and an interval of logarithms that is so wide
ends at numbers such as 1e-265."""

WIDEST = np.log(1000.0)
"""Half of an interval of logarithms that is wider than this says nothing, and is not made either."""

OF_A_BLOCK = ("launch", "round", "position", "calls", "seconds")
"""Columns of timings.csv that differ between the blocks of one cell's phase by one clock."""


def paired_log_ratios(timings: pd.DataFrame, base: str = "native", base_phase: str | None = None) -> pd.DataFrame:
    """Rows of `timings` with log_ratio = ln(seconds / seconds of the base in the same round, by the same clock).

    The base of a phase is that phase of `base`, of build and apply its forward; or always `base_phase`. Rows of
    cases without the base are left out.
    """
    in_round = ["case", "launch", "round", "clock"]
    wanted = timings.assign(base_phase=base_phase or timings["phase"].map(BASE_PHASE))
    chosen = timings.loc[timings["method"] == base, [*in_round, "phase", "seconds"]]
    chosen = chosen.rename(columns={"phase": "base_phase", "seconds": "base_seconds"})
    paired = wanted.merge(chosen, on=[*in_round, "base_phase"])
    return paired.assign(log_ratio=np.log(paired["seconds"] / paired["base_seconds"])).drop(columns="base_phase")


def launch_medians(frame: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """The median of a column in each launch: the unit of every interval."""
    return frame.groupby([*by, "launch"], sort=False, observed=True)[value].median().reset_index()


def intervals(medians: pd.DataFrame, by: list[str], value: str, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Mean and Student's t interval (95 % unless another confidence is asked for) over launches, of logarithms: columns
    `mean low high launches`.

    low and high are NaN where there is no interval: under FEWEST_LAUNCHES launches, or where it would be wider than
    WIDEST to each side.
    """
    grouped = medians.groupby(by, sort=False, observed=True)[value]
    table = grouped.agg(mean="mean", spread="std", launches="count").reset_index()
    quantile = stats.t.ppf((1 + confidence) / 2, np.maximum(table["launches"] - 1, 1))
    half = quantile * table["spread"] / np.sqrt(table["launches"])
    half = half.where((table["launches"] >= FEWEST_LAUNCHES) & (half <= WIDEST))
    return table.assign(low=table["mean"] - half, high=table["mean"] + half).drop(columns="spread")


def without_interval(launches: int) -> str:
    """Why so few launches have no interval, and what would give one."""
    return f"{launches} launch{'' if launches == 1 else 'es'}: no interval; run with --launches {FEWEST_LAUNCHES}"


def speedups(timings: pd.DataFrame, base: str = "native", confidence: float = CONFIDENCE) -> pd.DataFrame:
    """How many times faster than the base each cell's phase is: columns `speedup low high launches`."""
    table = _by_cell(paired_log_ratios(timings, base), timings, confidence)
    faster = {"speedup": np.exp(-table["mean"]), "low": np.exp(-table["high"]), "high": np.exp(-table["low"])}
    return table.drop(columns=["mean"]).assign(**faster)


def multiples_of_read(timings: pd.DataFrame) -> pd.DataFrame:
    """Each cell's phase as a multiple of one read of y in the same round: columns `multiple low high launches`."""
    table = _by_cell(paired_log_ratios(timings, "read", "apply"), timings, CONFIDENCE)
    multiple = {"multiple": np.exp(table["mean"]), "low": np.exp(table["low"]), "high": np.exp(table["high"])}
    return table.drop(columns=["mean"]).assign(**multiple)


def _by_cell(pairs: pd.DataFrame, timings: pd.DataFrame, confidence: float) -> pd.DataFrame:
    by = [name for name in timings.columns if name not in OF_A_BLOCK]
    return intervals(launch_medians(pairs, by, "log_ratio"), by, "log_ratio", confidence)
