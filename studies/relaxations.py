"""`relaxations`: how far the values and gradients of a relaxation are from the exact ones, and what it costs.

The facts of a method in a case are the relative errors (2-norm) of its values and of dy against those of native, and
the share of the norm of its dy at entries that were not selected. dy is compared as the whole vector of length n.

The law. Let m be the mask, a smooth step of width T at the threshold q, the upper k/n quantile of a score with density
f. At a selected y, dy is c (m + y m') with m' of order 1/T, where it should be c. About n f(q) T scores lie within the
step, so with u = (y - q) / T the squared relative error is n f(q) T / k times the integral over u > 0 of
(1 - m - q m'/T)². Its leading term, q² n f(q) / (k T) times the integral of the squared slope, grows as T falls. So a
lower temperature makes the error of the values smaller, like sqrt(T), and that of the gradient larger, like 1/sqrt(T),
until T is below the gap at the threshold, 1 / (n f(q)) in the mean: there both are exact. The law holds between that
gap and 1. Far below the gap entmax_budget is off by an ulp of y / T, because its bisection ends where the k-th largest
score just reaches 1, while that of the sigmoids ends between two scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import style
import ticks
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy import stats

from harness.errors import UserError
from harness.study.cells import cases
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.verdicts.ratios import speedups
from harness.verdicts.wording import two_digits
from harness.vocabulary import PHASES

SIGMOID, CLIPPED = (1 / 12, 1 / 8, np.log(2) - 1 / 2), (1 / 2, 1 / 8, 1 / 24)
"""Integrals over u > 0 of m'^2, m' (1 - m) and (1 - m)^2, for the logistic step and for u + 1/2 clipped to 0 and 1."""

STEPS = {"sigmoid_shift": SIGMOID, "straight_through": SIGMOID, "entmax_budget": CLIPPED}

FACTS = {"values": "error of the values", "dy": "error of dy", "elsewhere": "share of dy not selected"}

FLOOR, FLOOR_TEXT = 1e-8, r"$\leq10^{-8}$"
"""0 and smaller errors are drawn here, below the unit roundoff of float32."""


def measure(study: Study) -> Iterator[Row]:
    """Facts of each method that is not exact, in each case. A method whose package is missing has none."""
    from harness.methods import named
    from harness.topk.problems import draw

    relaxed = {name: method for name, method in named(study.methods).items() if not method.exact}
    for case in cases(study):
        problem = draw(case)
        for name, method in relaxed.items():
            try:
                figures = biases(method.at(case), problem, study.comparison.loss)
            except UserError:  # its package is not installed, which cells.csv says
                continue
            key = {"case": case.id, "method": name} | case.axes
            for fact, value in figures.items():
                yield key | {"fact": fact, "item": "rel_l2", "value": value, "detail": ""}


def biases(method: Any, problem: Any, loss: str) -> dict[str, float]:
    """fact -> its value, for a method beside native on one problem."""
    from harness.methods import method as registered
    from harness.precision.metrics import Comparison, rel_l2
    from harness.topk.outcome import as_float64, run_once

    got, want = (run_once(run, problem, loss, with_dS=False) for run in (method, registered("native")))
    assert got.dy is not None
    assert want.dy is not None
    pairs = {"dy": (got.dy, want.dy)}
    pairs["values"] = got.values, want.values.gather(-1, _places(want.indices, got.indices))
    errors = {
        fact: rel_l2(Comparison(as_float64(mine).ravel(), as_float64(native).ravel(), problem.case.dtype))
        for fact, (mine, native) in pairs.items()
    }
    elsewhere = got.dy.scatter(-1, got.indices, 0.0)
    return errors | {"elsewhere": float(elsewhere.norm() / got.dy.norm())}


def _places(indices: Any, others: Any) -> Any:
    """The places in `indices` of each entry of `others`, which holds the same indices in another order."""
    return indices.argsort(-1).gather(-1, others.argsort(-1).argsort(-1))


def predicted(method: str, n: int, k: int, temperature: float) -> float:
    """The relative error of dy that the law predicts for standard normal scores."""
    slope, cross, level = STEPS[method]
    q = stats.norm.isf(k / n)
    square = q**2 * slope / temperature - 2 * q * cross + temperature * level
    return float(np.sqrt(n * stats.norm.pdf(q) / k * square))


def bias(run: Run) -> Figure:
    """Errors of the values and of dy, and the share of dy at entries not selected, over temperature, beside the law."""
    style.use()
    facts = style.some(run.facts, "fact about a relaxation")
    rows = facts.assign(what=facts["fact"].map(FACTS), size=_sizes(facts))
    rows["value"] = rows["value"].clip(lower=FLOOR)
    look = style.lines(rows["method"])
    grid = sns.relplot(
        rows,
        x="temperature",
        y="value",
        row="what",
        row_order=[fact for fact in FACTS.values() if fact in set(rows["what"])],
        col="size",
        kind="line",
        estimator="median",
        errorbar=None,
        height=2.3,
        facet_kws={"sharey": "row", "margin_titles": True},
        **look,
    )
    for (what, size), axis in grid.axes_dict.items():
        here = rows[(rows["what"] == what) & (rows["size"] == size)]
        for method, draws in here.groupby("method"):
            axis.plot(
                draws["temperature"], draws["value"], ".", ms=4, alpha=0.35, mew=0, color=look["palette"][str(method)]
            )
        n, k = here[["n", "k"]].iloc[0]
        axis.axvline(_spacing(n, k), color="black", lw=0.8, ls=":")
        for method in ("sigmoid_shift", "entmax_budget") if what == FACTS["dy"] else ():
            _draw_law(axis, method, n, k)
        ticks.log(axis, "x", ticks.number)
        ticks.log(axis, "y", ticks.error, FLOOR, FLOOR_TEXT)
    grid.set_titles(row_template="{row_name}", col_template="{col_name}")
    grid.set_axis_labels("temperature (units of y)", "relative (2-norm)")
    return style.titled(
        grid,
        "Bias of relaxations; line: median of the draws, each point: a draw\n"
        "wide pale line: the law; dotted: mean gap at the threshold, below which nearly everything is exact",
    )


def _draw_law(axis: Any, method: str, n: int, k: int) -> None:
    between = np.geomspace(min(_spacing(n, k), 0.5), 1, 30)
    law = [predicted(method, n, k, temperature) for temperature in between]
    axis.plot(between, law, color=style.METHOD_STYLE[method][0], lw=6, alpha=0.25, solid_capstyle="butt")


def _spacing(n: int, k: int) -> float:
    """The mean gap between two standard normal scores at the threshold."""
    return float(1 / (n * stats.norm.pdf(stats.norm.isf(k / n))))


def bias_against_cost(run: Run) -> Figure:
    """Error of dy over the time of forward and backward, in multiples of native's, by temperature."""
    style.use()
    rows = style.some(_costs(run), "relaxation with a time and an error")
    rows["bias"] = rows["bias"].clip(lower=FLOOR)
    look = style.methods(rows["method"])
    grid = sns.relplot(
        rows,
        x="multiple",
        y="bias",
        row="phase",
        row_order=[phase for phase in PHASES if phase in set(rows["phase"])],
        col="size",
        kind="scatter",
        hue="temperature",
        hue_norm=LogNorm(rows["temperature"].min(), rows["temperature"].max()),
        palette="viridis",
        legend="full",
        style="method",
        style_order=look["style_order"],
        markers=look["markers"],
        height=2.6,
        s=45,
        facet_kws={"sharex": "row"},
    )
    grid.set_titles("{row_name}, {col_name}")
    for axis in grid.axes.flat:
        axis.margins(x=0.3)
        ticks.log(axis, "x", ticks.times)
        ticks.log(axis, "y", ticks.error, FLOOR, FLOOR_TEXT)
    grid.set_axis_labels("time (native's is 1x)", "relative error of dy (median)")
    where = style.setting(run.timings, "threads")
    return style.titled(grid, f"What a relaxation costs, and how far its gradient is off, {where}; colour: temperature")


