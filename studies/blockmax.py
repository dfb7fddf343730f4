"""`blockmax`: how much faster than torch.topk it is, how far from one read of y, and with which block length.

What it measures and draws about block lengths is in block_lengths.py, and what it measures about memory that torch.topk
gets from the operating system is in new_memory.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import new_memory
import numpy as np
import pandas as pd
import planes
import seaborn as sns
import style
import ticks
from block_lengths import beside_the_best, block_lengths, lengths_over_native
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.study.definition import Study
from harness.tables import OnDevice, Row, Run, first_clock
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import multiples_of_read, speedups
from harness.vocabulary import WALL


def measure(study: Study) -> Iterator[Row]:
    """Facts about block lengths, and about new memory."""
    yield from lengths_over_native(study)
    yield from new_memory.native_over_blockmax(study)


def speedup(run: Run) -> Figure:
    """Speed-up over native by k (down), n and rows (across), one panel for each dtype; white means equally fast."""
    style.use()
    rows = speedups(believed(run))
    rows = rows.query("method == 'blockmax' and phase == 'forward' and distribution == 'normal'")
    rows = style.some(rows[rows["speedup"].notna()], "forward of blockmax on normal values")
    rows = rows.assign(kept=_kept(rows), text=[ticks.speedup(row) for row in rows.to_dict("records")])
    dtypes = style.present_dtypes(rows["dtype"])
    kept = [*_largest_first(rows["kept"])]
    columns = sorted(set(zip(rows["rows"], rows["n"], strict=True)))
    scale = planes.ratios(rows["speedup"])
    across = min(2, len(dtypes))
    down = -(-len(dtypes) // across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(0.52 * len(columns) * across + 1.8, (0.42 * len(kept) + 0.75) * down + 0.6),
        squeeze=False,
        layout="constrained",
    )
    for axis, dtype in zip(axes.flat, dtypes, strict=False):
        here = rows[rows["dtype"] == dtype].set_index(["rows", "n", "kept"])
        gain, text = (here[value].unstack("kept").reindex(columns).T.reindex(kept) for value in ("speedup", "text"))
        planes.draw(axis, gain, text, scale, size=7)
        _name_columns(axis, columns)
        axis.set(title=dtype, ylabel="k")
    for axis in axes.flat[len(dtypes) :]:
        axis.set_visible(False)
    planes.colour_bar(figure, axes, scale, "times as fast as native", rows["speedup"], shrink=0.7, aspect=25)
    figure.suptitle(
        f"blockmax: speed-up of forward over torch.topk, {style.setting(run.timings, 'threads')}\n{_how_sure(rows)}"
    )
    return figure


def _name_columns(axis: Any, columns: Sequence[tuple[int, int]]) -> None:
    """Label each column with its n, and each group of columns with its number of rows; draw a line between groups."""
    counts = [rows for rows, _ in columns]
    axis.set_xticks(np.arange(len(columns)) + 0.5, [ticks.size_text(n) for _, n in columns])
    for rows in sorted(set(counts)):
        first, many = counts.index(rows), counts.count(rows)
        words = f"{rows} row{'s' if rows > 1 else ''}" + (" of n" if many > 1 else "")
        axis.annotate(
            words, (first + many / 2, -0.19), xycoords=("data", "axes fraction"), ha="center", va="top", size=7.5
        )
        if first:
            axis.axvline(first, color="black", lw=0.8)


def _largest_first(kept: pd.Series) -> Iterator[str]:
    """'n/64' where it is one of the k, then the numbers from the largest to the smallest."""
    if "n/64" in set(kept):
        yield "n/64"
    yield from map(str, sorted({int(k) for k in kept if k != "n/64"}, reverse=True))


def _how_sure(rows: pd.DataFrame) -> str:
    """In how many cells blockmax is surely faster, how many have no interval, and what '~' means."""
    bounded, faster = int(rows["low"].notna().sum()), int((rows["low"] > 1).sum())
    without = f" ({len(rows) - bounded} have none)" if bounded < len(rows) else ""
    return (
        f"surely faster (95 %) in {faster} of the {bounded} cells with an interval{without}; "
        "~: no interval, or uncertain by 10 % or more"
    )


def contestants(run: Run) -> Figure:
    """Time of the forward of every method as a multiple of one read of y, one row, by device and dtype."""
    style.use()
    timings = (run.whole if isinstance(run, OnDevice) else run).timings  # of all devices, to compare them in one figure
    timings = timings[(timings["rows"] == 1) & (timings["distribution"] == "normal")]
    timings = first_clock(timings[timings["phase"].isin(["forward", "apply"])], ["device"])
    rows = multiples_of_read(timings).query("phase == 'forward'")
    rows = style.some(rows, "forward of one row of normal values")
    kept = 100 if 100 in set(rows["k"]) else style.middle(rows["k"])
    rows = rows[rows["k"] == kept]
    rows = rows.assign(panel=rows["device"] + clock_of(rows))
    grid = sns.relplot(
        rows, x="n", y="multiple", col="dtype", col_order=style.present_dtypes(rows["dtype"]), row="panel", kind="line",
        errorbar=None, height=2.7, aspect=1, **style.lines(rows["method"]),
    )  # fmt: skip
    grid.set_titles("{row_name}, {col_name}").set_axis_labels("n (length of y)", "time in reads of y")
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.number)
        ticks.sizes(axis, rows["n"])
    return style.titled(
        grid, f"Time of a top-{kept} in reads of y, {style.setting(timings, 'threads')}; line: one read"
    )


def clock_of(rows: pd.DataFrame) -> pd.Series:
    """For each row ', by the device clock', or '' where its time is by the wall clock."""
    return rows["clock"].map(lambda clock: "" if clock == WALL else f", by the {clock} clock")


def read_multiples(run: Run) -> Figure:
    """Time of the forward of one row as a multiple of one read of y in the same round."""
    style.use()
    rows = multiples_of_read(run.timings).query("phase == 'forward' and rows == 1 and distribution == 'normal'")
    rows = rows.assign(kept=_kept(rows))
    grid = sns.relplot(
        rows[rows["kept"] != "1000"], x="n", y="multiple", col="dtype", row="kept", kind="line", errorbar=None,
        height=2.3, aspect=1.1, **style.lines(rows["method"]),
    )  # fmt: skip
    grid.set_titles("{col_name}, k = {row_name}").set_axis_labels("n (length of y)", "time in reads of y")
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.number)
        ticks.sizes(axis, rows["n"])
    where = style.setting(run.timings, "threads")
    return style.titled(
        grid,
        f"Time of the forward of one row in reads of y, {where}\nline: one read, which at small n is mostly the call",
    )


def worst_cases(run: Run) -> Figure:
    """Speed-up over native on the values that are hardest for blockmax, float32, one row."""
    style.use()
    rows = speedups(believed(run)).query("method == 'blockmax' and phase == 'forward' and rows == 1")
    rows = rows[rows["dtype"] == "float32"]
    rows = rows.assign(kept=_kept(rows))
    grid = sns.relplot(
        rows, x="n", y="speedup", col="kept", hue="distribution", style="distribution", kind="line", markers=True,
        errorbar=None, dashes=False, palette="colorblind", height=2.6, markeredgewidth=0.4,
    )  # fmt: skip
    grid.set_titles("k = {col_name}").set_axis_labels("n (length of y)", "times as fast as native")
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "y", ticks.times)
        ticks.sizes(axis, rows["n"])
    where = style.setting(run.timings, "threads")
    return style.titled(
        grid, f"blockmax on values that are hard for it or for native, float32, one row, {where}; below 1x: slower"
    )


def summary(run: Run) -> Iterator[str]:
    """The law, the largest and smallest speed-up, that of a large k, the reads of y, and the table beside the best."""
    yield (
        "Law: the k largest lie in the k blocks of L values with the largest maxima, so one read finds the blocks, and "
        "only k L values are searched; with L about 3 sqrt(n/k) both steps take equally long. Where k is too large for "
        "blocks, the k largest are among the values that reach a threshold from a sample."
    )
    gains = speedups(believed(run)).query("method == 'blockmax' and phase == 'forward'")
    for distribution, of_distribution in gains.groupby("distribution", sort=False):
        ordered = of_distribution.sort_values("speedup").to_dict("records")
        yield f"{distribution}: {_gain_text(ordered[-1])} at most, {_gain_text(ordered[0])} at least."
    one_row = "dtype == 'float32' and rows == 1 and distribution == 'normal'"
    large_k = gains[_kept(gains) == "n/64"].query(one_row).sort_values("n")
    if len(large_k):
        yield f"Normal values, k = n/64: {'; '.join(map(_gain_text, large_k.to_dict('records')))}."
    rows = multiples_of_read(run.timings).query("method == 'blockmax' and phase == 'forward' and k == 100")
    rows = rows.query(one_row)
    if len(rows):
        multiples = (f"{row['multiple']:.1f} reads of y at n = {row['n']}" for row in rows.to_dict("records"))
        yield f"float32, k = 100: {', '.join(multiples)}."
    yield from new_memory.told(run.facts)
    yield from beside_the_best(run)


def _gain_text(row: dict[Any, Any]) -> str:
    interval = f" ({row['low']:.3g}..{row['high']:.3g})" if np.isfinite(row["low"]) else ""
    where = f"{row['dtype']}, n = {row['n']}, k = {row['k']}, rows = {row['rows']}"
    return f"{row['speedup']:.3g}x native{interval} at {where}"


def _kept(rows: pd.DataFrame) -> pd.Series:
    """k in words, as the study names it: 'n/64' where it is that fraction of n."""
    return rows["k"].astype(str).where(rows["k"] != rows["n"] // 64, "n/64")


FIGURES = (contestants, speedup, read_multiples, worst_cases, block_lengths)
