"""The figures of `speed` in the plane of n and k: which method to take, and what a selection matrix costs."""

from __future__ import annotations

from typing import Any

import pandas as pd
import planes
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.tables import Run, first_clock
from harness.verdicts.fastest import TOGETHER, WHOLE, WORTH, fastest
from harness.verdicts.plausible import believed
from harness.verdicts.ratios import speedups

MATRICES = ("dense", "coo", "csr", "csr_at")

QUESTIONS = {
    "forward": "the values (forward)",
    "step": "values and gradient (step)",
    "pipeline": "topk(W x), dW and dx (pipeline)",
}
"""Phase -> what somebody who pays for it needs. Without backward: nobody takes a method for its backward alone."""

ANSWERED_DTYPES = ("float32", "bfloat16")


def which_method(run: Run) -> Figure:
    """The method to take in the plane of n and k, by dtype and need, and the time that it takes instead of native's."""
    style.use()
    timings = first_clock(believed(run))
    best = style.some(fastest(timings), "case of three launches")
    asked = set(QUESTIONS) & set(best["phase"]) or set(best["phase"])  # a run narrowed to backward shows backward
    phases = [phase for phase in WHOLE if phase in asked]
    best = best[best["phase"].isin(phases) & best["dtype"].isin(_answered(best["dtype"]))]
    dtypes = style.present_dtypes(best["dtype"])[::-1]
    best = best.assign(text=_answers(best, timings), speedup=best["speedup"].where(best["speedup"] >= WORTH, 1.0))
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
        "Which method to take, and how much faster than torch.topk it is (time of native → time at this speed-up)\n"
        f"{where}; native where no other is surely faster by {100 * (WORTH - 1):.0f} %; ~: uncertain by 10 % or more"
    )
    return figure


def _answered(present: pd.Series) -> list[str]:
    """The dtypes that the figure shows: those of ANSWERED_DTYPES, or else the first two that were measured."""
    measured = style.present_dtypes(present)
    return [dtype for dtype in ANSWERED_DTYPES if dtype in measured] or measured[:2]


def _answers(best: pd.DataFrame, timings: pd.DataFrame) -> list[str]:
    """The text on the tile of each row of fastest(): the method, its speed-up, the time of native and its own."""
    medians = timings.groupby(["case", "phase", "clock", "method"])["seconds"].median().to_dict()
    texts = []
    for row in best.to_dict("records"):
        before = medians[row["case"], row["phase"], row["clock"], "native"]
        if row["method"] == "native" or row["speedup"] < WORTH:
            texts.append(f"native\n{ticks.rounded_seconds(before)}")
            continue
        others = row["fastest"].count(TOGETHER)
        name = row["method"] + (f"\nor {others} other{'s' if others > 1 else ''}" if others else "")
        # Not its own median, so that a reader who divides the two times finds the speed-up again.
        after = ticks.rounded_seconds(before / row["speedup"])
        texts.append(f"{name}\n{ticks.speedup(row)}\n{ticks.rounded_seconds(before)} → {after}")
    return texts


def matrices(run: Run) -> Figure:
    """The fastest selection matrix in the plane of n and k, and its speed-up over native."""
    style.use()
    timings = first_clock(believed(run))
    dtype = shown_dtype(timings[timings["method"] == "native"])
    rows = speedups(timings[timings["dtype"] == dtype])
    rows = rows[rows["phase"].isin(WHOLE) & rows["method"].isin(MATRICES) & rows["speedup"].notna()]
    rows = style.some(rows, "selection matrix beside native")
    rows = rows.loc[rows.groupby(["phase", "n", "k"])["speedup"].idxmax()]
    text = [f"{row['method']}\n{ticks.speedup(row)}" for row in rows.to_dict("records")]
    rows, scale = rows.assign(text=text), planes.ratios(rows["speedup"])
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
        f"What a selection matrix costs: the fastest of {', '.join(MATRICES)}; below 1x it is slower than native\n"
        f"{dtype}, {style.setting(timings, 'threads', 'rows', 'd')}; mean over launches; ~: uncertain by 10 % or more"
    )
    return figure


def _tiles(axis: Any, rows: pd.DataFrame, ns: list[int], ks: list[int], scale: planes.Scale) -> None:
    """Draw a tile for each row, with its speed-up as the colour and its column `text`. All panels have the same n and
    k."""
    gain, text = (
        rows.pivot(index="k", columns="n", values=value).reindex(index=ks, columns=ns) for value in ("speedup", "text")
    )
    planes.draw(axis, gain, text, scale, size=7)


def _name_axes(axes: Any) -> None:
    for axis in axes[-1]:
        axis.set_xlabel("n (length of y)")
    for axis in axes[:, 0]:
        axis.set_ylabel("k (how many are kept)")


def shown_dtype(rows: pd.DataFrame) -> str:
    """The dtype of a figure of one dtype: float32, or else the first that was measured."""
    return "float32" if "float32" in (present := style.present_dtypes(rows["dtype"])) else present[0]
