"""Figures of `speed`: time, speed-up over native, multiples of one read, and who is fastest where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import style
from matplotlib import pyplot as plt
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from harness.tables import Run
from harness.verdicts.fastest import WHOLE, fastest
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import CONFIDENCE, multiples_of_read, speedups
from harness.vocabulary import PHASES, YARDSTICKS

MATRICES = ("dense", "coo", "csr", "csr_at")


def time(run: Run) -> Figure:
    """Time of one call against n, every phase; the band holds 90 % of the rounds."""
    style.use()
    rows = run.timings
    dtype, (rows, k) = _shown_dtype(rows), _at_middle_k(rows, "native")
    rows = rows[rows["dtype"] == dtype].assign(microseconds=rows["seconds"] * 1e6)
    grid = sns.relplot(
        rows,
        x="n",
        y="microseconds",
        col="phase",
        col_order=_phases(rows),
        col_wrap=3,
        kind="line",
        estimator="median",
        errorbar=("pi", 90),
        dashes=False,
        height=2.9,
        **style.methods(rows["method"]),
    )
    grid.set(yscale="log").set_titles("{col_name}").set_axis_labels("n (length of y)", "time of one call (µs)")
    for axis in grid.axes.flat:
        style.powers_of_two(axis, rows["n"])
    return style.titled(grid, f"Time of one call, {dtype}, k = {k}; median, band: 90 % of the rounds")


def speedup(run: Run) -> Figure:
    """Speed-up over native against n, by dtype and phase; bars are 95 % intervals over launches."""
    style.use()
    timings, k = _at_middle_k(run.timings, "native")
    rows = speedups(timings)
    rows = rows[rows["phase"].isin(WHOLE) & ~rows["method"].isin(("native", *YARDSTICKS))]
    look = style.methods(rows["method"])
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
        dashes=False,
        height=2.3,
        **look,
    )
    for (phase, dtype), axis in grid.axes_dict.items():
        here = rows[(rows["phase"] == phase) & (rows["dtype"] == dtype)]
        for method, each in here.groupby("method"):
            bars = np.maximum(0, [each["speedup"] - each["low"], each["high"] - each["speedup"]])
            axis.errorbar(each["n"], each["speedup"], yerr=bars, fmt="none", ecolor=look["palette"][method], lw=0.9)
        axis.axhline(1, color="black", lw=0.8)
        style.powers_of_two(axis, rows["n"])
    grid.set(yscale="log").set_titles("{row_name}, {col_name}")
    grid.set_axis_labels("n (length of y)", "speed-up over native")
    return style.titled(
        grid, f"Speed-up over native, k = {k}; above the line is faster; bars: 95 % intervals over launches"
    )


def read_multiples(run: Run) -> Figure:
    """Forward time as a multiple of one read of y in the same round, against n."""
    style.use()
    timings, k = _at_middle_k(run.timings, "read")
    rows = multiples_of_read(timings)
    rows = rows[rows["phase"] == "forward"]
    grid = sns.relplot(
        rows,
        x="n",
        y="multiple",
        col="dtype",
        col_order=style.present_dtypes(rows["dtype"]),
        kind="line",
        errorbar=None,
        dashes=False,
        height=2.9,
        aspect=0.85,
        **style.methods(rows["method"]),
    )
    grid.set(yscale="log").set_titles("{col_name}").set_axis_labels("n (length of y)", "time / time of one read of y")
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        style.powers_of_two(axis, rows["n"])
    return style.titled(grid, f"Forward as a multiple of one read of y, k = {k}")


def crossover(run: Run) -> Figure:
    """The (n, k) plane: the fastest method, and the fastest selection matrix, each with its ratio to native."""
    style.use()
    timings = believed(run)
    dtype = _shown_dtype(timings[timings["method"] == "native"])
    timings = timings[timings["dtype"] == dtype]
    rows, best = speedups(timings), style.some(fastest(timings), "case of three launches")
    phases = [phase for phase in WHOLE if phase in set(best["phase"])]
    figure, axes = plt.subplots(
        2,
        len(phases),
        figsize=(3.9 * len(phases) + 1, 6.4),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for column, phase in enumerate(phases):
        matrices = rows[(rows["phase"] == phase) & rows["method"].isin(MATRICES)]
        _plane(axes[0, column], best[best["phase"] == phase], "fastest", f"{phase}: fastest of all")
        _plane(axes[1, column], matrices, "method", f"{phase}: quickest selection matrix")
    for axis in axes.flat:
        axis.set_visible(True)
    figure.colorbar(axes[0, 0].collections[0], ax=axes, label="log2 of speed-up over native", shrink=0.6)
    figure.suptitle(
        f"Who is fastest, {dtype}: speed-up over native; it is native unless another method is surely faster\n"
        "(all methods and phases of a case compared at once); quickest: by the mean, whatever its interval"
    )
    return figure


def _plane(axis: Any, rows: pd.DataFrame, named: str, title: str) -> None:
    """A tile for each n and k: the quickest of the rows there, called what column `named` says, and its speed-up."""
    rows = rows.loc[rows.dropna(subset="speedup").groupby(["n", "k"])["speedup"].idxmax()]
    gain = rows.pivot(index="k", columns="n", values="speedup").sort_index(ascending=False)
    names = rows[named].str.replace("native_", "native_\n").str.replace(" or ", " or\n")
    names = names + "\n" + rows["speedup"].map("{:.2g}x".format)
    sns.heatmap(
        np.log2(gain),
        annot=rows.assign(name=names).pivot(index="k", columns="n", values="name").reindex_like(gain),
        fmt="",
        cmap="PuOr",
        norm=TwoSlopeNorm(0, vmin=-4, vmax=4),
        cbar=False,
        linewidths=1,
        annot_kws={"size": 8, "in_layout": False},
        ax=axis,
    )
    axis.grid(visible=False)
    axis.set(title=title, xlabel="n (length of y)", ylabel="k (how many are kept)")
    axis.set_visible(False)  # until all are there: every heatmap draws the whole figure, to see whether ticks overlap


def _at_middle_k(timings: pd.DataFrame, base: str) -> tuple[pd.DataFrame, int]:
    """The blocks at one k, and that k: the middle one of those at which most values of n have ratios to `base`."""
    sizes = timings[timings["method"] == base].groupby("k")["n"].nunique()
    k = style.middle(sizes.index[sizes == sizes.max()])
    return timings[timings["k"] == k], k


def _phases(rows: pd.DataFrame) -> list[str]:
    present = set(rows["phase"].unique())
    return [phase for phase in PHASES if phase in present]


def _shown_dtype(rows: pd.DataFrame) -> str:
    return "float32" if "float32" in (present := style.present_dtypes(rows["dtype"])) else present[0]


def summary(run: Run) -> Iterator[str]:
    """Of the selection matrices together and of each method: where it is surely faster or slower than native, its best
    and its worst."""
    yield (
        "Law: a selection needs one read of y; a selection matrix needs the indices first, so its forward is native's "
        "and its own product on top. All intervals of a phase hold together with 95 % (Bonferroni)."
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
    """Of rows in the order of their speed-up."""
    faster, slower = int((rows["low"] > 1).sum()), int((rows["high"] < 1).sum())
    best, worst = (_told(rows.iloc[place]) for place in (-1, 0))
    counts = f"surely faster than native in {faster} of {len(rows)} cells, surely slower in {slower}"
    return f"{counts}; at best {best}, at worst {worst}"


def _told(row: Any) -> str:
    interval = f" ({row['low']:.2g}..{row['high']:.2g})" if np.isfinite(row["low"]) else ""
    return f"{row['speedup']:.2g}x{interval} at n = {row['n']}, k = {row['k']}, {row['dtype']}"


FIGURES = (time, speedup, read_multiples, crossover)
