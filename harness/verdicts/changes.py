"""Computes what changed between two sides: for each quantity an effect, its standard error and degrees of freedom.

Frames in, frames out. An effect is the natural logarithm of head over base; the unit of replication is the launch.
A duel gives pairs: both sides were timed in the same rounds. Two recorded runs give levels (a time is a multiple of one
read of y in the same round), which are compared as independent samples. A figure that every launch repeats has no
spread, so it is compared without statistics: `unvarying_pairs` and `unvarying_levels` find such quantities first.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.verdicts.floors import added
from harness.verdicts.pooling import pooled_variances
from harness.verdicts.ratios import LAUNCH_OF_PHASE, OF_A_BLOCK, numbered, paired_log_ratios
from harness.vocabulary import YARDSTICKS

QUANTITY = ("kind", "phase", "clock", "tensor", "reference", "metric")
"""The columns that, with the cell, identify a quantity. A time by the wall clock and one by the device clock are two
quantities."""

IDENTITY = ["case", "method", *QUANTITY]

READ = "read"
"""The yardstick whose multiples are the levels of times."""

FEWEST_REPEATS = {"memory": 2, "error": 1}
"""kind -> how many launches of a side must repeat a figure before it counts as one without spread.

One is enough for errors, because they are measured in later launches only where they vary. A time is never without
spread: a clock that shows the same time twice was only read coarsely.
"""


def paired_times(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (median seconds a call), log_ratio (median over the paired rounds)."""
    both = _side_by_side(base, head, ["phase", "clock", "launch", "round"], "seconds")
    # Taken within a round, in which a disturbance hits both sides, and only then reduced to one number a launch.
    both["log_ratio"] = np.log(both["head"] / both["base"])
    number, launches = numbered(both.drop(columns="round"), LAUNCH_OF_PHASE)
    figures = ["base", "head", "log_ratio"]
    launches[figures] = both.groupby(number, sort=False)[figures].median()
    return _quantity(launches, "time")


