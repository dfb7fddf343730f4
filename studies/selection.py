"""Figures of `selection`: flips and tie groups against the law of the local spacing, what a flip does, certificates.

The law. Near the threshold scores lie like points of a Poisson process of density n f(q), f the density of a score and
q its upper k/n quantile. An error of standard deviation err flips an index when it bridges the first gap, so with the
rate r = n f(q) err the probability of a flip is 1 - exp(-c r). For errors that are independent from score to score c is
E max(0, e - e') / err = 1 / sqrt(pi) = 0.56 (normal errors). For a rounding that keeps the order, and so makes ties
only, half of which are resolved wrongly, it is sqrt(12) / 4 = 0.87.

What a flip does. f flips exchange f scores near q for as many near q, so dy and dW are off by sqrt(2 f) |g_q| / ||g||.
dx = Wᵀ g is off by less, even if W has zero mean: being selected aligns a row of W with x. A row of mean m and entries
of variance s² is, given its score v, m + (v - mean v) x / |x|² and a rest of d - 1 entries of variance s²; the first
part adds up over the selected and hardly changes in an exchange, the rest does neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import shares
import style
import ticks
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import optimize, stats

from harness.exact.ulp import ulp
from harness.tables import Run

INDEPENDENT = 1 / np.sqrt(np.pi)
MONOTONE = np.sqrt(12) / 4
BINS_A_DECADE = 2

ROUTES = {False: "cast of y (against original)", True: "y = W x (against exact)"}
"""d > 0 -> how the scores came to be rounded, and what their selection is compared with."""

CONSTANTS = {False: MONOTONE, True: INDEPENDENT}
"""d > 0 -> the c that is expected: a cast keeps the order, sums err independently of one another."""

CASES_OF_LAW = "case whose scores have a density in closed form"
JUMPS = "case of y = W x with a flip and such a density"


def flip_law(run: Run) -> Figure:
    """P(flip) against the rate, all dtypes on one axis; bars are Clopper-Pearson 95 %."""
    style.use()
    cases = style.some(_cases(run), CASES_OF_LAW)
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
    title = "Flips against their rate; a point: the cases of a dtype in half a decade of it, bars: 95 %"
    figure.suptitle("\n".join([title, *_left_out(cases[cases["rate"] < rates[0]])]))
    return figure


def _left_out(cases: pd.DataFrame) -> list[str]:
    """What is said of the cases whose rate is too small for the axis, if there are any."""
    dtypes = ", ".join(style.present_dtypes(cases["dtype"]))
    flipped = int((cases["flips"] > 0).sum())
    return [f"not shown: {len(cases)} cases of a lower rate ({dtypes}), {flipped} with a flip"] if len(cases) else []


def tie_groups(run: Run) -> Figure:
    """Mean size of the tie group at the threshold against 1 + n f(q) ulp."""
    style.use()
    cases = style.some(_cases(run), CASES_OF_LAW)
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
    return style.titled(grid, "Tie groups against what the spacing says (line: equal)")


def gradient_jump(run: Run) -> Figure:
    """Gradient error where indices flipped, against what the law makes of the number of flips."""
    style.use()
    rows = style.some(_gradients(run), JUMPS)
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
    return style.titled(grid, "Gradient error where an index flipped, against what the law says (line: equal)")


def certified_share(run: Run) -> Figure:
    """Share of selections that the error bound of y proves right, against n; bars are Clopper-Pearson 95 %."""
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
        for dtype, each in counts[counts["distribution"] == distribution].groupby("dtype"):
            share, bars = shares.with_bars(each["certified"], each["selections"])
            axis.errorbar(each["n"], share, bars, fmt="none", ecolor=look["palette"][dtype], capsize=2, lw=0.9)
        ticks.sizes(axis, counts["n"])
        ticks.shares(axis, "y")
    grid.set_titles("{col_name}").set_axis_labels("n (length of y)", "certified")
    each_point = shares.span(counts["selections"])
    return style.titled(
        grid, f"How often the error bound of y alone proves the selection; a point: {each_point} selections, bars: 95 %"
    )


def summary(run: Run) -> Iterator[str]:
    """The law, the data and the residual."""
    cases = _cases(run)
    yield "Law: P(flip) = 1 - exp(-c r), r = n f(q) err; predicted c = 0.56 (independent errors), 0.87 (order-keeping)."
    if cases.empty:
        yield f"Data: no {CASES_OF_LAW}."
    for product, route in ROUTES.items():
        for dtype, each in cases[(cases["d"] > 0) == product].groupby("dtype"):
            yield f"Data: {route}, {dtype}: {_told_of_flips(each, CONSTANTS[product])}."
    yield from _tie_groups(cases)
    yield "Law: a flip moves dy and dW by sqrt(2 f) |g_q| / ||g||; dx by less, since the selected rows align with x."
    rows = _gradients(run)
    if rows.empty:
        yield f"Data: no {JUMPS}."
    rows = rows.assign(residual=np.log(rows["value"] / rows["predicted"]), naive=np.log(rows["value"] / rows["of_dy"]))
    for (tensor, distribution), each in rows.groupby(["tensor", "distribution"]):
        factor, naive = np.exp([each["residual"].median(), each["naive"].median()])
        told = f"median {factor:.2f}"
        told += f", spread x{np.exp(each['residual'].std()):.2f}" if len(each) > 1 else ""
        told += f"; over the law of dy {naive:.2f}" if tensor == "dx" else ""
        yield f"Gradient error over its law: {tensor}, {distribution}, {len(each)} cases with a flip: {told}."
    yield from _certificates(run)


def _told_of_flips(cases: pd.DataFrame, constant: float) -> str:
    """How many of the cases of one dtype flipped, and which c that says."""
    flipped = cases["flips"] > 0
    if not flipped.any():
        expected = float((1 - np.exp(-constant * cases["rate"])).sum())
        return f"no flip in {len(cases)} cases; the law expects {expected:.2g}"
    c, low, high = _fitted(cases["rate"].to_numpy(), flipped.to_numpy())
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
    told = ", ".join(f"{dtype} {value:.2f}" for dtype, value in ratio.groupby(rounded["dtype"]).mean().items())
    yield f"Tie groups over what the law expects, where that is above 1.05, mean: {told}."
    uniform_cast = (rounded["d"] == 0) & (rounded["distribution"] == "uniform")
    at_end = uniform_cast & (1 - rounded["threshold"] < rounded["spacing"])
    if not at_end.any():
        return
    parts = {"where the threshold is within an ulp of the end of the support (uniform, cast of y)": at_end}
    parts |= {"elsewhere": ~at_end}
    means = (f"{where} {ratio[part].mean():.2f} in {part.sum()} cases" for where, part in parts.items() if part.any())
    yield f"Of these, mean: {'; '.join(means)}."


def _certificates(run: Run) -> Iterator[str]:
    rows = run.discrepancies.query("reference == 'exact' and d > 0 and tensor == 'selection'")
    if rows.empty:
        yield "Certified: there is no selection of y = W x."
        return
    verdicts = rows.pivot(index="case", columns="metric", values="value") > 0
    certified, flipped, wrong = (verdicts[name] for name in ("certified_rows", "flips", "proved_wrong_rows"))
    false = int((certified & flipped).sum())
    told = f"Certified right: {int(certified.sum())} of {len(verdicts)} selections, of which {false} had a flip"
    if certified.any():
        told += f" (95 %, one-sided: at most {100 * shares.at_most(false, int(certified.sum())):.2g} %)"
    yield f"{told}."
    missed = int((flipped & ~wrong).sum())
    told = f"{int(wrong.sum())} of the {int(flipped.sum())} that had a flip"
    yield f"Proved wrong: {told}; in the other {missed} the scores that changed places are within their bounds."


def _cases(run: Run) -> pd.DataFrame:
    """One row a case: flips, tie group, rate r, expected tie group, threshold q and its spacing.

    Casts of y are judged against original.
    """
    rows = run.discrepancies.query("of == 'method'")
    chosen = rows[(rows["tensor"] == "selection") & (rows["reference"] == np.where(rows["d"] > 0, "exact", "original"))]
    key = ["case", "dtype", "n", "k", "d", "distribution", "seed"]
    cases = chosen.pivot(index=key, columns="metric", values="value").reset_index()
    cases = cases[(cases["d"] == 0) | (cases["distribution"] != "heavy_tailed")]  # no closed form of that product
    found = [_threshold(*row) for row in cases[["n", "k", "d", "distribution"]].to_numpy()]
    threshold, density = np.array(found, dtype=float).reshape(-1, 2).T
    spacing = [float(ulp(np.array([q]), dtype)[0]) for q, dtype in zip(threshold, cases["dtype"], strict=True)]
    cases = cases.assign(threshold=threshold, spacing=np.array(spacing, dtype=float))
    measured = rows.query("tensor == 'values' and reference == 'conditional' and metric == 'rmse'")
    typical = measured.groupby(["dtype", "n", "k", "d", "distribution"])["value"].median().rename("rmse")
    cases = cases.merge(typical.reset_index(), how="left")
    error = np.where(cases["d"] == 0, cases["spacing"] / np.sqrt(12), cases["rmse"])
    crowd = cases["n"] * density
    return cases.assign(rate=crowd * error, expected_group=1 + crowd * cases["spacing"])


@cache  # of as many cases as there are seeds
def _threshold(n: int, k: int, d: int, distribution: str) -> tuple[float, float]:
    """The upper k/n quantile of a score, and its density there."""
    if d == 0:
        score = {"normal": stats.norm(), "uniform": stats.uniform(), "heavy_tailed": stats.t(2)}[distribution]
    elif distribution == "normal":
        score = stats.norm()  # W x with W of variance 1/d, given |x|² = d
    else:
        score = stats.norm(0.25, 1 / (6 * np.sqrt(d)))  # the mean of d products U x, by the central limit theorem
    q = float(score.isf((k + 0.5) / (n + 1)))
    return q, float(score.pdf(q))


def _points(axis: Any, cases: pd.DataFrame, dtype: str) -> None:
    """Cases in bins of like rate: the share that flipped."""
    decade = np.floor(np.log10(cases["rate"]) * BINS_A_DECADE)
    counts = cases.assign(flipped=cases["flips"] > 0).groupby(decade)
    table = counts.agg(rate=("rate", "median"), flipped=("flipped", "sum"), cases=("flipped", "count"))
    share, bars = shares.with_bars(table["flipped"], table["cases"])
    axis.errorbar(table["rate"], share, bars, fmt="o", ms=4, capsize=2, color=style.DTYPE_COLOUR[dtype], label=dtype)


def _fitted(rate: np.ndarray, flipped: np.ndarray) -> tuple[float, float, float]:
    """c of 1 - exp(-c r) by maximum likelihood, and its 95 % interval by the likelihood ratio.

    Of cases that all flipped the interval has no upper end, of cases of which none did no lower one.
    """

    def loss(log_c: float) -> float:
        expected = np.clip(-np.expm1(-np.exp(log_c) * rate), 1e-12, 1 - 1e-12)
        return float(-np.sum(np.where(flipped, np.log(expected), np.log1p(-expected))))

    best = optimize.minimize_scalar(loss, bounds=(-6, 6), method="bounded")
    level = best.fun + stats.chi2.ppf(0.95, 1) / 2

    def end(outermost: float) -> float:
        if loss(outermost) <= level:
            return float(np.copysign(np.inf, outermost))
        return float(optimize.brentq(lambda at: loss(at) - level, outermost, float(best.x)))

    return float(np.exp(best.x)), float(np.exp(end(-12.0))), float(np.exp(end(12.0)))


def _gradients(run: Run) -> pd.DataFrame:
    """Gradient errors of y = W x where an index flipped, beside sqrt(2 f) |g_k| / ||g|| for normal scores."""
    rows = run.discrepancies.query(
        "of == 'method' and reference == 'exact' and d > 0 and distribution != 'heavy_tailed'"
    )
    flips = rows[rows["metric"] == "flips"].set_index("case")["value"]
    errors = rows[(rows["metric"] == "rel_l2") & rows["tensor"].isin(("dy", "dx", "dW"))]
    errors = errors.assign(flips=errors["case"].map(flips)).query("flips > 0")
    laws = [_laws(*point) for point in errors[["n", "k", "d", "distribution"]].to_numpy()]
    of_dy, of_dx = np.array(laws, dtype=float).reshape(-1, 2).T * np.sqrt(2 * errors["flips"].to_numpy(dtype=float))
    return errors.assign(of_dy=of_dy, predicted=np.where(errors["tensor"] == "dx", of_dx, of_dy))


def _laws(n: int, k: int, d: int, distribution: str) -> tuple[float, float]:
    """The relative error of dy, and of dx, over sqrt(2 f), from the moments of normal scores above the threshold."""
    normal = distribution == "normal"
    mean, spread = (0.0, 1.0) if normal else (0.25, 1 / (6 * np.sqrt(d)))  # of the scores
    row_mean, row_variance = (0.0, 1 / d) if normal else (0.5 / d, 1 / (12 * d**2))  # of the entries of W
    x_size, x_sum = (d, 0.0) if normal else (d / 3, d / 2)  # |x|² and the sum of x
    z = float(stats.norm.isf((k + 0.5) / (n + 1)))
    hazard = float(stats.norm.pdf(z) / stats.norm.sf(z))
    first, second = mean + spread * hazard, mean**2 + 2 * mean * spread * hazard + spread**2 * (1 + z * hazard)
    threshold, total = mean + spread * z, k * second  # g / 2 at the threshold, and ||g / 2||²
    level, tilt = k * first, k * (second - mean * first)
    coherent = d * (row_mean * level) ** 2 + 2 * row_mean * level * tilt * x_sum / x_size + tilt**2 / x_size
    rest = row_variance * (d - 1)
    return float(threshold / np.sqrt(total)), float(threshold * np.sqrt(rest / (coherent + rest * total)))


FIGURES = (flip_law, tie_groups, gradient_jump, certified_share)
