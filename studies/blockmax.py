"""`blockmax`: how much faster than torch.topk, how far from one read of y, and which block length is best where.

The last is where the table of harness/methods/blockmax.py comes from: every length is forced, in the same rounds as
torch.topk, and what pays beside what the table says is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import planes
import seaborn as sns
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.methods.blockmax import fitted_length
from harness.study.cells import Case
from harness.study.definition import Study
from harness.tables import OnDevice, Row, Run, first_clock
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import multiples_of_read, speedups
from harness.vocabulary import ITEMSIZE, WALL

LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
RATIOS = (16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)
"""n/k: what the best length depends on."""

FITTED_ON = (65536, 1000000)
FITTED_DTYPES = ("bfloat16", "float32", "float64")
CASE_SECONDS = 1.0
ROUNDS = 15


def measure(study: Study) -> Iterator[Row]:
    """Facts time_over_native of one row: of each block length, forced; item is the length, its parts by the table."""
    for dtype in (each for each in FITTED_DTYPES if each in study.axes.dtype):
        for n in (each for each in FITTED_ON if each in study.axes.n):
            for ratio in RATIOS:
                case = Case(n=n, k=max(1, n // ratio), dtype=dtype)
                key = {"case": case.id, "method": "blockmax", "fact": "time_over_native"} | case.axes
                for length, found in _over_native(case).items():
                    yield key | {"item": str(length), "value": found, "detail": f"n/k = {ratio}"}


def _over_native(case: Case) -> dict[int, float]:
    """length -> median over rounds of the time of a forward with it, in native's of the same round."""
    import torch

    from harness.device.clock import Clock
    from harness.device.devices import device_of
    from harness.methods.blockmax import positions
    from harness.session.rounds import in_rounds
    from harness.topk.problems import draw

    torch.set_num_threads(1)
    y = draw(case).y

    def forward(length: int) -> Any:
        indices = positions(y, case.k, True, length)
        return y.gather(-1, indices), indices

    possible = [length for length in LENGTHS if case.n >= 2 * length * case.k]
    calls: dict[str, Callable[[], Any]] = {"native": lambda: y.topk(case.k)}
    calls |= {str(length): partial(forward, length) for length in possible}
    times = in_rounds(calls, Clock(device_of(case.device).synchronize), ROUNDS, CASE_SECONDS, seed=int(case.id, 16))
    native = np.array(times["native"])
    return {length: float(np.median(times[str(length)] / native)) for length in possible}


def table_length(dtype: str, n: int, ratio: int) -> int:
    """What the table of blockmax says for one row; 0: native."""
    return fitted_length(ITEMSIZE[dtype], n, n, max(1, n // ratio))


def speedup(run: Run) -> Figure:
    """Speed-up over native in the plane of k and of n with rows, a panel a dtype; white is as fast."""
    style.use()
    rows = speedups(believed(run))
    rows = rows.query("method == 'blockmax' and phase == 'forward' and distribution == 'normal'")
    rows = style.some(rows[rows["speedup"].notna()], "forward of blockmax on normal values")
    rows = rows.assign(kept=_kept(rows), told=[ticks.speedup(row) for row in rows.to_dict("records")])
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
        gain, told = (here[each].unstack("kept").reindex(columns).T.reindex(kept) for each in ("speedup", "told"))
        planes.draw(axis, gain, told, scale, size=7)
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
    """n below each column, and below a group of them how many rows they have, with a line between groups."""
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
    """n/64 before the numbers, which are from the largest to the smallest."""
    yield from (each for each in ("n/64",) if each in set(kept))
    yield from map(str, sorted({int(each) for each in kept if each != "n/64"}, reverse=True))


def _how_sure(rows: pd.DataFrame) -> str:
    """How many cells have an interval, and what the sign of the others means."""
    bounded, faster = int(rows["low"].notna().sum()), int((rows["low"] > 1).sum())
    without = f" ({len(rows) - bounded} have none)" if bounded < len(rows) else ""
    return (
        f"surely faster (95 %) in {faster} of the {bounded} cells with an interval{without}; "
        "~: no interval, or 10 % or more unsure"
    )


def contestants(run: Run) -> Figure:
    """Time of every method's forward as a multiple of one read of y, one panel a device and dtype, one row."""
    style.use()
    timings = (run.whole if isinstance(run, OnDevice) else run).timings  # of every device, wherever the figure lies
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
        grid, f"How many reads of y a top-{kept} takes, {style.setting(timings, 'threads')}; line: one read"
    )


def clock_of(rows: pd.DataFrame) -> pd.Series:
    """', by the device clock' where a time is of it, '' where it is of the wall clock."""
    return rows["clock"].map(lambda clock: "" if clock == WALL else f", by the {clock} clock")


def read_multiples(run: Run) -> Figure:
    """Time of a forward as a multiple of one read of y in the same round, one row."""
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
        f"How many reads of y a forward of one row takes, {where}\nline: one read, at small n mostly the call itself",
    )


