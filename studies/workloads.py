"""`workloads`: which method to take for which use, how much faster it is, its memory, and whether its gradient differs.

A method is recommended by the rule of harness/verdicts/fastest.py, which the report applies too: it is surely faster
than native, and by enough to be worth it. All methods and phases of a case are compared at once, so their intervals
hold simultaneously with 95 % (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import planes
import seaborn as sns
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.errors import NotAsked
from harness.tables import Run, first_clock
from harness.verdicts.fastest import FASTEST, SHARED, WORTH, standings
from harness.verdicts.plausible import believed
from harness.verdicts.wording import two_digits

SHAPES = (
    "autoencoder", "routing", "sampling", "retrieval", "compression",
    "router", "vocabulary", "dictionary", "attention", "corpus",
)  # fmt: skip
PHASES = ("forward", "backward", "step", "pipeline")
NEEDS = {
    "forward": "the values (forward)",
    "backward": "the gradient alone (backward)",
    "step": "values and gradient (step)",
    "pipeline": "topk(W x), dW and dx (pipeline)",
}
CASE = ["shape", "n", "k", "rows", "d", "dtype"]
NONE = "native"
GRADIENTS = ("dy", "dx", "dW")
TIE = "cause_tie"


def compared(run: Run) -> pd.DataFrame:
    """The standing of every method other than native in every case and phase, with its peak memory, native's, and the
    largest error of its gradient against native.

    Columns: those of verdicts.fastest.standings(), so that the figures take a method exactly where the report does;
    `peak` and `native_peak` in bytes; `gradient_error` and `not_of_ties`.
    """
    found = standings(first_clock(believed(run)))
    found = found[found["method"] != NONE]
    peaks = run.memory.groupby([*CASE, "phase", "method"])["peak_bytes"].median().rename("peak")
    native = peaks.xs("native", level="method").rename("native_peak")
    found = found.join(peaks, on=[*CASE, "phase", "method"]).join(native, on=[*CASE, "phase"])
    return found.join(_gradient_errors(run), on=[*CASE, "method"])


def _gradient_errors(run: Run) -> pd.DataFrame:
    """The largest error of a gradient against native, and the number of entries that differ for another cause than a
    tie."""
    rows = run.discrepancies.query("reference == 'native' and of == 'method'")
    rows = rows[rows["tensor"].isin(GRADIENTS)]
    caused = rows[rows["metric"].str.startswith("cause_") & (rows["value"] > 0) & (rows["metric"] != TIE)]
    other = caused.groupby([*CASE, "method"])["value"].sum().rename("not_of_ties")
    error = rows[rows["metric"] == "rel_l2"].groupby([*CASE, "method"])["value"].max().rename("gradient_error")
    return error.to_frame().join(other).fillna({"not_of_ties": 0.0})


def recommended(run: Run) -> pd.DataFrame:
    """One row for each case and phase: the figures of the method to take, or, where that is native, of the method that
    looks fastest among the others. Columns: those of compared(), `surely` and `take`."""
    every = compared(run)
    surely = every["standing"].isin((FASTEST, SHARED)) & (every["speedup"] >= WORTH)
    every = every.assign(surely=surely, take=every["method"].where(surely, NONE))
    by_use = every.groupby([*CASE, "phase"], sort=False)
    return every.loc[[rows.sort_values(["surely", "speedup"], na_position="first").index[-1] for _, rows in by_use]]


def table(run: Run) -> Figure:
    """Which method to take for which use, how much faster it is, and whether its gradient is native's."""
    style.use()
    rows = style.some(recommended(run), "time of another method beside native's")
    rows = rows.assign(case=rows.apply(_case, axis=1), text=rows.apply(_tile, axis=1))
    rows = rows.assign(gain=rows["speedup"].where(rows["surely"], 1.0).clip(lower=1.0))
    differs = [phase for phase in PHASES if rows.loc[rows["phase"] == phase, "surely"].any()]
    idle = [phase for phase in PHASES if phase in set(rows["phase"]) - set(differs)]
    shown = differs or idle
    cases = list(dict.fromkeys(rows["case"]))
    dtypes = style.present_dtypes(rows["dtype"])
    size = (1.4 * len(dtypes) * len(shown) + 2.4, 0.56 * len(cases) + 1.3)
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, squeeze=False, layout="constrained")
    scale = planes.gains(rows["gain"])
    for axis, phase in zip(axes.flat, shown, strict=True):
        here = rows[rows["phase"] == phase]
        gain, text = (
            here.pivot(index="case", columns="dtype", values=value).reindex(index=cases, columns=dtypes)
            for value in ("gain", "text")
        )
        planes.draw(axis, gain, text, scale, size=7.5)
        axis.set_title(NEEDS[phase])
    planes.colour_bar(figure, axes, scale, "times as fast as native", rows["gain"], shrink=0.6, aspect=30)
    nothing = f"; for {', '.join(idle)} always native" if idle and differs else ""
    figure.suptitle(
        f"Which method to take, {style.setting(run.timings, 'threads')}{nothing}; native where no other is surely "
        f"faster by {100 * (WORTH - 1):.0f} %\n"
        "in brackets: its interval; those of a case hold simultaneously with 95 %"
    )
    return figure


def _case(row: Any) -> str:
    return f"{row['shape']}\n{_sizes(row)}"


def _sizes(row: Any) -> str:
    product = f", d = {row['d']}" if row["d"] else ""
    return f"n = {row['n']}, k = {row['k']}, rows = {row['rows']}{product}"


