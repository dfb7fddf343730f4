"""Figures of `precision`: gradient error by dtype, n, k and method, with flips apart from rounding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
import style
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import stats

from harness.tables import Run
from harness.vocabulary import DTYPES

TENSORS = ("values", "dx", "dW")
TENSORS_OF_AGREEMENT = ("values", "dy", "dx", "dW", "dS")
GROWTHS = ("n", "k", "d")
EXPONENT_TITLE = "Relative error of dx: native against exact, no index flipped\n(dotted: 1/2, a random walk)"

PARTS = {
    ("method", "original"): "total",
    ("method", "conditional"): "arithmetic",
    ("conditional", "exact"): "selection",
    ("exact", "original"): "quantisation",
}
"""(of, reference) -> what that difference is."""

SELECTIONS = ("the selection is right", "at least one index flipped")


def error_by_n(run: Run) -> Figure:
    """Relative error against exact over n: near the unit roundoff, unless an index flipped."""
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
        for dtype in set(rows["dtype"]):
            axis.axhline(style.UNIT_ROUNDOFF[dtype], color=style.DTYPE_COLOUR[dtype], lw=0.8, ls=":")
        style.powers_of_two(axis, rows["n"])
    grid.set(yscale="log").set_titles("{col_name}: {row_name}")
    grid.set_axis_labels("n (length of y)", "relative error (2-norm)")
    grid.figure.suptitle("Error of native against exact; band: all k, d and seeds; dotted: unit roundoff", y=1.02)
    return grid.figure


def exponents(run: Run) -> Figure:
    """By which power of n, k and d the error of dx grows, where the selection is right; bars are 95 % intervals."""
    style.use()
    rows = _exponents(run)
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    dtypes = [dtype for dtype in DTYPES if dtype in set(rows["dtype"])]
    for place, dtype in enumerate(dtypes):
        each = rows[rows["dtype"] == dtype]
        at = np.arange(len(each)) + 0.12 * (place - 1.5)
        bars = [each["exponent"] - each["low"], each["high"] - each["exponent"]]
        axis.errorbar(at, each["exponent"], bars, fmt="o", capsize=2, color=style.DTYPE_COLOUR[dtype], label=dtype)
    axis.axhline(0, color="black", lw=0.8)
    axis.axhline(0.5, color="black", lw=0.8, ls=":")
    axis.set_xticks(range(len(GROWTHS)), GROWTHS)
    axis.set(xlabel="the error grows by this power of", ylabel="exponent", title=EXPONENT_TITLE)
    axis.legend()
    return figure


def bounds(run: Run) -> Figure:
    """Largest error over its bound, deterministic and probabilistic, against d."""
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
        style.powers_of_two(axis, rows["d"])
    grid.set(yscale="log").set_titles("{col_name}").set_axis_labels("d (terms of W x)", "largest error / its bound")
    grid.figure.suptitle("No error is beyond its bound (line); that of halves is mostly their last rounding", y=1.03)
    return grid.figure


def own_ulps(run: Run) -> Figure:
    """The same errors of the values in ulps of their own format, and relative to |W||x|."""
    style.use()
    rows = _native(run.discrepancies.query("reference == 'conditional' and of == 'method' and tensor == 'values'"))
    labels = {"ulp_max": "ulps of the dtype", "component_max": "relative to |W||x|"}
    rows = rows[rows["metric"].isin(labels)].assign(measure=rows["metric"].map(labels))
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
        style.powers_of_two(axis, rows["d"])
    grid.set(yscale="log").set_titles("{col_name}").set_axis_labels("d (terms of W x)", "largest error of the values")
    grid.figure.suptitle("In its own ulps a low precision looks best; relative to |W||x| it is not", y=1.03)
    return grid.figure


def error_parts(run: Run) -> Figure:
    """Total error as arithmetic, selection and quantisation, draw by draw."""
    style.use()
    rows = run.discrepancies.query("metric == 'rel_l2' and method == 'native' and tensor in ('dx', 'dW')")
    rows = rows.assign(part=[PARTS.get(each, "") for each in zip(rows["of"], rows["reference"], strict=True)])
    rows = rows[(rows["part"] != "") & (rows["value"] > 0)]
    grid = sns.catplot(
        rows,
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
    grid.set(yscale="log").set_titles("{col_name}").set_axis_labels("", "relative error (2-norm)")
    grid.figure.suptitle(
        "Total error = arithmetic + selection + quantisation, as vectors (zeros are not drawn)", y=1.03
    )
    return grid.figure


def flip_share(run: Run) -> Figure:
    """Share of draws in which rounding changed the selection, against n; bars are Clopper-Pearson 95 %."""
    style.use()
    rows = _native(run.discrepancies.query("metric == 'flips' and reference == 'exact' and of == 'method'"))
    counts = rows.assign(flipped=rows["value"] > 0).groupby(["dtype", "n"])["flipped"].agg(["sum", "count"])
    counts = counts.reset_index()
    figure, axis = plt.subplots(figsize=(5.5, 3.4))
    dtypes = [dtype for dtype in DTYPES if dtype in set(counts["dtype"])]
    for place, dtype in enumerate(dtypes):
        each = counts[counts["dtype"] == dtype]
        bounds = [
            stats.binomtest(int(s), int(c)).proportion_ci(0.95) for s, c in zip(each["sum"], each["count"], strict=True)
        ]
        share = each["sum"] / each["count"]
        bars = [share - [b.low for b in bounds], [b.high for b in bounds] - share]
        shifted = each["n"] * 1.06 ** (place - 1.5)  # side by side, so that bars do not hide one another
        axis.errorbar(shifted, share, bars, marker="o", capsize=2, label=dtype, color=style.DTYPE_COLOUR[dtype])
    style.powers_of_two(axis, counts["n"])
    axis.set(xlabel="n (length of y)", ylabel="share of draws with a flip", title="Rounding y changes what is selected")
    axis.legend(title="dtype")
    return figure


def agreement(run: Run) -> Figure:
    """Share of entries whose bits are native's, by method, tensor and dtype: the smallest over all cases."""
    style.use()
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    tensors = [each for each in TENSORS_OF_AGREEMENT if each in set(rows["tensor"])]
    dtypes = [dtype for dtype in DTYPES if dtype in set(rows["dtype"])]
    size = (2.5 * len(dtypes) + 1, 3)
    figure, axes = plt.subplots(1, len(dtypes), figsize=size, squeeze=False, sharey=True, layout="constrained")
    for axis, dtype in zip(axes.flat, dtypes, strict=True):
        least = rows[rows["dtype"] == dtype].pivot_table(
            index="method", columns="tensor", values="value", aggfunc="min"
        )
        sns.heatmap(
            least.reindex(columns=tensors),
            vmin=0,
            vmax=1,
            cmap="cividis",
            annot=True,
            fmt=".2f",
            cbar=False,
            linewidths=1,
            ax=axis,
        )
        axis.grid(visible=False)
        axis.set(title=dtype, xlabel="", ylabel="" if axis is not axes.flat[0] else "method")
    figure.colorbar(axes[0, 0].collections[0], ax=axes, label="share of equal bits")
    figure.suptitle("Share of entries with the bits of native, the smallest over all cases (blank: no such tensor)")
    return figure


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
    """log(error of dx) = a + b log n + c log k + e log d by least squares: exponents b, c, e and their t intervals."""
    rows = _native(run.discrepancies.query("reference == 'exact' and of == 'method'"))
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    chosen = rows[(rows["tensor"] == "dx") & (rows["metric"] == "rel_l2") & (rows["value"] > 0)]
    chosen = chosen[chosen["case"].map(flips) == 0]
    found = []
    for dtype, each in chosen.groupby("dtype"):
        terms = np.column_stack([np.ones(len(each)), *(np.log(each[axis]) for axis in GROWTHS)])
        exponent, *_ = np.linalg.lstsq(terms, np.log(each["value"]), rcond=None)
        left = np.log(each["value"]) - terms @ exponent
        free = len(each) - terms.shape[1]
        spread = np.sqrt(np.diag(np.linalg.inv(terms.T @ terms)) * float(left @ left) / free)
        half = stats.t.ppf(0.975, free) * spread
        found += [
            {"dtype": dtype, "axis": axis, "exponent": b, "low": b - h, "high": b + h, "spread": np.exp(left.std())}
            for axis, b, h in zip(GROWTHS, exponent[1:], half[1:], strict=True)
        ]
    return pd.DataFrame(found)