def summary(run: Run) -> Iterator[str]:
    """The law of the gradient's error; for each method its error at both ends of the temperatures, and its cost."""
    yield (
        "Law: between the mean gap at the threshold and 1, dy of a mask is off by sqrt(n f(q) q² s / (k T)), s = 1/12 "
        "(sigmoids) or 1/2 (budget): a lower temperature makes it worse, until it is below the gap and all is exact."
    )
    facts = run.facts
    by = ["method", "n", "k", "temperature"]
    errors = (
        facts[facts["fact"] == "dy"].groupby(by)["value"].agg(lambda values: np.sqrt(np.mean(values**2))).reset_index()
    )
    costs = _costs(run)
    for method, rows in errors.groupby("method"):
        coldest, warmest = (rows[rows["temperature"] == end]["value"] for end in _ends(rows["temperature"]))
        line = f"{method}: dy is off by {_range(warmest)} at T = {_ends(rows['temperature'])[1]:g}"
        line += f" and by {_range(coldest)} at {_ends(rows['temperature'])[0]:g}"
        inside = rows[[_law_holds(*point) for point in rows[["n", "k", "temperature"]].itertuples(index=False)]]
        if method in STEPS and len(inside):
            law = [
                predicted(str(method), *point) for point in inside[["n", "k", "temperature"]].itertuples(index=False)
            ]
            line += f"; where the law holds, {_range(inside['value'] / law)} times what it predicts"
        own = costs[costs["method"] == method]
        for phase, times in own.groupby("phase"):
            line += f"; {phase} takes {_range(times['multiple'])} times native's"
        yield line
    absent = run.cells[run.cells["status"] == "unsupported"]
    for name, reason in absent.drop_duplicates("method")[["method", "reason"]].itertuples(index=False):
        yield f"{name}: not measured: {reason}"


def _costs(run: Run) -> pd.DataFrame:
    """Columns `method n k temperature phase`, `multiple` (time over native's), `bias` (median error of dy), `size`."""
    by = ["method", "n", "k", "temperature"]
    faster = speedups(run.timings)
    cost = (1 / faster.set_index([*by, "phase"])["speedup"]).groupby(level=[*by, "phase"]).median()
    errors = run.facts[run.facts["fact"] == "dy"].groupby(by)["value"].median().rename("bias")
    rows = cost.rename("multiple").reset_index().merge(errors.reset_index(), on=by)
    return rows.assign(size=_sizes(rows))


def _law_holds(n: int, k: int, temperature: float) -> bool:
    """Whether the temperature is well inside the range of the law: above the mean gap at the threshold, and below 1."""
    return bool(3 * _spacing(n, k) <= temperature <= 0.3)


def _sizes(rows: pd.DataFrame) -> pd.Series:
    return "n = " + rows["n"].astype(str) + ", k = " + rows["k"].astype(str)


def _ends(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _range(values: pd.Series) -> str:
    low, high = (two_digits(end, zeros=False) for end in _ends(values))
    return low if low == high else f"{low} to {high}"


FIGURES = (bias, bias_against_cost)
