"""Ratios of times: paired within a round, reduced to one median per launch, with an interval over launches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from harness.vocabulary import BASE_PHASE, many

CONFIDENCE = 0.95

FEWEST_LAUNCHES = 3
"""The least number of launches for an interval. With two, Student's t is 12.7 (one degree of freedom), and the ends of
so wide an interval of logarithms are numbers such as 1e-265."""

WIDEST = np.log(1000.0)
"""An interval of logarithms wider than this to each side says nothing, and is left out (NaN)."""

PHASE_OF_CELL = ["case", "method", "phase"]
"""The columns that identify a phase of a cell."""

LAUNCH_OF_PHASE = [*PHASE_OF_CELL, "clock", "launch"]
"""The columns that identify the blocks of one phase of a cell in one launch, by one clock."""

OF_A_BLOCK = ("launch", "round", "position", "calls", "seconds")
"""The columns of timings.csv that differ between the blocks of one phase of a cell by one clock."""


def paired_log_ratios(timings: pd.DataFrame, base: str = "native", base_phase: str | None = None) -> pd.DataFrame:
    """Rows of `timings` with log_ratio = ln(seconds / seconds of the base in the same round, by the same clock).

    A phase is compared with the same phase of the method `base`, and build and apply with its forward; if `base_phase`
    is given, every phase is compared with that one. Rows of cases without the base are left out.
    """
    in_round = ["case", "launch", "round", "clock"]
    rows = timings.assign(base_phase=base_phase or timings["phase"].map(BASE_PHASE))
    of_base = timings.loc[timings["method"] == base, [*in_round, "phase", "seconds"]]
    of_base = of_base.rename(columns={"phase": "base_phase", "seconds": "base_seconds"})
    paired = rows.merge(of_base, on=[*in_round, "base_phase"])
    return paired.assign(log_ratio=np.log(paired["seconds"] / paired["base_seconds"])).drop(columns="base_phase")


def launch_medians(frame: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """The median of a column in each launch; the launch is the unit of every interval."""
    return frame.groupby([*by, "launch"], sort=False, observed=True)[value].median().reset_index()


def numbered(rows: pd.DataFrame, by: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """The number of each row's group, from 0 in the order of appearance, and the first row of each group.

    by: a few columns that determine the others: pandas takes as long for every further column that it groups by.
    """
    number = rows.groupby(by, sort=False).ngroup().to_numpy()
    return number, rows[~pd.Series(number).duplicated().to_numpy()].reset_index(drop=True)


def intervals(medians: pd.DataFrame, by: list[str], value: str, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Mean and Student's t interval of logarithms over launches: columns `mean low high launches`.

    low and high are NaN with fewer than FEWEST_LAUNCHES launches, or if they would be farther than WIDEST from the
    mean.
    """
    grouped = medians.groupby(by, sort=False, observed=True)[value]
    table = grouped.agg(mean="mean", spread="std", launches="count").reset_index()
    quantile = special.stdtrit(np.maximum(table["launches"] - 1, 1), (1 + confidence) / 2)
    half = quantile * table["spread"] / np.sqrt(table["launches"])
    half = half.where((table["launches"] >= FEWEST_LAUNCHES) & (half <= WIDEST))
    return table.assign(low=table["mean"] - half, high=table["mean"] + half).drop(columns="spread")


def without_interval(launches: int) -> str:
    """Says that this many launches have no interval, and how to get one."""
    return f"{many(launches, 'launch', 'launches')}: no interval; run with --launches {FEWEST_LAUNCHES}"


def speedups(timings: pd.DataFrame, base: str = "native", confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Speed-up over the base of every phase of a cell: columns `speedup low high launches`."""
    table = _by_cell(paired_log_ratios(timings, base), timings, confidence)
    faster = {"speedup": np.exp(-table["mean"]), "low": np.exp(-table["high"]), "high": np.exp(-table["low"])}
    return table.drop(columns=["mean"]).assign(**faster)


def multiples_of_read(timings: pd.DataFrame) -> pd.DataFrame:
    """Time of every phase of a cell as a multiple of one read of y in the same round: `multiple low high launches`."""
    table = _by_cell(paired_log_ratios(timings, "read", "apply"), timings, CONFIDENCE)
    multiple = {"multiple": np.exp(table["mean"]), "low": np.exp(table["low"]), "high": np.exp(table["high"])}
    return table.drop(columns=["mean"]).assign(**multiple)


def _by_cell(pairs: pd.DataFrame, timings: pd.DataFrame, confidence: float) -> pd.DataFrame:
    by = [name for name in timings.columns if name not in OF_A_BLOCK]
    return intervals(launch_medians(pairs, by, "log_ratio"), by, "log_ratio", confidence)