def summary(run: Run) -> Iterator[str]:
    """Whether the methods agree, what a dtype costs, and of the growth of the error law, data and residual."""
    yield from _equal_bits(run)
    yield from _cost_of_dtypes(run)
    yield "Law: dx = Wᵀ Sᵀ g has k nonzero terms, so its relative error should not grow with n at fixed k and d."
    for dtype, each in _exponents(run).groupby("dtype"):
        told = ", ".join(f"{r.axis} {r.exponent:+.2f} ({r.low:+.2f}..{r.high:+.2f})" for r in each.itertuples())
        spread = each["spread"].iloc[0]
        yield f"Data: {dtype}: exponents of the error of dx, 95 %: {told}; residual spread x{spread:.2f}."
    rows = run.discrepancies.query("reference == 'conditional' and of == 'method'")
    for metric, name in (("bound_ratio_max", "deterministic"), ("probable_ratio_max", "probabilistic")):
        worst = rows[rows["metric"] == metric].groupby("dtype")["value"].max()
        told = ", ".join(f"{dtype} {value:.2g}" for dtype, value in worst.items())
        yield f"Largest error over its {name} bound, all methods and tensors: {told}."
    for tensor, each in rows[rows["metric"] == "ulp_max"].groupby("tensor"):
        told = ", ".join(f"{dtype} {value:.3g}" for dtype, value in each.groupby("dtype")["value"].max().items())
        yield f"Largest error of {tensor} in ulps of the exact answer: {told}."
    causes = run.discrepancies[run.discrepancies["metric"].str.startswith("cause_")]
    counts = causes.groupby(["reference", "metric"])["value"].sum()
    for reference in counts.index.unique(level=0):
        told = ", ".join(f"{str(name).removeprefix('cause_')} {value:.0f}" for name, value in counts[reference].items())
        yield f"Entries that differ from {reference}, by cause: {told}."


