"""Figures of `precision`: errors of values and gradients by dtype, n, k, d and method, flips apart from rounding."""

from __future__ import annotations

import native_errors
import numpy as np
import planes
import seaborn as sns
import shares
import style
import ticks
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from precision_findings import summary as summary

from harness.tables import Run

EXPONENT_TITLE = "Relative error of dx: native against exact, no index flipped\n(dotted: 1/2, a random walk)"

PARTS = {
    ("method", "original"): "total",
    ("method", "conditional"): "arithmetic",
    ("conditional", "exact"): "selection",
    ("exact", "original"): "quantisation",
}
"""(of, reference) -> the part of the total error that this difference is."""


def error_by_n(run: Run) -> Figure:
    """Relative error of native over n, where the selection is right and where an index flipped."""
    style.use()
    rows = native_errors.errors(run, "exact", "rel_l2")
    grid = sns.relplot(
        rows,
        x="n",
        y="value",
        col="tensor",
        row="selection",
        row_order=[selection for selection in native_errors.SELECTIONS if selection in set(rows["selection"])],
        kind="line",
        marker="o",
        estimator="median",
        errorbar=("pi", 100),
        height=2.8,
        facet_kws={"sharey": "row"},
        **style.dtypes(rows["dtype"]),
    )
    for axis in grid.axes.flat:
        for dtype in style.present_dtypes(rows["dtype"]):
            axis.axhline(style.UNIT_ROUNDOFF[dtype], color=style.DTYPE_COLOUR[dtype], lw=0.8, ls=":")
        ticks.sizes(axis, rows["n"])
        ticks.log(axis, "y", ticks.error)
    for (selection, _), axis in grid.axes_dict.items():
        shown = rows.loc[(rows["selection"] == selection) & (rows["value"] > 0), "value"]
        axis.set_ylim(shown.min() / 5, shown.max() * 5)
    grid.set_titles("{col_name}: {row_name}").set_axis_labels("n (length of y)", "relative error (2-norm)")
    return style.titled(
        grid, "Error of native against the exact answer; line: median; band: all k, d and seeds; dotted: unit roundoff"
    )


def exponents(run: Run) -> Figure:
    """The power of n, k and d with which the error of dx grows, where the selection is right; bars: 95 % intervals."""
    style.use()
    rows = style.some(native_errors.fitted_exponents(run), "exponent (there are too few draws, or one n, k and d)")
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for place, dtype in enumerate(style.present_dtypes(rows["dtype"])):
        here = rows[rows["dtype"] == dtype]
        at = here["axis"].map(native_errors.GROWTHS.index) + 0.12 * (place - 1.5)
        # Rounding may put an end of an interval beyond its point, and errorbar takes no negative length.
        bars = np.maximum(0, [here["exponent"] - here["low"], here["high"] - here["exponent"]])
        axis.errorbar(at, here["exponent"], bars, fmt="o", capsize=2, color=style.DTYPE_COLOUR[dtype], label=dtype)
    axis.axhline(0, color="black", lw=0.8)
    axis.axhline(0.5, color="black", lw=0.8, ls=":")
    axis.set_xticks(range(len(native_errors.GROWTHS)), native_errors.GROWTHS)
    axis.set(xlabel="the error grows by this power of", ylabel="exponent (95 % interval)", title=EXPONENT_TITLE)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bounds(run: Run) -> Figure:
    """Largest error of native as a multiple of its bound, deterministic and probabilistic, over d."""
    style.use()
    rows = native_errors.of_native(run.discrepancies.query("reference == 'conditional' and of == 'method'"))
    kinds = {"bound_ratio_max": "deterministic", "probable_ratio_max": "probabilistic"}
    rows = rows[rows["metric"].isin(kinds) & rows["tensor"].isin(native_errors.TENSORS)]
    rows = rows.assign(bound=rows["metric"].map(kinds))
    grid = sns.relplot(
        rows,
        x="d",
        y="value",
        col="tensor",
        style="bound",
        markers=True,
        kind="line",
        estimator="max",
        errorbar=None,
        height=2.9,
        **style.dtypes(rows["dtype"]),
    )
    for axis in grid.axes.flat:
        axis.axhline(1, color="black", lw=0.8)
        ticks.sizes(axis, rows["d"])
        ticks.log(axis, "y", ticks.number)
    grid.set_titles("{col_name}").set_axis_labels("d (terms of W x)", "largest error / its bound")
    return style.titled(
        grid, "Largest error of native as a multiple of its bound, of all n, k and seeds; line: the bound"
    )


