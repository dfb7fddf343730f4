"""Figures of `modes`: time and error of each mode and transform beside plain torch (ieee, eager), and compiling.

A mode or a transform is called a way to run a method. Two ways are two cases, which share no rounds. So they are
compared by multiples of a read of y, which is timed in the rounds of both and is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
import style
import ticks
from matplotlib.figure import Figure

from harness.tables import Run
from harness.verdicts.ratios import intervals, launch_medians, paired_log_ratios
from harness.vocabulary import MODES, PHASES, TRANSFORMS

PLAIN = "plain"
"""The way that all others are compared with: ieee and eager."""

USUAL_DTYPE = "float32"

SAME = ["method", "dtype", "device", "n", "threads", "phase"]


def speedup(run: Run) -> Figure:
    """Speed-up of each way to run a method over plain torch, by phase, n and threads; bars: range of the launches."""
    style.use()
    rows = _speedups(run)
    rows["setting"] = "n = " + rows["n"].astype(str) + ", threads = " + rows["threads"].astype(str)
    rows["setting"] = _with_dtype(rows, "setting")
    look = style.methods(rows["method"])
    grid = sns.catplot(
        rows,
        kind="point",
        x="speedup",
        y="way",
        order=_ways(rows),
        row="setting",
        col="phase",
        col_order=[phase for phase in PHASES if phase in set(rows["phase"])],
        hue="method",
        hue_order=look["hue_order"],
        palette=look["palette"],
        markers=[look["markers"][name] for name in look["hue_order"]],
        linestyle="none",
        dodge=0.4,
        estimator="median",
        errorbar=("pi", 100),
        height=2.2,
        aspect=1.1,
    )
    grid.set_titles("{col_name}\n{row_name}").set_axis_labels("times as fast as plain torch", "")
    for axis in grid.axes.flat:
        axis.axvline(1, color="black", lw=0.8)
        axis.margins(x=0.08)
        ticks.log(axis, "x", ticks.times)
    grid.tight_layout()  # once more, since the titles of the panels now have two lines
    return style.titled(
        grid,
        f"Speed-up over plain torch (ieee, eager), {style.setting(run.timings)}; right of the line is faster; "
        "bars: range of the launches",
    )


def errors(run: Run) -> Figure:
    """Relative error against the exact answer, by mode and tensor."""
    style.use()
    rows = _errors(run)
    look = style.methods(rows["method"])
    zero = ticks.zero_of(rows["value"])
    grid = sns.catplot(
        rows.assign(value=rows["value"].clip(lower=zero)) if zero else rows,
        kind="strip",
        x="value",
        y="mode",
        order=_modes(rows),
        col="tensor",
        hue="method",
        hue_order=look["hue_order"],
        palette=look["palette"],
        dodge=True,
        jitter=False,
        size=4,
        height=2.6,
        aspect=1.1,
    )
    for axis in grid.axes.flat:
        for roundoff in style.UNIT_ROUNDOFF.values():
            if roundoff >= style.UNIT_ROUNDOFF[USUAL_DTYPE]:
                axis.axvline(roundoff, color="0.35", lw=0.9, ls=":")
        ticks.log(axis, "x", ticks.error, zero)
    grid.set_titles("{col_name}").set_axis_labels("relative error (2-norm)", "")
    return style.titled(
        grid,
        "Error against the exact answer, eager; each point: a method at one n\n"
        "dotted, from left to right: unit roundoff of float32, float16 and bfloat16",
    )


def compiling(run: Run) -> Figure:
    """Seconds that torch took to compile all phases of a method; a point is a launch."""
    style.use()
    rows = _compiled(run)
    rows["setting"] = "n = " + rows["n"].astype(str) + ", threads = " + rows["threads"].astype(str)
    look = style.methods(rows["method"])
    grid = sns.catplot(
        rows,
        kind="strip",
        x="compile_seconds",
        y="setting",
        hue="method",
        hue_order=look["hue_order"],
        palette=look["palette"],
        dodge=True,
        height=2.8,
        aspect=2,
    )
    grid.set_axis_labels("seconds of compiling", "").set(xlim=(0, None))
    return style.titled(grid, "Time of torch.compile before the first calls of all phases; each point: a launch")


def summary(run: Run) -> Iterator[str]:
    """What each way costs and changes, when compiling pays, and what torch refuses."""
    yield "Law: a transform changes no arithmetic of a selection; a reduced precision rounds what it multiplies."
    times = _speedups(run)
    for way in _ways(times):
        means = _means(times[times["way"] == way])
        yield f"{way}, mean speed-up over plain torch of all methods, sizes and threads (95 %): {means}."
    every = _against_exact(run)
    for mode in _modes(every):
        rows = every[every["mode"] == mode]
        worst = rows[rows["metric"] == "rel_l2"].groupby("tensor", sort=False)["value"].max()
        largest = ", ".join(f"{tensor} {value:.1e}" for tensor, value in worst.items())
        flips, reduced = (
            int(rows.loc[rows["metric"] == metric, "value"].sum()) for metric in ("flips", "cause_reduced_precision")
        )
        yield (
            f"{mode}, eager, one thread, all methods: largest relative error {largest}; {flips} flips, {reduced} "
            "entries of reduced precision."
        )
    yield from _payback(run)
    refused = run.cells[run.cells["status"] == "unsupported"].drop_duplicates(["method", "mode", "transform"])
    for cell in refused.itertuples():
        yield f"{cell.method}, {cell.mode}, {cell.transform}: unsupported: {cell.reason}"


def _means(rows: pd.DataFrame) -> str:
    """For each phase the geometric mean of the speed-up over plain torch, and its t interval over launches."""
    means = rows.assign(log=np.log(rows["speedup"])).groupby(["phase", "launch"])["log"].mean().reset_index()
    logarithms = intervals(means, ["phase"], "log").set_index("phase")
    by_phase = logarithms[["mean", "low", "high"]].apply(np.exp)
    parts = []
    for phase in (phase for phase in PHASES if phase in by_phase.index):
        middle, low, high = by_phase.loc[phase].to_numpy()
        parts.append(f"{phase} {middle:.3g}x" + (f" ({low:.3g}..{high:.3g})" if np.isfinite(low) else ""))
    return ", ".join(parts)


def _payback(run: Run) -> Iterator[str]:
    """After how many calls of the pipeline compiling has paid for itself, at the largest n with one thread.

    A method without one of the three times has no line.
    """
    calls = run.timings.query("phase == 'pipeline' and mode == 'ieee' and threads == 1 and dtype == @USUAL_DTYPE")
    n = calls["n"].max()
    medians = calls[calls["n"] == n].groupby(["device", "method", "transform"])["seconds"].median()
    compiled = _compiled(run).query("n == @n and threads == 1").groupby(["device", "method"])["compile_seconds"]
    for device, method, taken in compiled.median().reset_index().itertuples(index=False):
        eager, faster = (medians.get((device, method, transform)) for transform in ("eager", "compile"))
        if eager is None or faster is None:
            continue
        when = f"after {taken / (eager - faster):.2g}" if eager > faster else "never"
        yield (
            f"{method}, {device}, n = {n}, one thread: all of its phases are compiled in {taken:.2g} s (median); calls "
            f"of its pipeline save that {when}."
        )


def _speedups(run: Run) -> pd.DataFrame:
    """The speed-up over plain torch in each launch: columns of SAME, `way`, `launch` and `speedup`."""
    pairs = paired_log_ratios(run.timings, base="read", base_phase="apply")
    pairs = pairs[pairs["phase"] != "apply"].assign(way=_way)
    medians = launch_medians(pairs, [*SAME, "way"], "log_ratio")
    plain = medians[medians["way"] == PLAIN].drop(columns="way").rename(columns={"log_ratio": "plain"})
    rows = medians[medians["way"] != PLAIN].merge(plain, on=[*SAME, "launch"])
    return rows.assign(speedup=np.exp(rows["plain"] - rows["log_ratio"]))


def _way(rows: pd.DataFrame) -> pd.Series:
    """The mode or the transform of each row, whichever is not plain: the study changes one at a time."""
    way = rows["mode"].where(rows["mode"] != "ieee", rows["transform"])
    return way.where(way != "eager", PLAIN)


def _ways(rows: pd.DataFrame) -> list[str]:
    return [way for way in (*MODES, *TRANSFORMS) if way in set(rows["way"])]


def _against_exact(run: Run) -> pd.DataFrame:
    """The errors against the exact answer, eager and with one thread, for which every mode was measured."""
    rows = run.discrepancies.query("reference == 'exact' and of == 'method' and transform == 'eager' and threads == 1")
    return rows.assign(mode=_with_dtype(rows, "mode"))


def _with_dtype(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column of text, followed by the dtype where that is not the usual one."""
    return rows[column].where(rows["dtype"] == USUAL_DTYPE, rows[column] + ", " + rows["dtype"])


def _modes(rows: pd.DataFrame) -> list[str]:
    """The modes of the rows in the order of MODES: first those of the usual dtype, then those that name a dtype."""
    return sorted(set(rows["mode"]), key=lambda mode: (", " in mode, MODES.index(mode.partition(",")[0])))


def _errors(run: Run) -> pd.DataFrame:
    return _against_exact(run).query("metric == 'rel_l2'")


def _compiled(run: Run) -> pd.DataFrame:
    return run.cells[run.cells["compile_seconds"].notna()].copy()


FIGURES = (speedup, errors, compiling)
