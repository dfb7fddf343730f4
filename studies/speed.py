"""Figures of `speed`: which method to take, what a selection matrix costs, speed-up, time, and reads of y."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import planes
import seaborn as sns
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.tables import Run, first_clock
from harness.verdicts.fastest import TOGETHER, WHOLE, WORTH, fastest
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import CONFIDENCE, multiples_of_read, speedups
from harness.vocabulary import PHASES, YARDSTICKS

MATRICES = ("dense", "coo", "csr", "csr_at")

QUESTIONS = {
    "forward": "the values (forward)",
    "step": "values and gradient (step)",
    "pipeline": "topk(W x), dW and dx (pipeline)",
}
"""Phase -> what somebody needs who pays for all of it. Nobody takes a method for its backward alone."""

ANSWERED_DTYPES = ("float32", "bfloat16")


def which_method(run: Run) -> Figure:
    """The method to take in the plane of n and k, by dtype and need, and what it makes of native's time."""
    style.use()
    timings = first_clock(believed(run))
    best = style.some(fastest(timings), "case of three launches")
    asked = set(QUESTIONS) & set(best["phase"]) or set(best["phase"])  # of a run narrowed to backward: that
    phases = [phase for phase in WHOLE if phase in asked]
    best = best[best["phase"].isin(phases) & best["dtype"].isin(_answered(best["dtype"]))]
    dtypes = style.present_dtypes(best["dtype"])[::-1]
    best = best.assign(told=_answers(best, timings), speedup=best["speedup"].where(best["speedup"] >= WORTH, 1.0))
    scale = planes.gains(best["speedup"])
    ns, ks = sorted(set(best["n"])), sorted(set(best["k"]), reverse=True)
    size = (1.12 * len(ns) * len(phases) + 1.4, 0.58 * len(ks) * len(dtypes) + 1.3)
    figure, axes = plt.subplots(
        len(dtypes), len(phases), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for line, dtype in enumerate(dtypes):
        for column, phase in enumerate(phases):
            here = best[(best["dtype"] == dtype) & (best["phase"] == phase)]
            _tiles(axes[line, column], here, ns, ks, scale)
            if not line:
                axes[line, column].set_title(QUESTIONS.get(phase, phase))
    _name_axes(axes)
    for line, dtype in enumerate(dtypes):
        axes[line, 0].set_ylabel(f"{dtype}\nk (how many are kept)")
    planes.colour_bar(figure, axes, scale, "times as fast as native", best["speedup"], shrink=0.6, aspect=25)
    where = style.setting(timings, "threads", "rows", "d")
    figure.suptitle(
        "Which method to take, and how much faster than torch.topk it is (time of native → at this speed-up)\n"
        f"{where}; native unless another is surely faster, and by {100 * (WORTH - 1):.0f} %; ~: 10 % or more unsure"
    )
    return figure


def _answered(present: pd.Series) -> list[str]:
    """The dtypes of the answer: the two that people use most, or else the first two of those that there are."""
    there = style.present_dtypes(present)
    return [each for each in ANSWERED_DTYPES if each in there] or there[:2]


def _answers(best: pd.DataFrame, timings: pd.DataFrame) -> list[str]:
    """What stands on the tile of each row of fastest(): the method, its speed-up, and the times of native and of it."""
    medians = timings.groupby(["case", "phase", "clock", "method"])["seconds"].median().to_dict()
    told = []
    for row in best.to_dict("records"):
        before = medians[row["case"], row["phase"], row["clock"], "native"]
        if row["method"] == "native" or row["speedup"] < WORTH:
            told.append(f"native\n{ticks.rounded_seconds(before)}")
            continue
        others = row["fastest"].count(TOGETHER)
        name = row["method"] + (f"\nor {others} other{'s' if others > 1 else ''}" if others else "")
        after = ticks.rounded_seconds(before / row["speedup"])  # so that a reader who divides finds the speed-up again
        told.append(f"{name}\n{ticks.speedup(row)}\n{ticks.rounded_seconds(before)} → {after}")
    return told


def matrices(run: Run) -> Figure:
    """What a selection matrix costs in the plane of n and k: the quickest one, and its speed-up over native."""
    style.use()
    timings = first_clock(believed(run))
    dtype = _shown_dtype(timings[timings["method"] == "native"])
    rows = speedups(timings[timings["dtype"] == dtype])
    rows = rows[rows["phase"].isin(WHOLE) & rows["method"].isin(MATRICES) & rows["speedup"].notna()]
    rows = style.some(rows, "selection matrix beside native")
    rows = rows.loc[rows.groupby(["phase", "n", "k"])["speedup"].idxmax()]
    told = [f"{row['method']}\n{ticks.speedup(row)}" for row in rows.to_dict("records")]
    rows, scale = rows.assign(told=told), planes.ratios(rows["speedup"])
    phases = [phase for phase in WHOLE if phase in set(rows["phase"])]
    ns, ks = sorted(set(rows["n"])), sorted(set(rows["k"]), reverse=True)
    size = (0.8 * len(ns) * len(phases) + 1.6, 0.48 * len(ks) + 1.2)
    figure, axes = plt.subplots(
        1, len(phases), figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for axis, phase in zip(axes.flat, phases, strict=True):
        _tiles(axis, rows[rows["phase"] == phase], ns, ks, scale)
        axis.set_title(phase)
    _name_axes(axes)
    planes.colour_bar(figure, axes, scale, "times as fast as native", rows["speedup"], aspect=15)
    figure.suptitle(
        f"What a selection matrix costs: the quickest of {', '.join(MATRICES)}; below 1x it is slower than native\n"
        f"{dtype}, {style.setting(timings, 'threads', 'rows', 'd')}; by the mean over launches; ~: 10 % or more unsure"
    )
    return figure


def _tiles(axis: Any, rows: pd.DataFrame, ns: list[int], ks: list[int], scale: planes.Scale) -> None:
    """A tile for each row: its speed-up as a colour, and what its column `told` says. Panels share n and k."""
    gain, told = (
        rows.pivot(index="k", columns="n", values=value).reindex(index=ks, columns=ns) for value in ("speedup", "told")
    )
    planes.draw(axis, gain, told, scale, size=7)


def _name_axes(axes: Any) -> None:
    for axis in axes[-1]:
        axis.set_xlabel("n (length of y)")
    for axis in axes[:, 0]:
        axis.set_ylabel("k (how many are kept)")


def time(run: Run) -> Figure:
    """Time of one call against n, every phase; the band holds 90 % of the rounds."""
    style.use()
    rows = first_clock(run.timings)
    where = style.setting(rows, "threads")
    dtype, (rows, k) = _shown_dtype(rows), _at_middle_k(rows, "native")
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
    """Speed-up over native against n, by dtype and phase; bars are 95 % intervals over launches."""
    style.use()
    timings, k = _at_middle_k(first_clock(run.timings), "native")
    rows = speedups(timings)
    rows = rows[rows["phase"].isin(WHOLE) & ~rows["method"].isin(("native", *YARDSTICKS))]
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
        for method, each in here.groupby("method"):
            bars = np.maximum(0, [each["speedup"] - each["low"], each["high"] - each["speedup"]])
            axis.errorbar(each["n"], each["speedup"], yerr=bars, fmt="none", ecolor=look["palette"][method], lw=0.9)
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.times)
        ticks.sizes(axis, rows["n"])
    grid.set_titles("{row_name}, {col_name}").set_axis_labels("n (length of y)", "times as fast as native")
    where = style.setting(timings, "threads")
    return style.titled(
        grid, f"Speed-up over native, k = {k}, {where}\nabove the line is faster; bars: 95 % intervals over launches"
    )


def read_multiples(run: Run) -> Figure:
    """Forward time as a multiple of one read of y in the same round, against n."""
    style.use()
    timings, k = _at_middle_k(first_clock(run.timings), "read")
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
        f"How many reads of y a forward takes, k = {k}, {where}\nline: one read, at small n mostly the call itself",
    )


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


FIGURES = (which_method, matrices, speedup, time, read_multiples)

DARK = (which_method,)
"""The first picture of README.md, which people read on a dark page too."""