def paired_memory(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: base and head (peak bytes), log_ratio (after `added` is added to both)."""
    both = _side_by_side(base, head, ["phase", "launch"], "peak_bytes").dropna(subset=["base", "head"])
    return _with_log_ratio(_quantity(both, "memory").assign(clock=""))


def paired_errors(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch, for rows of `errors`: base and head, log_ratio (after `added` is added to both)."""
    return _with_log_ratio(_side_by_side(base, head, [*QUANTITY, "launch"], "value"))


def time_levels(timings: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (median seconds a call), log_level (log of its multiple of one read of y)."""
    paired = paired_log_ratios(timings, READ, base_phase="apply").rename(columns={"log_ratio": "log_level"})
    paired = paired[~paired["method"].isin(YARDSTICKS)]
    columns = [*(name for name in timings.columns if name not in OF_A_BLOCK), "launch"]
    number, launches = numbered(paired[columns], LAUNCH_OF_PHASE)
    launches[["value", "log_level"]] = paired.groupby(number, sort=False)[["seconds", "log_level"]].median()
    return _quantity(launches, "time")


def memory_levels(memory: pd.DataFrame) -> pd.DataFrame:
    """Per quantity and launch: value (peak bytes), log_level (log of value + `added`)."""
    known = memory[~memory["method"].isin(YARDSTICKS)].dropna(subset=["peak_bytes"])
    known = known.rename(columns={"peak_bytes": "value"}).drop(columns="min_bytes")
    return _with_log_level(_quantity(known, "memory").assign(clock=""))


def error_levels(discrepancies: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """Per quantity and launch: value, log_level (log of value + `added`)."""
    return _with_log_level(errors(discrepancies, metrics))


def errors(discrepancies: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """The errors of methods by the given metrics, with the columns of a quantity: one row per launch, `value`."""
    rows = discrepancies[(discrepancies["of"] == "method") & discrepancies["metric"].isin(list(metrics))]
    return rows.drop(columns="of").assign(kind="error", phase="", clock="")


def unvarying_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Per quantity that is compared without statistics: base, head, launches.

    These are the quantities whose figure each side repeats in every launch, and those with a figure that is not finite.
    """
    by = _cell_and_quantity(pairs.columns)
    if pairs.empty:
        return pairs[[*by, "base", "head"]].assign(launches=0)
    number, quantities = numbered(pairs[by], IDENTITY)
    one, two = (_repeated(pairs.rename(columns={side: "value"}), number) for side in ("base", "head"))
    return _unvarying(one, two, quantities)


def unvarying_levels(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """The same for levels; those of the base may come from several runs."""
    both = pd.concat([base, head], ignore_index=True)
    number, quantities = numbered(both[_cell_and_quantity(head.columns)], IDENTITY)
    return _unvarying(_repeated(base, number[: len(base)]), _repeated(head, number[len(base) :]), quantities)


def not_finite(figures: pd.DataFrame) -> pd.DataFrame:
    """The rows of `figures` (with columns `base head`) in which a side is NaN or infinite."""
    return figures[~(np.isfinite(figures["base"]) & np.isfinite(figures["head"]))]


def without(samples: pd.DataFrame, quantities: pd.DataFrame) -> pd.DataFrame:
    """The rows of `samples` whose quantity is not among `quantities`."""
    if quantities.empty:
        return samples
    ours, theirs = (pd.MultiIndex.from_frame(rows[IDENTITY]) for rows in (samples, quantities))
    return samples[~ours.isin(theirs)]


def changes_of_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Per quantity, from paired launches: base, head, effect, error, freedom, launches."""
    number, quantities = numbered(pairs[_cell_and_quantity(pairs.columns)], IDENTITY)
    groups = pairs.groupby(number, sort=False)
    of_logs = groups["log_ratio"].agg(["mean", "std", "size", "count"])
    launches = of_logs["size"]
    effect = of_logs["mean"].where(of_logs["count"] == launches)  # pandas' mean skips NaN, and must not do so unnoticed
    error = of_logs["std"] / np.sqrt(launches)
    table = groups[["base", "head"]].median().assign(effect=effect, launches=launches, error=error)
    return pd.concat([quantities, table.assign(freedom=launches - 1.0)], axis=1)


def changes_of_levels(base: pd.DataFrame, head: pd.DataFrame) -> pd.DataFrame:
    """Per quantity, from independent launches: base, head, effect, error, freedom, launches (of the side with fewer).

    Both frames have the column `run`; the head is one run. If the base is one run too, this is Welch's test (1947): the
    variances add, and the degrees of freedom are Satterthwaite's. If the base is several runs, the head is regarded as
    one more of them, and the variance between runs counts. It is pooled over quantities (`pooled_variances`), because
    three to five runs alone determine it too poorly to find anything.
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
    pooled = both.groupby(level="kind")["runs_base"].transform("max") > 1
    if pooled.any():
        runs = both.loc[pooled, "runs_base"]
        own = both.loc[pooled].reset_index()
        of_a_run, known_by = pooled_variances(own["between_base"], own["within_base"], own["runs_base"], own)
        of_a_run.index = known_by.index = runs.index
        # The launches of the head may spread more than those of the base, which the pooled variance does not show.
        wider = (both["variance_head"] - both["within_base"]).clip(lower=0)[pooled]
        variance = variance.where(~pooled, of_a_run / runs + of_a_run + wider)
        freedom = freedom.where(~pooled, known_by)
    return table.assign(error=np.sqrt(variance), freedom=freedom).reset_index()


def _moments(levels: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Per quantity the moments of log_level: mean (of the means of the runs), launches, runs, and value (the median
    figure); further

    variance: of the mean, estimated from the spread of all launches;
    within: of one run's mean, estimated from the spread of its own launches;
    between: of the means of the runs; NaN for a single run.
    """
    launches = levels.groupby(by, sort=False).agg(
        spread=("log_level", "var"),
        launches=("log_level", "size"),
        known=("log_level", "count"),
        value=("value", "median"),
    )
    whole = launches.pop("known") == launches["launches"]  # pandas' mean skips NaN, which must not pass unnoticed
    of_run = levels.groupby([*by, "run"], sort=False)["log_level"].agg(["mean", "var", "size"])
    of_run = of_run.assign(within=of_run["var"] / of_run["size"])
    runs = of_run.groupby(by, sort=False).agg(
        mean=("mean", "mean"), within=("within", "mean"), between=("mean", "var"), runs=("mean", "count")
    )
    return launches.assign(
        mean=runs["mean"].where(whole),
        variance=launches["spread"] / launches["launches"],
        within=runs["within"],
        between=runs["between"],
        runs=runs["runs"],
    )


def _repeated(samples: pd.DataFrame, number: np.ndarray) -> pd.DataFrame:
    """Per number of a quantity: value (the largest of its launches; NaN if any is NaN), launches, finite (whether value
    is), and repeated (whether enough launches have this one value)."""
    judged = samples["kind"].isin(FEWEST_REPEATS).to_numpy()
    groups, kinds = (samples.loc[judged, name].groupby(number[judged], sort=False) for name in ("value", "kind"))
    launches = groups.size()
    value = groups.max().where(groups.count() == launches)  # pandas' maximum skips NaN
    least = kinds.first().map(FEWEST_REPEATS).astype(float)
    repeated = (launches >= least) & (groups.nunique() == 1)
    return pd.DataFrame({"value": value, "launches": launches, "finite": np.isfinite(value), "repeated": repeated})


def _unvarying(base: pd.DataFrame, head: pd.DataFrame, quantities: pd.DataFrame) -> pd.DataFrame:
    """base, head, launches of the quantities that both sides repeat, or that are not finite on a side and so have no
    mean. base, head: results of `_repeated`; quantities: the one of each number."""
    both = base.merge(head, left_index=True, right_index=True, suffixes=("_base", "_head"))
    chosen = (both["repeated_base"] & both["repeated_head"]) | ~(both["finite_base"] & both["finite_head"])
    both = both[chosen].rename(columns={"value_base": "base", "value_head": "head"})
    launches = both[["launches_base", "launches_head"]].min(axis=1).astype(int)
    return quantities.join(both[["base", "head"]].assign(launches=launches), how="inner").reset_index(drop=True)


def _side_by_side(base: pd.DataFrame, head: pd.DataFrame, within: list[str], value: str) -> pd.DataFrame:
    """The rows of both sides joined on `within`, with their values as columns `base` and `head`; no yardsticks."""
    on = ["case", "method", *within]
    mine = head[~head["method"].isin(YARDSTICKS)].rename(columns={value: "head"})
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
