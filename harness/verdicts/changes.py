"""What changed between two sides, quantity by quantity: an effect, its standard error and its degrees of freedom.

Frames in, frames out. An effect is a natural logarithm of head over base; its unit of replication is the launch.
A duel gives pairs (both sides in the same rounds), two recorded runs give levels (times as multiples of one read of y
in the same rounds), which are compared as independent samples. A figure that every launch repeats has no spread: such
quantities are taken out first (`unvarying_pairs`, `unvarying_levels`), to be compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.verdicts.floors import added
from harness.verdicts.pooling import pooled_variances
from harness.verdicts.ratios import OF_A_BLOCK, paired_log_ratios

QUANTITY = ("kind", "phase", "clock", "tensor", "reference", "metric")
"""What a verdict is of, beside the cell. A time by the wall clock and one by the device's are two quantities."""

IDENTITY = ["case", "method", *QUANTITY]

READ = "read"
"""The yardstick in whose multiples a level of time is told."""

NOT_JUDGED = ("copy", READ)

FEWEST_REPEATS = {"memory": 2, "error": 1}
"""kind -> launches a side that must repeat a figure before it counts as one without spread. Errors are measured in
every launch only where they vary. A time never counts: a clock that says the same twice has only been read coarsely."""


def paired_times(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (median seconds a call), log_ratio (median over the paired rounds)."""
    both = _side_by_side(base, head, ["phase", "clock", "launch", "round"], "seconds")
    both["log_ratio"] = np.log(both["head"] / both["base"])
    by = [name for name in both.columns if name not in ("round", "base", "head", "log_ratio")]
    medians = both.groupby(by, sort=False)[["base", "head", "log_ratio"]].median().reset_index()
    return _quantity(medians, "time")


def paired_memory(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (peak bytes), log_ratio of both plus what is added to a peak."""
    both = _side_by_side(base, head, ["phase", "launch"], "peak_bytes").dropna(subset=["base", "head"])
    return _with_log_ratio(_quantity(both, "memory").assign(clock=""))


def paired_errors(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch, of rows of `errors`: base and head, log_ratio of both plus the metric's unit."""
    return _with_log_ratio(_side_by_side(base, head, [*QUANTITY, "launch"], "value"))


def time_levels(timings: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (median seconds a call), log_level (of its multiple of one read of y)."""
    paired = paired_log_ratios(timings, READ, base_phase="apply").rename(columns={"log_ratio": "log_level"})
    paired = paired[~paired["method"].isin(NOT_JUDGED)]
    by = [*(name for name in timings.columns if name not in OF_A_BLOCK), "launch"]
    medians = paired.groupby(by, sort=False)[["seconds", "log_level"]].median().reset_index()
    return _quantity(medians.rename(columns={"seconds": "value"}), "time")


def memory_levels(memory: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (peak bytes), log_level of it plus what is added to a peak."""
    known = memory[~memory["method"].isin(NOT_JUDGED)].dropna(subset=["peak_bytes"])
    known = known.rename(columns={"peak_bytes": "value"}).drop(columns="min_bytes")
    return _with_log_level(_quantity(known, "memory").assign(clock=""))


def error_levels(discrepancies: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """Per quantity and launch: value, log_level of it plus the metric's unit."""
    return _with_log_level(errors(discrepancies, metrics))


def errors(discrepancies: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """The figures of the methods that are judged, a row for each launch: column `value`."""
    rows = discrepancies[(discrepancies["of"] == "method") & discrepancies["metric"].isin(list(metrics))]
    return rows.drop(columns="of").assign(kind="error", phase="", clock="")


def unvarying_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Per quantity whose figure each side repeats in every launch, or of which a figure is not finite: base, head,
    launches."""
    by = _cell_and_quantity(pairs.columns)
    return _unvarying(*(_repeated(pairs.rename(columns={side: "value"}), by) for side in ("base", "head")))


def unvarying_levels(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """The same of levels; those of the base may be of several runs."""
    by = _cell_and_quantity(head.columns)
    return _unvarying(_repeated(base, by), _repeated(head, by))


def without(samples: pd.DataFrame, quantities: pd.DataFrame) -> pd.DataFrame:
    """The rows of `samples` whose quantity is not among `quantities`."""
    ours, theirs = (pd.MultiIndex.from_frame(each[IDENTITY]) for each in (samples, quantities))
    return samples[~ours.isin(theirs)]


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

    Both have the column `run`, of which the head has one. Where the base is one run too, this is Welch (1947): the
    variances add, and the degrees of freedom are those of Satterthwaite. Where it is several, the head is one run
    more, and what counts is the variance between runs, which is pooled over quantities (`pooled_variances`): three to
    five runs alone know it too badly to find anything.
    """
    by = _cell_and_quantity(head.columns)
    one, two = _moments(base, by), _moments(head, by)
    both = one.merge(two, left_index=True, right_index=True, suffixes=("_base", "_head"))
    smallest = both[["launches_base", "launches_head"]].min(axis=1)
    table = pd.DataFrame(
        {
            "base": both["value_base"],
            "head": both["value_head"],
            "effect": both["mean_head"] - both["mean_base"],
            "launches": smallest.astype(int),
        }
    )
    variance = both["variance_base"] + both["variance_head"]
    satterthwaite = variance**2 / (
        both["variance_base"] ** 2 / (both["launches_base"] - 1)
        + both["variance_head"] ** 2 / (both["launches_head"] - 1)
    )
    freedom = satterthwaite.fillna(smallest - 1)
    pooled = both["runs_base"] > 1
    if pooled.any():
        runs = both.loc[pooled, "runs_base"]
        own = both.loc[pooled].reset_index()
        of_a_run, known_by = pooled_variances(own["between_base"], own["within_base"], own["runs_base"], own)
        of_a_run.index = known_by.index = runs.index
        # The head is one run more, whose own launches may spread more than those of the base.
        wider = (both["variance_head"] - both["within_base"]).clip(lower=0)[pooled]
        variance = variance.where(~pooled, of_a_run / runs + of_a_run + wider)
        freedom = freedom.where(~pooled, known_by)
    return table.assign(error=np.sqrt(variance), freedom=freedom).reset_index()


def _moments(levels: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per quantity: value (median), mean, launches, runs; variance of the mean by the spread of all launches; within,
    the variance of one run's mean by the spread of its own launches; between, the variance of the runs' means, NaN of
    a single one."""
    launches = levels.groupby(by, sort=False).agg(
        mean=("log_level", "mean"),
        spread=("log_level", "var"),
        launches=("log_level", "size"),
        known=("log_level", "count"),
        value=("value", "median"),
    )
    whole = launches.pop("known") == launches["launches"]  # the mean would pass over a NaN
    of_run = levels.groupby([*by, "run"], sort=False)["log_level"].agg(["mean", "var", "size"])
    of_run = of_run.assign(within=of_run["var"] / of_run["size"])
    runs = of_run.groupby(by, sort=False).agg(
        within=("within", "mean"), between=("mean", "var"), runs=("mean", "count")
    )
    return launches.assign(
        mean=launches["mean"].where(whole),
        variance=launches["spread"] / launches["launches"],
        within=runs["within"],
        between=runs["between"],
        runs=runs["runs"],
    )


def _repeated(samples: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per quantity: value (the worst of its launches, where NaN is worse than infinity), launches, finite, and whether
    enough launches have this one value."""
    judged = samples[samples["kind"].isin(FEWEST_REPEATS)]
    table = judged.groupby(by, sort=False)["value"].agg(
        value=lambda each: np.max(each.to_numpy(dtype=float)), launches="size", different="nunique"
    )
    enough = table["launches"] >= table.index.get_level_values("kind").map(FEWEST_REPEATS).to_numpy(dtype=float)
    return table.assign(finite=np.isfinite(table["value"]), repeated=enough & (table.pop("different") == 1))


def _unvarying(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Both sides of what _repeated says, where both repeat their figure; or where a figure of either is not finite, so
    that its launches have no mean."""
    both = base.merge(head, left_index=True, right_index=True, suffixes=("_base", "_head"))
    chosen = (both["repeated_base"] & both["repeated_head"]) | ~(both["finite_base"] & both["finite_head"])
    both = both[chosen].rename(columns={"value_base": "base", "value_head": "head"})
    launches = both[["launches_base", "launches_head"]].min(axis=1).astype(int)
    return both[["base", "head"]].assign(launches=launches).reset_index()


def _side_by_side(base: pd.DataFrame, head: pd.DataFrame, within: list[str], value: str) -> pd.DataFrame:
    """Rows of both sides that belong together, their value as columns `base` and `head`; yardsticks left out."""
    on = ["case", "method", *within]
    mine = head[~head["method"].isin(NOT_JUDGED)].rename(columns={value: "head"})
    others = [name for name in ("position", "calls", "min_bytes") if name in mine]
    theirs = base[[*on, value]].rename(columns={value: "base"})
    return mine.drop(columns=others).merge(theirs, on=on)


def _quantity(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    return rows.assign(kind=kind, tensor="", reference="", metric="")


def _with_log_ratio(pairs: pd.DataFrame) -> pd.DataFrame:
    more = added(pairs)
    with np.errstate(invalid="ignore"):
        return pairs.assign(log_ratio=np.log(pairs["head"] + more) - np.log(pairs["base"] + more))


def _with_log_level(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(log_level=np.log(rows["value"] + added(rows)))


def _cell_and_quantity(columns: Iterable[str]) -> list[str]:
    figures = {"launch", "run", "base", "head", "log_ratio", "value", "log_level"}
    return [name for name in columns if name not in figures]
