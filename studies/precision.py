"""Figures of `precision`: gradient error by dtype, n, k and method, with flips apart from rounding."""

from __future__ import annotations

from collections.abc import Iterator

import fits
import numpy as np
import pandas as pd
import planes
import seaborn as sns
import shares
import style
import ticks
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy import stats

from harness.tables import Run
from harness.vocabulary import DTYPES

TENSORS = ("values", "dx", "dW")
TENSORS_OF_AGREEMENT = ("values", "dy", "dx", "dW", "dS")
GROWTHS = ("n", "k", "d")
DRAW = ["distribution", "n", "d", "rows", "seed"]
"""What W and x are drawn by: cases that are alike in these, such as those of another k, have the same numbers."""

EXPONENT_TITLE = "Relative error of dx: native against exact, no index flipped\n(dotted: 1/2, a random walk)"

PARTS = {
    ("method", "original"): "total",
    ("method", "conditional"): "arithmetic",
    ("conditional", "exact"): "selection",
    ("exact", "original"): "quantisation",
}
"""(of, reference) -> what that difference is."""

MEASURES = {"ulp_max": "ulps of the dtype", "component_max": "relative to |W||x|"}
"""Metric of the values -> what it is called."""

SELECTIONS = ("the selection is right", "at least one index flipped")


def error_by_n(run: Run) -> Figure:
    """Relative error against exact over n, where the selection is right and where an index flipped."""
    style.use()
    rows = _errors(run, "exact", "rel_l2")
    grid = sns.relplot(
        rows,
        x="n",
        y="value",
        col="tensor",
        row="selection",
        row_order=[each for each in SELECTIONS if each in set(rows["selection"])],
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
        grid, "Error of native against exact; line: median, band: all k, d and seeds; dotted: unit roundoff"
    )


def exponents(run: Run) -> Figure:
    """By which power of n, k and d the error of dx grows, where the selection is right; bars are 95 % intervals."""
    style.use()
    rows = style.some(_exponents(run), "exponent (there are too few draws, or one n, k and d)")
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for place, dtype in enumerate(style.present_dtypes(rows["dtype"])):
        each = rows[rows["dtype"] == dtype]
        at = each["axis"].map(GROWTHS.index) + 0.12 * (place - 1.5)
        bars = np.maximum(0, [each["exponent"] - each["low"], each["high"] - each["exponent"]])
        axis.errorbar(at, each["exponent"], bars, fmt="o", capsize=2, color=style.DTYPE_COLOUR[dtype], label=dtype)
    axis.axhline(0, color="black", lw=0.8)
    axis.axhline(0.5, color="black", lw=0.8, ls=":")
    axis.set_xticks(range(len(GROWTHS)), GROWTHS)
    axis.set(xlabel="the error grows by this power of", ylabel="exponent (95 % interval)", title=EXPONENT_TITLE)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bounds(run: Run) -> Figure:
    """Largest error of native over its bound, deterministic and probabilistic, against d."""
    style.use()
    rows = _native(run.discrepancies.query("reference == 'conditional' and of == 'method'"))
    kinds = {"bound_ratio_max": "deterministic", "probable_ratio_max": "probabilistic"}
    rows = rows[rows["metric"].isin(kinds) & rows["tensor"].isin(TENSORS)]
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
    return style.titled(grid, "Largest error of native over its bound, over all n, k and seeds; line: the bound")


def own_ulps(run: Run) -> Figure:
    """The same errors of the values in ulps of their own format, and relative to |W||x|."""
    style.use()
    rows = _values_two_ways(run)
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
    return style.titled(grid, "Largest error of the values of native, two ways; median, band: 90 % of the cases")


def error_parts(run: Run) -> Figure:
    """Total error as arithmetic, selection and quantisation, draw by draw."""
    style.use()
    rows = run.discrepancies.query("metric == 'rel_l2' and method == 'native' and tensor in ('dx', 'dW')")
    rows = rows.assign(part=[PARTS.get(each, "") for each in zip(rows["of"], rows["reference"], strict=True)])
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
        grid, "Total error of native = arithmetic + selection + quantisation, as vectors; a point: a case"
    )


