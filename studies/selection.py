"""Figures of `selection`: flips and tie groups beside the law of the local spacing, what a flip does, certificates.

The laws, and where they come from, are in flips.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import shares
import style
import ticks
from flips import CONSTANTS, INDEPENDENT, MONOTONE, cases_of_law, fitted, jumps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from harness.tables import Run

BINS_A_DECADE = 2

ROUTES = {False: "cast of y (against original)", True: "y = W x (against exact)"}
"""d > 0 -> how the scores were rounded, and with which reference their selection is compared."""

CASES_OF_LAW = "case whose scores have a density in closed form"
JUMPS = "case of y = W x with a flip and such a density"


def flip_law(run: Run) -> Figure:
    """Share of cases with a flip over their rate, all dtypes on one axis; bars: 95 % intervals (Clopper-Pearson)."""
    style.use()
    cases = style.some(cases_of_law(run), CASES_OF_LAW)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    rates = np.logspace(-4, 3, 200)
    for axis, (product, route) in zip(axes, ROUTES.items(), strict=True):
        for c, label, dashes in ((INDEPENDENT, "independent errors", "--"), (MONOTONE, "order-keeping rounding", ":")):
            law = f"1 - exp(-{c:.2f} r): {label}"
            axis.plot(rates, 1 - np.exp(-c * rates), color="black", lw=0.9, ls=dashes, label=law)
        here = cases[((cases["d"] > 0) == product) & (cases["rate"] >= rates[0])]
        for dtype in style.present_dtypes(here["dtype"]):
            _points(axis, here[here["dtype"] == dtype], dtype)
        ticks.log(axis, "x", ticks.error)
        ticks.shares(axis, "y")
        axis.set(xlim=(rates[0], rates[-1]), title=route, xlabel="rate r = n f(q) err")
    axes[0].set_ylabel("cases with a flip")
    named = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend([*named.values()], [*named], loc="outside lower center", ncols=3)
    title = "Flips over their rate; each point: the cases of one dtype within half a decade of the rate; bars: 95 %"
    figure.suptitle("\n".join([title, *_left_out(cases[cases["rate"] < rates[0]])]))
    return figure


def _left_out(cases: pd.DataFrame) -> list[str]:
    """A line about the cases whose rate is too small for the axis, where there are any."""
    dtypes = ", ".join(style.present_dtypes(cases["dtype"]))
    flipped = int((cases["flips"] > 0).sum())
    return [f"not shown: {len(cases)} cases with a lower rate ({dtypes}), {flipped} with a flip"] if len(cases) else []


def tie_groups(run: Run) -> Figure:
    """Mean size of the tie group at the threshold over the size that the spacing predicts, 1 + n f(q) ulp."""
    style.use()
    cases = style.some(cases_of_law(run), CASES_OF_LAW)
    by = ["dtype", "d", "distribution", "n", "k"]
    means = cases.groupby(by).agg(group=("tie_group", "mean"), expected=("expected_group", "mean")).reset_index()
    grid = sns.relplot(
        means.assign(route=(means["d"] > 0).map(ROUTES)),
        x="expected",
        y="group",
        col="route",
        style="distribution",
        kind="scatter",
        height=3.4,
        **style.dtypes(means["dtype"]),
    )
    for axis in grid.axes.flat:
        ends = [1, means["expected"].max() * 1.2]
        axis.plot(ends, ends, color="black", lw=0.8)
        ticks.log(axis, "x", ticks.number)
        ticks.log(axis, "y", ticks.number)
    grid.set_titles("{col_name}")
    grid.set_axis_labels("1 + n f(q) ulp", "mean tie group at the threshold")
    return style.titled(grid, "Size of tie groups over the size that the spacing predicts (line: equal)")


def gradient_jump(run: Run) -> Figure:
    """Gradient error where indices flipped, over the error that the law predicts from the number of flips."""
    style.use()
    rows = style.some(jumps(run), JUMPS)
    grid = sns.relplot(
        rows,
        x="predicted",
        y="value",
        col="tensor",
        col_order=["dy", "dW", "dx"],
        row="distribution",
        kind="scatter",
        s=14,
        alpha=0.6,
        height=2.7,
        **style.dtypes(rows["dtype"]),
    )
    ends = [rows["predicted"].min(), rows["predicted"].max()]
    grid.set_titles("{col_name}, {row_name}")
    for axis in grid.axes.flat:
        axis.plot(ends, ends, color="black", lw=0.8)
        ticks.log(axis, "x", ticks.error)
        ticks.log(axis, "y", ticks.error)
    grid.set_axis_labels("predicted error", "relative error (2-norm)")
    return style.titled(
        grid, "Gradient error where an index flipped, over the error that the law predicts (line: equal)"
    )


def certified_share(run: Run) -> Figure:
    """Share of selections that the error bound of y proves right, over n; bars: 95 % intervals (Clopper-Pearson)."""
    style.use()
    rows = run.discrepancies.query("reference == 'exact' and d > 0 and metric == 'certified_rows'")
    by_n = style.some(rows, "selection of y = W x").groupby(["distribution", "dtype", "n"], sort=False)
    counts = by_n.agg(certified=("value", "sum"), selections=("rows", "sum")).reset_index()
    look = style.dtypes(counts["dtype"])
    grid = sns.relplot(
        counts.assign(share=counts["certified"] / counts["selections"]),
        x="n",
        y="share",
        col="distribution",
        kind="line",
        errorbar=None,
        marker="o",
        height=2.9,
        **look,
    )
    for distribution, axis in grid.axes_dict.items():
        for dtype, here in counts[counts["distribution"] == distribution].groupby("dtype"):
            share, bars = shares.with_bars(here["certified"], here["selections"])
            axis.errorbar(here["n"], share, bars, fmt="none", ecolor=look["palette"][dtype], capsize=2, lw=0.9)
        ticks.sizes(axis, counts["n"])
        ticks.shares(axis, "y")
    grid.set_titles("{col_name}").set_axis_labels("n (length of y)", "selections proved right")
    each_point = shares.span(counts["selections"])
    return style.titled(
        grid, f"Selections that the error bound of y proves right; each point: {each_point} selections; bars: 95 %"
    )


def summary(run: Run) -> Iterator[str]:
    """The laws, the data, and by how much the data differ from the laws."""
    cases = cases_of_law(run)
    yield "Law: P(flip) = 1 - exp(-c r), r = n f(q) err; predicted c = 0.56 (independent errors), 0.87 (order-keeping)."
    if cases.empty:
        yield f"Data: no {CASES_OF_LAW}."
    for product, route in ROUTES.items():
        for dtype, of_dtype in cases[(cases["d"] > 0) == product].groupby("dtype"):
            yield f"Data: {route}, {dtype}: {_flips_beside_law(of_dtype, CONSTANTS[product])}."
    yield from _tie_groups(cases)
    yield "Law: a flip moves dy and dW by sqrt(2 f) |g_q| / ||g||; dx by less, since the selected rows align with x."
    rows = jumps(run)
    if rows.empty:
        yield f"Data: no {JUMPS}."
    rows = rows.assign(residual=np.log(rows["value"] / rows["predicted"]), naive=np.log(rows["value"] / rows["of_dy"]))
    for (tensor, distribution), here in rows.groupby(["tensor", "distribution"]):
        factor, naive = np.exp([here["residual"].median(), here["naive"].median()])
        figures = f"median {factor:.2f}"
        figures += f", spread x{np.exp(here['residual'].std()):.2f}" if len(here) > 1 else ""
        figures += f"; over the law of dy {naive:.2f}" if tensor == "dx" else ""
        yield f"Gradient error over its law: {tensor}, {distribution}, {len(here)} cases with a flip: {figures}."
    yield from _certificates(run)


def _flips_beside_law(cases: pd.DataFrame, constant: float) -> str:
    """How many cases of one dtype flipped, and the c that fits them.

    constant: the c of the law, which gives the expected number of flips where there was none to fit.
    """
    flipped = cases["flips"] > 0
    if not flipped.any():
        expected = float((1 - np.exp(-constant * cases["rate"])).sum())
        return f"no flip in {len(cases)} cases; the law expects {expected:.2g}"
    c, low, high = fitted(cases["rate"].to_numpy(), flipped.to_numpy())
    share = f"{int(flipped.sum())} of {len(cases)} cases flipped"
    return (
        f"{share}; c is above {low:.2f} (95 %)"
        if flipped.all()
        else f"{share}; c = {c:.2f} (95 % {low:.2f}..{high:.2f})"
    )


def _tie_groups(cases: pd.DataFrame) -> Iterator[str]:
    rounded = cases[cases["expected_group"] > 1.05]
    if rounded.empty:
        yield "Tie groups: the law expects none above 1.05."
        return
    ratio = rounded["tie_group"] / rounded["expected_group"]
    means = ", ".join(f"{dtype} {value:.2f}" for dtype, value in ratio.groupby(rounded["dtype"]).mean().items())
    yield f"Size of tie groups over the size that the law expects, where that is above 1.05, mean: {means}."
    uniform_cast = (rounded["d"] == 0) & (rounded["distribution"] == "uniform")
    at_end = uniform_cast & (1 - rounded["threshold"] < rounded["spacing"])
    if not at_end.any():
        return
    parts = {"where the threshold is within an ulp of the end of the support (uniform, cast of y)": at_end}
    parts |= {"elsewhere": ~at_end}
    by_part = (f"{where} {ratio[part].mean():.2f} in {part.sum()} cases" for where, part in parts.items() if part.any())
    yield f"The same mean by part: {'; '.join(by_part)}."


def _certificates(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("reference == 'exact' and d > 0 and tensor == 'selection'")
    if rows.empty:
        yield "Certified: there is no selection of y = W x."
        return
    verdicts = rows.pivot(index="case", columns="metric", values="value") > 0
    certified, flipped, wrong = (verdicts[name] for name in ("certified_rows", "flips", "proved_wrong_rows"))
    false = int((certified & flipped).sum())
    right = f"Certified right: {int(certified.sum())} of {len(verdicts)} selections, of which {false} had a flip"
    if certified.any():
        right += f" (95 %, one-sided: at most {100 * shares.at_most(false, int(certified.sum())):.2g} %)"
    yield f"{right}."
    missed = int((flipped & ~wrong).sum())
    proved = f"{int(wrong.sum())} of the {int(flipped.sum())} that had a flip"
    yield f"Proved wrong: {proved}; in the other {missed} the scores that changed places are within their bounds."


def _points(axis: Any, cases: pd.DataFrame, dtype: str) -> None:
    """Draw the share of the cases of one dtype that flipped, in bins of similar rate."""
    decade = np.floor(np.log10(cases["rate"]) * BINS_A_DECADE)
    counts = cases.assign(flipped=cases["flips"] > 0).groupby(decade)
    table = counts.agg(rate=("rate", "median"), flipped=("flipped", "sum"), cases=("flipped", "count"))
    share, bars = shares.with_bars(table["flipped"], table["cases"])
    axis.errorbar(table["rate"], share, bars, fmt="o", ms=4, capsize=2, color=style.DTYPE_COLOUR[dtype], label=dtype)


FIGURES = (flip_law, tie_groups, gradient_jump, certified_share)