def _tile(row: Any) -> str:
    """The text of a tile."""
    if not row["surely"]:
        return NONE
    gain, low, high = (two_digits(row[name]) for name in ("speedup", "low", "high"))
    gradient = _gradient(row).replace("same gradient but", "same but")  # the tiles are narrow
    return f"{row['method']}\n{gain}x ({low}..{high})\n{gradient}"


def _memory(row: Any) -> str:
    peak, native = row["peak"], row["native_peak"]
    if not (np.isfinite(peak) and np.isfinite(native)):
        return "memory unknown"
    return f"{peak / 2**20:.3g} of {native / 2**20:.3g} MiB"


def _gradient(row: Any) -> str:
    error = row["gradient_error"]
    if np.isnan(error):
        return "gradient unknown"
    if error == 0:
        return "same gradient"
    return f"gradient off {error:.0e}" if row["not_of_ties"] else "same gradient but for ties"


def _of(shape: str) -> Callable[[Run], Figure]:
    """The function that draws one shape: the speed-up of every method over native, by case, phase and dtype."""

    def draw(run: Run) -> Figure:
        if shape not in set(run.cells["shape"]):
            raise NotAsked(f"no cell of the shape {shape} was planned on this device")
        style.use()
        rows = compared(run)
        rows = rows[rows["shape"] == shape].reset_index(drop=True)
        rows = rows.assign(case=rows.apply(_sizes, axis=1))
        methods = style.methods(rows["method"])["hue_order"]
        phases = [phase for phase in PHASES if phase in set(rows["phase"])]
        grid = sns.FacetGrid(
            rows, col="phase", col_order=phases, row="case", height=0.4 * len(methods) + 0.9, aspect=1.25,
            sharex="col", despine=False,
        )  # fmt: skip
        grid.map_dataframe(_ranges, methods=methods)
        grid.set_titles("{col_name}\n{row_name}").set_axis_labels("times as fast as native", "")
        for axis in grid.axes.flat:
            axis.margins(x=0.14)
            ticks.log(axis, "x", ticks.times)
        grid.add_legend()
        grid.tight_layout()  # once more, since the titles of the panels now have two lines
        return style.titled(
            grid,
            f"{shape}, {style.setting(run.timings, 'threads')}: to the right of the line is faster than native\n"
            "bars: intervals, simultaneously 95 % for a case; "
            "beside them: the ratio (~: uncertain by 10 % or more)",
        )

    draw.__name__ = shape
    draw.__doc__ = f"Speed-up of every method over native for the shape {shape}, by case, phase and dtype."
    return draw


def _ranges(data: pd.DataFrame, methods: list[str], **_: Any) -> None:
    """Draw one panel: a point with its interval for each method and dtype."""
    axis = plt.gca()
    for shift, dtype in enumerate(style.present_dtypes(data["dtype"])):
        here = data[data["dtype"] == dtype].set_index("method")
        names = [name for name in methods if name in here.index]
        here = here.loc[names]
        places = np.array([methods.index(name) for name in names]) + 0.3 * (shift - 0.5)
        # Rounding may put an end of an interval beyond its point, and errorbar takes no negative length.
        bars = np.maximum(0, [here["speedup"] - here["low"], here["high"] - here["speedup"]])
        axis.errorbar(
            here["speedup"],
            places,
            xerr=bars,
            fmt="os"[shift % 2],
            ms=3.5,
            color=style.DTYPE_COLOUR[dtype],
            label=dtype,
        )
        for place, row in zip(places, here.to_dict("records"), strict=True):
            end = row["high"] if np.isfinite(row["high"]) else row["speedup"]
            axis.annotate(
                ticks.speedup(row),
                (end, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                size=6.5,
                color=style.DTYPE_COLOUR[dtype],
            )
    axis.axvline(1, color="black", lw=0.8)
    axis.set_yticks(range(len(methods)), methods)
    axis.grid(visible=False, axis="y")
    axis.set_ylim(len(methods) - 0.5, -0.5)


def summary(run: Run) -> Iterator[str]:
    """Which method to take for each workload, and how exact native's gradients are there."""
    yield (
        "Law: a selection needs only one read of y; a method is faster because it comes nearer to that, or because it "
        "does not differentiate by y."
    )
    for row in recommended(run).to_dict("records"):
        interval = f"{row['speedup']:.3g}x native"
        if np.isfinite(row["low"]):
            interval += f" ({row['low']:.3g}..{row['high']:.3g})"
        where = f"{_case(row).replace(chr(10), ', ')}, {row['dtype']}, {row['phase']}"
        if row["surely"]:
            yield f"{where}: take {row['method']}, {interval}, {_memory(row)}, {_gradient(row)}."
        else:
            least = f"{100 * (WORTH - 1):.0f} %"
            best = f"at best {row['method']}, {interval}"
            yield f"{where}: take native, no other method is surely faster by {least} or more; {best}."
    rows = run.discrepancies.query("reference == 'exact' and of == 'method' and method == 'native'")
    for (shape, dtype), here in rows.groupby(["shape", "dtype"], sort=False):
        flips = here.loc[here["metric"] == "flips", "value"].sum()
        worst = here[(here["metric"] == "rel_l2") & here["tensor"].isin(GRADIENTS)]["value"].max()
        yield f"{shape}, {dtype}: {flips:.0f} flips; native's gradients are off by at most {worst:.1e} of their size."


FIGURES = (table, *map(_of, SHAPES))
