"""What changed between two sides, quantity by quantity: an effect, its standard error and its degrees of freedom.

Frames in, frames out. An effect is a natural logarithm of head over base; its unit of replication is the launch.
A duel gives pairs (both sides in the same rounds), two recorded runs give levels (times as multiples of one read of y
in the same rounds), which are compared as independent samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.tables import first_clock
from harness.verdicts.ratios import OF_A_BLOCK, paired_log_ratios

QUANTITY = ("kind", "phase", "tensor", "reference", "metric")
"""What a verdict is of, beside the cell."""

IDENTITY = ["case", "method", *QUANTITY]

MEMORY_FLOOR = float(1 << 20)
"""Bytes added to every peak: a page more or less of nearly nothing is no change."""

READ = "read"
"""The yardstick in whose multiples a level of time is told."""

NOT_JUDGED = ("copy", READ)


def paired_times(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (median seconds a call), log_ratio (median over the paired rounds)."""
    both = _by_first_clock(_side_by_side(base, head, ["phase", "clock", "launch", "round"], "seconds"))
    both["log_ratio"] = np.log(both["head"] / both["base"])
    by = [name for name in both.columns if name not in ("round", "base", "head", "log_ratio")]
    medians = both.groupby(by, sort=False)[["base", "head", "log_ratio"]].median().reset_index()
    return _quantity(medians, "time")


def paired_memory(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (peak bytes), log_ratio of both plus MEMORY_FLOOR."""
    both = _side_by_side(base, head, ["phase", "launch"], "peak_bytes").dropna(subset=["base", "head"])
    both["log_ratio"] = np.log((both["head"] + MEMORY_FLOOR) / (both["base"] + MEMORY_FLOOR))
    return _quantity(both, "memory")


def time_levels(timings: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (median seconds a call), log_level (of its multiple of one read of y)."""
    paired = paired_log_ratios(timings, READ, base_phase="apply").rename(columns={"log_ratio": "log_level"})
    paired = _by_first_clock(paired[~paired["method"].isin(NOT_JUDGED)])
    by = [*(name for name in timings.columns if name not in (*OF_A_BLOCK, "clock")), "launch"]
    medians = paired.groupby(by, sort=False)[["seconds", "log_level"]].median().reset_index()
    return _quantity(medians.rename(columns={"seconds": "value"}), "time")


def memory_levels(memory: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (peak bytes), log_level of it plus MEMORY_FLOOR."""
    known = memory[~memory["method"].isin(NOT_JUDGED)].dropna(subset=["peak_bytes"])
    known = known.rename(columns={"peak_bytes": "value"}).drop(columns="min_bytes")
    return _quantity(known.assign(log_level=np.log(known["value"] + MEMORY_FLOOR)), "memory")


def changes_of_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Per quantity: base, head, effect, error, freedom, launches of paired launches."""
    by = _cell_and_quantity(pairs.columns)
    table = pairs.groupby(by, sort=False).agg(
        base=("base", "median"),
        head=("head", "median"),
        effect=("log_ratio", "mean"),
        spread=("log_ratio", "std"),
        launches=("log_ratio", "size"),
        known=("log_ratio", "count"),
    )
    table = table.reset_index()
    error = table.pop("spread") / np.sqrt(table["launches"])
    whole = table.pop("known") == table["launches"]  # the mean would pass over a NaN
    return table.assign(effect=table["effect"].where(whole), error=error, freedom=table["launches"] - 1.0)


def changes_of_levels(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity: base, head, effect, error, freedom, launches (of the side with fewer) of independent launches.

    Both have the column `run`, of which the head has one. Welch (1947): the variances add, and the degrees of freedom
    are those of Satterthwaite. Where the base pools several runs the head is one run more: the spread between runs
    counts if it is larger, and there are as many degrees of freedom as runs less one, whichever it is; to choose them
    by what was found would make the interval too short where the runs happen to agree.
    """
    by = _cell_and_quantity(head.columns)
    one, two = _moments(base, by), _moments(head, by)
    both = one.merge(two, left_index=True, right_index=True, suffixes=("_base", "_head"))
    within = both["variance_base"] + both["variance_head"]
    satterthwaite = within**2 / (
        both["variance_base"] ** 2 / (both["launches_base"] - 1)
        + both["variance_head"] ** 2 / (both["launches_head"] - 1)
    )
    pooled = both["runs_base"] > 1
    smallest = both[["launches_base", "launches_head"]].min(axis=1)
    table = pd.DataFrame(
        {
            "base": both["value_base"],
            "head": both["value_head"],
            "effect": both["mean_head"] - both["mean_base"],
            "launches": smallest.astype(int),
            "error": np.sqrt(np.where(pooled, np.fmax(both["between_base"], within), within)),
            "freedom": np.where(pooled, both["runs_base"] - 1, satterthwaite.fillna(smallest - 1)),
        }
    )
    return table.reset_index()


def errors(discrepancies: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """The figures of the methods that are judged, one row a quantity: column `value`."""
    rows = discrepancies[(discrepancies["of"] == "method") & discrepancies["metric"].isin(list(metrics))]
    return rows.drop(columns=["of", "launch"]).assign(kind="error", phase="")


def _moments(levels: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per quantity: mean of the launches and its variance; and the variance of one run more about the mean of those
    that there are, NaN for a single one."""
    launches = levels.groupby(by, sort=False).agg(
        mean=("log_level", "mean"),
        spread=("log_level", "var"),
        launches=("log_level", "size"),
        known=("log_level", "count"),
        value=("value", "median"),
    )
    whole = launches.pop("known") == launches["launches"]  # the mean would pass over a NaN
    runs = levels.groupby([*by, "run"], sort=False)["log_level"].mean().groupby(by, sort=False).agg(["var", "count"])
    return launches.assign(
        mean=launches["mean"].where(whole),
        variance=launches["spread"] / launches["launches"],
        runs=runs["count"],
        between=runs["var"] * (1 + 1 / runs["count"]),
    )


def _side_by_side(base: pd.DataFrame, head: pd.DataFrame, within: list[str], value: str) -> pd.DataFrame:
    """Rows of both sides that belong together, their value as columns `base` and `head`; yardsticks left out."""
    on = ["case", "method", *within]
    mine = head[~head["method"].isin(NOT_JUDGED)].rename(columns={value: "head"})
    others = [name for name in ("position", "calls", "min_bytes") if name in mine]
    theirs = base[[*on, value]].rename(columns={value: "base"})
    return mine.drop(columns=others).merge(theirs, on=on)


def _by_first_clock(rows: pd.DataFrame) -> pd.DataFrame:
    """Times of one clock for each cell's phase: the device's where it has one."""
    return first_clock(rows, ("case", "method", "phase")).drop(columns="clock")


def _quantity(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    return rows.assign(kind=kind, tensor="", reference="", metric="")


def _cell_and_quantity(columns: Iterable[str]) -> list[str]:
    figures = {"launch", "run", "base", "head", "log_ratio", "value", "log_level"}
    return [name for name in columns if name not in figures]