def _equal_bits(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("metric == 'bit_equal_share' and reference == 'native' and method != 'native'")
    for method, each in rows.groupby("method", sort=False):
        equal, least = int((each["value"] == 1).sum()), each["value"].min()
        tensors = ", ".join(tensor for tensor in TENSORS_OF_AGREEMENT if tensor in set(each["tensor"]))
        less = "" if equal == len(each) else f", at least {least:.3f} of the entries in the others"
        yield f"{method}: the bits of native in every entry in {equal} of {len(each)} comparisons ({tensors}){less}."


def _cost_of_dtypes(run: Run) -> Iterator[str]:
    """The error of native's dx where the selection is right: geometric mean with its t interval over the cases."""
    errors = {reference: _errors(run, reference, "rel_l2") for reference in ("exact", "original")}
    for dtype in DTYPES:
        told = []
        for reference, rows in errors.items():
            each = rows[(rows["dtype"] == dtype) & (rows["tensor"] == "dx") & (rows["selection"] == SELECTIONS[0])]
            logs = np.log(each.loc[each["value"] > 0, "value"])
            if len(logs) < 2:
                continue
            half = stats.t.ppf(0.975, len(logs) - 1) * logs.std() / np.sqrt(len(logs))
            middle, low, high = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
            u = style.UNIT_ROUNDOFF[dtype]
            told.append(
                f"against {reference} {middle:.2g} ({low:.2g}..{high:.2g}), {middle / u:.2g} unit roundoffs, in "
                f"{len(logs)} cases"
            )
        if told:
            yield f"{dtype}: relative error of dx where no index flipped: {'; '.join(told)}."


FIGURES = (error_by_n, exponents, bounds, own_ulps, error_parts, flip_share, agreement)
