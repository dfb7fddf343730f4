"""Figures of `speed`: which method to take, what a selection matrix costs, speed-up, time, and reads of y."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import style
import ticks
from matplotlib.figure import Figure
from method_planes import MATRICES, matrices, shown_dtype, which_method

from harness.tables import Run, first_clock
from harness.verdicts.fastest import WHOLE
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import CONFIDENCE, multiples_of_read, speedups
from harness.verdicts.wording import two_digits
from harness.vocabulary import PHASES, YARDSTICKS


def time(run: Run) -> Figure:
    """Time of one call over n, for every phase; the band holds 90 % of the rounds."""
    style.use()
    rows = first_clock(run.timings)
    where = style.setting(rows, "threads")
    dtype, (rows, k) = shown_dtype(rows), _at_middle_k(rows, "native")
    rows = rows[rows["dtype"] == dtype]
    grid = sns.relplot(
        rows,
        x="n",
        y="seconds",
        col="phase",
        col_order=_phases(rows),
        col_wrap=3,
        kind="line",
        estimator="median",
        errorbar=("pi", 90),
        height=2.9,
        **style.lines(rows["method"]),
    )
    grid.set_titles("{col_name}").set_axis_labels("n (length of y)", "time of one call")
    for axis in grid.axes.flat:
        ticks.log(axis, "y", ticks.seconds)
        ticks.sizes(axis, rows["n"])
    title = f"Time of one call, {dtype}, k = {k}, {where}; median, band: 90 % of the rounds"
    return style.titled(grid, title)


def speedup(run: Run) -> Figure:
    """Speed-up over native over n, by dtype and phase; bars are 95 % intervals over launches."""
    style.use()
    timings, k = _at_middle_k(first_clock(run.timings), "native")
    rows = speedups(timings)
    rows = rows[rows["phase"].isin(WHOLE) & ~rows["method"].isin(("native", *YARDSTICKS))]
    rows = style.some(rows, "time of another method beside native's")
    look = style.lines(rows["method"])
    grid = sns.relplot(
        rows,
        x="n",
        y="speedup",
        row="phase",
        row_order=[phase for phase in WHOLE if phase in set(rows["phase"])],
        col="dtype",
        col_order=style.present_dtypes(rows["dtype"]),
        kind="line",
        errorbar=None,
        height=2.3,
        facet_kws={"sharey": "row"},
        **look,
    )
    for (phase, dtype), axis in grid.axes_dict.items():
        here = rows[(rows["phase"] == phase) & (rows["dtype"] == dtype)]
        for method, line in here.groupby("method"):
            # Rounding may put an end of an interval beyond its point, and errorbar takes no negative length.
            bars = np.maximum(0, [line["speedup"] - line["low"], line["high"] - line["speedup"]])
            axis.errorbar(line["n"], line["speedup"], yerr=bars, fmt="none", ecolor=look["palette"][method], lw=0.9)
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.times)
        ticks.sizes(axis, rows["n"])
    grid.set_titles("{row_name}, {col_name}").set_axis_labels("n (length of y)", "times as fast as native")
    where = style.setting(timings, "threads")
    return style.titled(
        grid, f"Speed-up over native, k = {k}, {where}\nabove the line is faster; bars: 95 % intervals over launches"
    )


def read_multiples(run: Run) -> Figure:
    """Time of a forward as a multiple of one read of y in the same round, over n."""
    style.use()
    timings, k = _at_middle_k(first_clock(run.timings), "read")
    rows = multiples_of_read(timings)
    rows = style.some(rows[rows["phase"] == "forward"], "time of a forward beside a read of y")
    grid = sns.relplot(
        rows,
        x="n",
        y="multiple",
        col="dtype",
        col_order=style.present_dtypes(rows["dtype"]),
        kind="line",
        errorbar=None,
        height=2.9,
        aspect=0.85,
        **style.lines(rows["method"]),
    )
    grid.set_titles("{col_name}").set_axis_labels("n (length of y)", "time in reads of y")
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.number)
        ticks.sizes(axis, rows["n"])
    where = style.setting(timings, "threads")
    return style.titled(
        grid,
        f"Time of a forward in reads of y, k = {k}, {where}\nline: one read, which at small n is mostly the call",
    )


def _at_middle_k(timings: pd.DataFrame, base: str) -> tuple[pd.DataFrame, int]:
    """The blocks at one k, and that k: the middle one of the k at which `base` was timed for the most values of n."""
    sizes = style.some(timings[timings["method"] == base], f"time of {base}").groupby("k")["n"].nunique()
    k = style.middle(sizes.index[sizes == sizes.max()])
    return timings[timings["k"] == k], k


def _phases(rows: pd.DataFrame) -> list[str]:
    present = set(rows["phase"].unique())
    return [phase for phase in PHASES if phase in present]


def summary(run: Run) -> Iterator[str]:
    """For the selection matrices together and for each method: in how many cells it is surely faster or slower than
    native, and its largest and smallest speed-up."""
    yield (
        "Law: a selection needs one read of y; a selection matrix needs the indices first, so its forward takes the "
        "time of native's plus that of its own product. All intervals of a phase hold simultaneously with 95 % "
        "(Bonferroni)."
    )
    timings = believed(run)
    for phase in WHOLE:
        timed = timings[timings["phase"] == phase]
        cells = timed[["case", "method"]].drop_duplicates()
        rows = speedups(timed, confidence=1 - (1 - CONFIDENCE) / max(1, len(cells)))
        rows = rows[~rows["method"].isin(("native", *YARDSTICKS))].sort_values("speedup")
        matrices = rows[rows["method"].isin(MATRICES)]
        if len(matrices):
            yield f"selection matrices, {phase}: {_beside_native(matrices)}."
        for method in style.methods(rows["method"])["hue_order"]:
            yield f"{method}, {phase}: {_beside_native(rows[rows['method'] == method])}."


def _beside_native(rows: pd.DataFrame) -> str:
    """Rows, in the order of their speed-up, in words."""
    faster, slower = int((rows["low"] > 1).sum()), int((rows["high"] < 1).sum())
    best, worst = (_gain_text(rows.iloc[place]) for place in (-1, 0))
    counts = f"surely faster than native in {faster} of {len(rows)} cells, surely slower in {slower}"
    return f"{counts}; at best {best}, at worst {worst}"


def _gain_text(row: Any) -> str:
    gain, low, high = (two_digits(row[name], zeros=False) for name in ("speedup", "low", "high"))
    interval = f" ({low}..{high})" if np.isfinite(row["low"]) else ""
    return f"{gain}x{interval} at n = {row['n']}, k = {row['k']}, {row['dtype']}"


FIGURES = (which_method, matrices, speedup, time, read_multiples)

DARK = (which_method,)
"""The first picture of README.md, which people read on a dark page too."""