def worst_cases(run: Run) -> Figure:
    """Speed-up over native where the values are the hardest for a search in blocks, float32, one row."""
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
        grid, f"blockmax on values that are hard for it or for native, float32, one row, {where}; below 1x it is slower"
    )


def block_lengths(run: Run) -> Figure:
    """Time over native by block length and n/k, and what the table says."""
    style.use()
    rows = run.facts.query("fact == 'time_over_native'")
    rows = rows.assign(length=rows["item"].astype(int), ratio=_ratio(rows), over=rows["value"])
    table = rows.drop_duplicates(["dtype", "n", "ratio"])
    grid = sns.relplot(
        rows, x="ratio", y="over", hue="length", palette="viridis_r", hue_norm=_log_norm(), col="dtype", row="n",
        kind="line", errorbar=None, marker="o", height=2.7, aspect=1.2, legend="full",
    )  # fmt: skip
    for (n, dtype), axis in grid.axes_dict.items():
        here = table[(table["dtype"] == dtype) & (table["n"] == n)]
        for ratio in here["ratio"]:
            taken = rows["length"] == table_length(str(dtype), int(n), int(ratio))
            chosen = rows[taken & (rows["dtype"] == dtype) & (rows["n"] == n) & (rows["ratio"] == ratio)]
            axis.plot(chosen["ratio"], chosen["over"], "o", mfc="none", mec="black", ms=9)
        axis.axhline(1, color="black", lw=0.8)
        ticks.log(axis, "x", ticks.number)
        ticks.log(axis, "y", ticks.times)
        axis.set_title(f"{dtype}, n = {ticks.size_text(int(n))}")
    grid.set_axis_labels("n/k", "time (native's is 1x)")
    return style.titled(
        grid, "Which block length of blockmax is best: the circle is the one that its table takes; no circle: native"
    )


def summary(run: Run) -> Iterator[str]:
    """The law, what was found at its best and worst, and how far the table is from the best length."""
    yield (
        "Law: the k largest lie in the k blocks with the largest maxima, so one read finds the blocks, and only "
        "k L values are searched; with L about 3 sqrt(n/k) both cost alike."
    )
    found = speedups(believed(run)).query("method == 'blockmax' and phase == 'forward'")
    for distribution, each in found.groupby("distribution", sort=False):
        ordered = each.sort_values("speedup").to_dict("records")
        yield f"{distribution}: {_told(ordered[-1])} at most, {_told(ordered[0])} at least."
    rows = multiples_of_read(run.timings).query("method == 'blockmax' and phase == 'forward' and k == 100")
    rows = rows.query("dtype == 'float32' and rows == 1 and distribution == 'normal'")
    if len(rows):
        told = (f"{each['multiple']:.1f} reads of y at n = {each['n']}" for each in rows.to_dict("records"))
        yield f"float32, k = 100: {', '.join(told)}."
    facts = run.facts.query("fact == 'time_over_native'")
    for dtype, same in facts.assign(ratio=_ratio(facts)).groupby("dtype"):
        for n in sorted(set(same["n"])):
            yield f"{dtype}, n = {n}: {_beside_the_table(str(dtype), n, same[same['n'] == n])}"


def _beside_the_table(dtype: str, n: int, rows: pd.DataFrame) -> str:
    """How much slower than the best length the table's is, native among them where it has none."""
    behind: dict[int, float] = {}
    for ratio in sorted(set(rows["ratio"])):
        here = rows[rows["ratio"] == ratio]
        over = {0: 1.0} | dict(zip(here["item"].astype(int), here["value"].astype(float), strict=True))
        behind[ratio] = over[table_length(dtype, n, ratio)] / min(over.values())
    worst = max(behind, key=lambda ratio: behind[ratio])
    return (
        f"the table's length takes {np.exp(np.mean(np.log([*behind.values()]))):.2f} of the time of the best one, "
        f"{behind[worst]:.2f} at worst (n/k = {worst})."
    )


def _told(row: dict[Any, Any]) -> str:
    interval = f" ({row['low']:.3g}..{row['high']:.3g})" if np.isfinite(row["low"]) else ""
    where = f"{row['dtype']}, n = {row['n']}, k = {row['k']}, rows = {row['rows']}"
    return f"{row['speedup']:.3g}x native{interval} at {where}"


def _kept(rows: pd.DataFrame) -> pd.Series:
    """k as the study has it: a fraction of n where it is one."""
    return rows["k"].astype(str).where(rows["k"] != rows["n"] // 64, "n/64")


def _ratio(rows: pd.DataFrame) -> pd.Series:
    return rows["detail"].str.extract(r"= (\d+)", expand=False).astype(int)


def _log_norm() -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(LENGTHS[0], LENGTHS[-1])


FIGURES = (contestants, speedup, read_multiples, worst_cases, block_lengths)