def flip_share(run: Run) -> Figure:
    """Share of cases in which rounding changed the selection, against n; bars are Clopper-Pearson 95 %."""
    style.use()
    counts = _flipped(run).groupby(["dtype", "n"])["flipped"].agg(["sum", "count"]).reset_index()
    figure, axis = plt.subplots(figsize=(5.5, 3.4))
    for place, dtype in enumerate(style.present_dtypes(counts["dtype"])):
        each = counts[counts["dtype"] == dtype]
        share, bars = shares.with_bars(each["sum"], each["count"])
        shifted = each["n"] * 1.06 ** (place - 1.5)  # side by side, so that bars do not hide one another
        axis.errorbar(shifted, share, bars, marker="o", capsize=2, label=dtype, color=style.DTYPE_COLOUR[dtype])
    ticks.sizes(axis, counts["n"])
    ticks.shares(axis, "y")
    title = f"Where rounding changed what native selects; a point: {shares.span(counts['count'])} cases, bars: 95 %"
    axis.set(xlabel="n (length of y)", ylabel="cases with a flip", title=title)
    axis.legend(title="dtype", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def agreement(run: Run) -> Figure:
    """Share of entries whose bits are native's, by method, tensor and dtype: the smallest over all cases."""
    style.use()
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    methods = style.methods(rows["method"])["hue_order"]
    tensors = [each for each in TENSORS_OF_AGREEMENT if each in set(rows["tensor"])]
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
    figure.suptitle("Share of entries that have the bits of native, the smallest of all cases (blank: none to compare)")
    return figure


def share_text(share: float) -> str:
    """Two digits, but 1 and 0 only where all or none are meant."""
    return "1" if share == 1 else "0" if share == 0 else f"{min(max(share, 0.01), 0.99):.2f}"


def _errors(run: Run, reference: str, metric: str) -> pd.DataFrame:
    """Figures of native's tensors, each with whether its selection flipped."""
    rows = _native(run.discrepancies.query(f"reference == '{reference}' and of == 'method'"))
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    chosen = rows[(rows["metric"] == metric) & rows["tensor"].isin(TENSORS)]
    right = chosen["case"].map(flips) == 0
    return chosen.assign(selection=right.map({True: SELECTIONS[0], False: SELECTIONS[1]}))


def _native(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == "native"]


def _exponents(run: Run) -> pd.DataFrame:
    """log(error of dx) = a + b log n + c log k + e log d by least squares: exponents b, c, e and their 95 % intervals.

    Several k are of one draw of W and x, so draws are the clusters. An axis with one value has no exponent, a dtype
    with no more draws than terms has none at all: columns `dtype axis exponent low high spread draws`, the spread the
    factor by which a residual is off.
    """
    rows = _native(run.discrepancies.query("reference == 'exact' and of == 'method'"))
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    chosen = rows[(rows["tensor"] == "dx") & (rows["metric"] == "rel_l2") & (rows["value"] > 0)]
    chosen = chosen[chosen["case"].map(flips) == 0]
    found = []
    for dtype, each in chosen.groupby("dtype"):
        axes = [axis for axis in GROWTHS if each[axis].nunique() > 1]
        terms = np.column_stack([np.ones(len(each)), *(np.log(each[axis]) for axis in axes)])
        draw = each.groupby(DRAW).ngroup().to_numpy()
        if not fits.can_be_fitted(terms, draw):
            continue
        exponents, halves, spread = fits.clustered(terms, np.log(each["value"].to_numpy()), draw)
        same = {"dtype": dtype, "spread": np.exp(spread), "draws": draw.max() + 1}
        found += [
            same | {"axis": axis, "exponent": b, "low": b - half, "high": b + half}
            for axis, b, half in zip(axes, exponents[1:], halves[1:], strict=True)
        ]
    return pd.DataFrame(found, columns=["dtype", "axis", "exponent", "low", "high", "spread", "draws"])


def _values_two_ways(run: Run) -> pd.DataFrame:
    """The largest error of native's values in each case, in ulps and relative to |W||x|: which, in column `measure`."""
    rows = _native(run.discrepancies.query("reference == 'conditional' and of == 'method' and tensor == 'values'"))
    return rows[rows["metric"].isin(MEASURES)].assign(measure=rows["metric"].map(MEASURES))


def _flipped(run: Run) -> pd.DataFrame:
    """A row a case of native, with whether at least one index flipped."""
    rows = _native(run.discrepancies.query("metric == 'flips' and reference == 'exact' and of == 'method'"))
    return rows.assign(flipped=rows["value"] > 0)


def summary(run: Run) -> Iterator[str]:
    """Whether the methods agree, what a dtype costs, and of the growth of the error law, data and residual."""
    yield from _equal_bits(run)
    yield from _cost_of_dtypes(run)
    yield from _flips(run)
    yield "Law: dx = Wᵀ Sᵀ g has k nonzero terms, so its relative error should not grow with n at fixed k and d."
    exponents = _exponents(run)
    for dtype in style.present_dtypes(run.discrepancies["dtype"]):
        each = exponents[exponents["dtype"] == dtype]
        if each.empty:
            yield f"Data: {dtype}: no exponent: too few draws of W and x whose selection is right, or one n, k and d."
            continue
        told = ", ".join(f"{r.axis} {r.exponent:+.2f} ({r.low:+.2f}..{r.high:+.2f})" for r in each.itertuples())
        spread, draws = each[["spread", "draws"]].iloc[0]
        yield (
            f"Data: {dtype}: exponents of the error of dx, 95 %, {draws:.0f} draws of W and x: {told}; "
            f"residual spread x{spread:.2f}."
        )
    yield from _bounds_and_ulps(run)
    causes = run.discrepancies[run.discrepancies["metric"].str.startswith("cause_")]
    counts = causes.groupby(["reference", "metric"])["value"].sum()
    for reference in counts.index.unique(level=0):
        told = ", ".join(f"{str(name).removeprefix('cause_')} {value:.0f}" for name, value in counts[reference].items())
        yield f"Entries that differ from {reference}, by cause: {told}."


def _flips(run: Run) -> Iterator[str]:
    rows = _flipped(run)
    for dtype in style.present_dtypes(rows["dtype"]):
        flipped = rows.loc[rows["dtype"] == dtype, "flipped"]
        told = shares.told(int(flipped.sum()), len(flipped), "cases")
        yield f"{dtype}: rounding changed what native selects in {told}."


def _bounds_and_ulps(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("reference == 'conditional' and of == 'method'")
    for metric, name in (("bound_ratio_max", "deterministic"), ("probable_ratio_max", "probabilistic")):
        each = rows[rows["metric"] == metric]
        told = ", ".join(f"{dtype} {value:.2g}" for dtype, value in each.groupby("dtype")["value"].max().items())
        beyond = f"beyond it in {int((each['value'] > 1).sum())} of {len(each)}"
        yield f"Largest error over its {name} bound, all methods and tensors: {told}; {beyond}."
    two_ways = _values_two_ways(run)
    for measure, each in two_ways.groupby("measure"):
        told = ", ".join(f"{dtype} {value:.2g}" for dtype, value in each.groupby("dtype")["value"].median().items())
        yield f"Largest error of native's values, {measure}, median over {each['case'].nunique()} cases: {told}."
    for tensor, each in rows[rows["metric"] == "ulp_max"].groupby("tensor"):
        told = ", ".join(f"{dtype} {value:.3g}" for dtype, value in each.groupby("dtype")["value"].max().items())
        yield f"Largest error of {tensor} in ulps of the exact answer: {told}."


def _equal_bits(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    for method, each in rows.groupby("method", sort=False):
        equal, least = int((each["value"] == 1).sum()), each["value"].min()
        tensors = ", ".join(tensor for tensor in TENSORS_OF_AGREEMENT if tensor in set(each["tensor"]))
        less = "" if equal == len(each) else f", at least {least:.3f} of the entries in the others"
        yield f"{method}: the bits of native in every entry in {equal} of {len(each)} comparisons ({tensors}){less}."


def _cost_of_dtypes(run: Run) -> Iterator[str]:
    """The error of native's dx where the selection is right: its geometric mean, with a t interval over draws.

    The k of one draw are averaged first: they are of the same W and x.
    """
    errors = {reference: _errors(run, reference, "rel_l2") for reference in ("exact", "original")}
    for dtype in DTYPES:
        told = []
        for reference, rows in errors.items():
            each = rows[(rows["dtype"] == dtype) & (rows["tensor"] == "dx") & (rows["selection"] == SELECTIONS[0])]
            each = each[each["value"] > 0]
            logs = each.assign(log=np.log(each["value"])).groupby(DRAW)["log"].mean()
            if len(logs) < 2:
                continue
            half = stats.t.ppf(0.975, len(logs) - 1) * logs.std() / np.sqrt(len(logs))
            middle, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
            u = style.UNIT_ROUNDOFF[dtype]
            told.append(
                f"against {reference} {middle:.2g} (95 % {low:.2g}..{high:.2g}, {len(logs)} draws of W and x), "
                f"{middle / u:.2g} unit roundoffs"
            )
        if told:
            yield f"{dtype}: relative error of dx where no index flipped: {'; '.join(told)}."


FIGURES = (error_by_n, exponents, bounds, own_ulps, error_parts, flip_share, agreement)