def own_ulps(run: Run) -> Figure:
    """The largest error of the values of native, in ulps of their own dtype and relative to |W||x|."""
    style.use()
    rows = native_errors.values_two_ways(run)
    grid = sns.relplot(
        rows,
        x="d",
        y="value",
        col="measure",
        kind="line",
        marker="o",
        estimator="median",
        errorbar=("pi", 90),
        height=3,
        facet_kws={"sharey": False},
        **style.dtypes(rows["dtype"]),
    )
    for axis in grid.axes.flat:
        ticks.sizes(axis, rows["d"])
        ticks.log(axis, "y", ticks.error)
    grid.set_titles("{col_name}").set_axis_labels("d (terms of W x)", "largest error of the values")
    return style.titled(grid, "Largest error of native's values in two measures; line: median, band: 90 % of the cases")


def error_parts(run: Run) -> Figure:
    """Total error of native and its parts: arithmetic, selection and quantisation; a point is a case."""
    style.use()
    rows = run.discrepancies.query("metric == 'rel_l2' and method == 'native' and tensor in ('dx', 'dW')")
    rows = rows.assign(part=[PARTS.get(pair, "") for pair in zip(rows["of"], rows["reference"], strict=True)])
    rows = rows[rows["part"] != ""]
    zero = ticks.zero_of(rows["value"])
    grid = sns.catplot(
        rows.assign(value=rows["value"].clip(lower=zero)) if zero else rows,
        x="part",
        y="value",
        order=list(PARTS.values()),
        col="tensor",
        kind="strip",
        dodge=True,
        size=2.5,
        alpha=0.6,
        height=3.4,
        aspect=1.2,
        **style.dtypes(rows["dtype"]),
    )
    for axis in grid.axes.flat:
        ticks.log(axis, "y", ticks.error, zero)
    grid.set_titles("{col_name}").set_axis_labels("", "relative error (2-norm)")
    return style.titled(
        grid, "Total error of native = arithmetic + selection + quantisation (as vectors); each point: a case"
    )


def flip_share(run: Run) -> Figure:
    """Share of cases in which rounding changed the selection, over n; bars: 95 % intervals (Clopper-Pearson)."""
    style.use()
    counts = native_errors.flipped(run).groupby(["dtype", "n"])["flipped"].agg(["sum", "count"]).reset_index()
    figure, axis = plt.subplots(figsize=(5.5, 3.4))
    for place, dtype in enumerate(style.present_dtypes(counts["dtype"])):
        here = counts[counts["dtype"] == dtype]
        share, bars = shares.with_bars(here["sum"], here["count"])
        shifted = here["n"] * 1.06 ** (place - 1.5)  # side by side, so that bars do not hide one another
        axis.errorbar(shifted, share, bars, marker="o", capsize=2, label=dtype, color=style.DTYPE_COLOUR[dtype])
    ticks.sizes(axis, counts["n"])
    ticks.shares(axis, "y")
    title = (
        f"Cases in which rounding changed what native selects, of {shares.span(counts['count'])} a point; bars: 95 %"
    )
    axis.set(xlabel="n (length of y)", ylabel="cases with a flip", title=title)
    axis.legend(title="dtype", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def agreement(run: Run) -> Figure:
    """Share of the entries with the same bits as native's, by method, tensor and dtype: the smallest of all cases."""
    style.use()
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    methods = style.methods(rows["method"])["hue_order"]
    tensors = [tensor for tensor in native_errors.TENSORS_OF_AGREEMENT if tensor in set(rows["tensor"])]
    dtypes = style.present_dtypes(rows["dtype"])
    size = (0.5 * len(tensors) * len(dtypes) + 1.6, 0.32 * len(methods) + 0.9)
    figure, axes = plt.subplots(1, len(dtypes), figsize=size, squeeze=False, sharey=True, layout="constrained")
    scale = planes.Scale(colormaps["cividis"], Normalize(0, 1), ticks.number)
    for axis, dtype in zip(axes.flat, dtypes, strict=True):
        least = rows[rows["dtype"] == dtype].pivot_table(
            index="method", columns="tensor", values="value", aggfunc="min"
        )
        least = least.reindex(index=methods, columns=tensors)
        planes.draw(axis, least, least.map(share_text), scale)
        axis.set_title(dtype)
    figure.suptitle(
        "Share of entries with the same bits as native's, the smallest of all cases (blank: nothing to compare)"
    )
    return figure


def share_text(share: float) -> str:
    """Two digits. '1' means all and '0' means none: other shares are not rounded to these."""
    return "1" if share == 1 else "0" if share == 0 else f"{min(max(share, 0.01), 0.99):.2f}"


FIGURES = (error_by_n, exponents, bounds, own_ulps, error_parts, flip_share, agreement)
