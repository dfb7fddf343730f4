"""Figures of a study without a script: time, speed-up over native, and error, over the axis that it sweeps.

A study of one size sweeps no axis: its methods stand below one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import style
import ticks
from lanes import lanes
from matplotlib.figure import Figure

from harness.errors import NotAsked
from harness.tables import Run, first_clock
from harness.verdicts.ratios import speedups
from harness.verdicts.wording import axes_of
from harness.vocabulary import PHASES, SHAPE, YARDSTICKS

SIZES = ("n", "k", "rows", "d", "threads")
"""The axis of a figure is the first of these with several values, or else the first such parameter of the study."""

NAMES = {"n": "n (length of y)", "k": "k (how many are kept)", "rows": "rows (vectors)", "d": "d (terms of W x)"}

PANEL_INCHES, LEGEND_INCHES = 2.3, 0.19
"""Side of a panel, which is higher where the legend needs more room, and height of a line of the legend."""

METRICS = ("rel_l2", "ulp_max", "abs_max")
REFERENCES = ("exact", "original", "native")
TENSORS = ("values", "dy", "dx", "dW", "dS")
MEASURES = {"rel_l2": "relative error (2-norm)", "ulp_max": "largest error in ulps", "abs_max": "largest error"}


def time(run: Run) -> Figure:
    """Time of one call of every method, by phase and dtype; the band holds 90 % of the rounds."""
    if run.timings.empty:
        raise NotAsked("the study measures no time")
    style.use()
    timings = first_clock(run.timings)
    rows, axis_name, chosen = _one_setting(timings, "phase")
    if rows[axis_name].nunique() == 1:
        times = style.some(rows[~rows["method"].isin(YARDSTICKS)], "time of a method other than copy and read")
        spread = (
            times.groupby(["dtype", "phase", "method"])["seconds"]
            .quantile(np.array([0.05, 0.5, 0.95]))
            .unstack()
            .set_axis(["low", "value", "high"], axis=1)
            .reset_index()
        )
        grid = lanes(spread, "phase", PHASES, lambda row: ticks.rounded_seconds(row["value"]), ticks.seconds)
        grid.set_axis_labels("time of one call", "")
        title = f"{run.name}: time of one call; median, bars: 90 % of the rounds"
        return style.titled(grid, f"{title}\n{_size(rows, chosen)}")
    grid = _grid(rows, axis_name, "seconds", estimator="median", errorbar=("pi", 90))
    for axis in grid.axes.flat:
        ticks.log(axis, "y", ticks.seconds)
    grid.set_axis_labels(NAMES.get(axis_name, axis_name), "time of one call")
    where = f"{style.setting(timings)}{_at(chosen)}"
    return style.titled(grid, f"{run.name}: time of one call, {where}; median, band: 90 % of the rounds")


def speedup(run: Run) -> Figure:
    """Speed-up over native of every method, by phase and dtype; bars are 95 % intervals over launches."""
    if run.timings.empty or "native" not in set(run.timings["method"]):
        raise NotAsked("the study measures no time beside native")
    if run.cells["method"].isin(("native", *YARDSTICKS)).all():
        raise NotAsked("the study has no method beside native")
    style.use()
    timings = first_clock(run.timings)
    rows = speedups(timings)
    rows = rows[~rows["method"].isin(("native", *YARDSTICKS)) & rows["speedup"].notna()]
    rows, axis_name, chosen = _one_setting(style.some(rows, "time of another method beside native's"), "phase")
    if rows[axis_name].nunique() == 1:
        grid = lanes(rows.assign(value=rows["speedup"]), "phase", PHASES, ticks.speedup, ticks.times)
        for axis in grid.axes.flat:
            axis.axvline(1, color="black", lw=0.8, zorder=0)
        grid.set_axis_labels("times as fast as native", "")
        title = f"{run.name}: speed-up over native; right of the line is faster; {_bars(rows)}"
        return style.titled(grid, f"{title}; ~: uncertain by 10 % or more\n{_size(rows, chosen)}")
    grid = _grid(rows, axis_name, "speedup", errorbar=None)
    colours = style.methods(rows["method"])["palette"]
    for (dtype, phase), axis in grid.axes_dict.items():
        for method, line in rows[(rows["phase"] == phase) & (rows["dtype"] == dtype)].groupby("method"):
            # Rounding may put an end of an interval beyond its point, and errorbar takes no negative length.
            bars = np.maximum(0, [line["speedup"] - line["low"], line["high"] - line["speedup"]])
            axis.errorbar(line[axis_name], line["speedup"], bars, fmt="none", ecolor=colours[str(method)], lw=0.9)
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.times)
    grid.set_axis_labels(NAMES.get(axis_name, axis_name), "times as fast as native")
    where = f"{style.setting(timings)}{_at(chosen)}"
    return style.titled(grid, f"{run.name}: speed-up over native, {where}; above the line is faster; {_bars(rows)}")


def _bars(rows: pd.DataFrame) -> str:
    """What the bars of speed-ups are; with too few launches for an interval there are none."""
    return "bars: 95 % intervals" if rows["low"].notna().any() else "no bars: too few launches for an interval"


def error(run: Run) -> Figure:
    """Largest error of every method by tensor and dtype: against the exact answer, or else against native."""
    rows = run.discrepancies
    rows = rows[(rows["of"] == "method") & rows["metric"].isin(METRICS) & rows["tensor"].isin(TENSORS)]
    if rows.empty:
        raise NotAsked("the study measures no error")
    style.use()
    reference = next(name for name in REFERENCES if name in set(rows["reference"]))
    rows = rows[rows["reference"] == reference]
    metric = next(name for name in METRICS if name in set(rows["metric"]))
    rows, axis_name, chosen = _one_setting(rows[rows["metric"] == metric], "launch")
    finite = np.isfinite(rows["value"])
    shown, zero = style.some(rows[finite], "finite error"), ticks.zero_of(rows.loc[finite, "value"])
    shown = shown.assign(value=shown["value"].clip(lower=zero)) if zero else shown
    one_size = rows[axis_name].nunique() == 1
    if one_size:
        worst = shown.groupby(["dtype", "tensor", "method"], as_index=False)["value"].max()
        worst = worst.assign(low=worst["value"], high=worst["value"])
        grid = lanes(worst, "tensor", TENSORS, lambda row: _error(row["value"], zero), ticks.error, zero)
        grid.set_axis_labels(MEASURES[metric], "")
    else:
        grid = _error_lines(shown, axis_name, zero).set_axis_labels(NAMES.get(axis_name, axis_name), MEASURES[metric])
    missing = f"; {int((~finite).sum())} are not finite" if not finite.all() else ""
    title = f"{run.name}: error against {'native' if reference == 'native' else f'the {reference} answer'}"
    if one_size:
        return style.titled(grid, f"{title}, largest of all draws{missing}\n{_size(rows, chosen)}")
    hidden = "where lines are equal, only the last one of the legend is seen"
    return style.titled(grid, f"{title}, largest of all cases{_at(chosen)}\n{hidden}{missing}")


def _error_lines(shown: pd.DataFrame, axis_name: str, zero: float | None) -> Any:
    grid = _grid(shown, axis_name, "value", col="tensor", estimator="max", errorbar=None)
    for axis in grid.axes.flat:
        if (shown["value"] > 0).any():
            ticks.log(axis, "y", ticks.error, zero)
        else:
            axis.set_yticks([0], ["0"])
    return grid


def _error(value: float, zero: float | None) -> str:
    """An error with two digits, or '0' for 0 and for the value at which 0 is drawn."""
    return "0" if value == 0 or value == zero else ticks.error(float(f"{value:.2g}"))


def _at(chosen: Mapping[str, Any]) -> str:
    """The chosen values in words, such as ', k = 64, rows = 1'."""
    return "".join(f", {name} = {value}" for name, value in chosen.items())


def _size(rows: pd.DataFrame, chosen: Mapping[str, Any]) -> str:
    """The only size of the rows, where it was measured, and what was chosen: 'n = 50000, k = 64, rows = 1, cpu'."""
    sizes = [f"{axis} = {rows[axis].iloc[0]}" for axis in SIZES if axis != "d" or rows[axis].iloc[0]]
    clock = [f"{'/'.join(rows['clock'].unique())} clock"] if "clock" in rows else []
    others = {name: value for name, value in chosen.items() if name not in (*SIZES, "device")}
    return ", ".join([*sizes, "/".join(rows["device"].unique()), *clock]) + _at(others)


def _one_setting(rows: pd.DataFrame, first: str) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """The rows at the usual value of every swept axis except the drawn one, dtype and seed; the drawn axis; and the
    chosen values by axis.

    first: the column that follows the axes and the parameters of the study.
    """
    swept = [name for name in axes_of(dict.fromkeys(rows), first) if rows[name].nunique() > 1]
    numbers = [name for name in swept if _is_number(rows[name]) and name != "seed"]
    drawn = next((name for name in (*SIZES, *numbers) if name in numbers), "n")
    chosen: dict[str, Any] = {}
    for name in sorted(swept, key=lambda name: name != SHAPE):  # first, since the sizes of a shape belong together
        if name not in (drawn, "dtype", "seed"):
            chosen[name] = _usual(rows[name])
            rows = rows[rows[name] == chosen[name]]
    if drawn in swept and rows[drawn].nunique() == 1:  # the other values of the axis occur in other settings only
        chosen[drawn] = rows[drawn].iloc[0]
    return rows, drawn, chosen


def _usual(values: pd.Series) -> Any:
    """The commonest value; of equally common numbers the middle one, of words the first."""
    counts = Counter(values.tolist())
    common = [value for value, count in counts.items() if count == max(counts.values())]
    return style.middle(common) if _is_number(values) else common[0]


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _grid(rows: pd.DataFrame, x: str, y: str, col: str = "phase", **options: Any) -> Any:
    """A panel for each dtype and value of `col`, with a line for each method."""
    order = {"phase": PHASES, "tensor": TENSORS}[col]
    dtypes = style.present_dtypes(rows["dtype"])
    height = max(PANEL_INCHES, LEGEND_INCHES * rows["method"].nunique() / len(dtypes))
    grid = sns.relplot(
        rows,
        x=x,
        y=y,
        row="dtype",
        row_order=dtypes,
        col=col,
        col_order=[panel for panel in order if panel in set(rows[col])],
        kind="line",
        height=height,
        aspect=PANEL_INCHES / height,
        facet_kws={"sharey": False if col == "phase" else "row"},
        **options,
        **style.lines(rows["method"]),
    )
    for axis in grid.axes.flat:
        if rows[x].min() > 0:
            ticks.sizes(axis, rows[x]) if pd.api.types.is_integer_dtype(rows[x]) else ticks.log(axis, "x", ticks.number)
    return grid.set_titles("{col_name}, {row_name}")


FIGURES = (time, speedup, error)
