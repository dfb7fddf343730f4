"""`relaxations`: how far the values and gradients of a relaxation are from the exact ones, and what it costs.

A fact is of a method in a case: the relative error (2-norm) of its values and of dy, against those of native, and which
share of the norm of its dy lies where nothing was selected. dy is compared as the whole vector of n.

The law. Let m be the mask, a smooth step of width T at the threshold q, the upper k/n quantile of a score of density f.
dy at a selected y is c (m + y m'), m' of order 1/T, where it should be c. About n f(q) T scores are within the step,
so with u = (y - q) / T the squared relative error is n f(q) T / k times the integral over u > 0 of (1 - m - q m'/T)².
Its first term, q² n f(q) / (k T) times the integral of the squared slope, grows as T falls: a lower temperature brings
the values nearer, as sqrt(T), and the gradient farther, as 1/sqrt(T), until T is below the gap at the threshold,
1 / (n f(q)) in the mean, where both are exact. The law holds between that and 1. Far below it the budget is off by an
ulp of y / T: its bisection ends where the k-th largest just reaches 1, that of the sigmoids between two scores.
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
from harness.vocabulary import PHASES

SIGMOID, CLIPPED = (1 / 12, 1 / 8, np.log(2) - 1 / 2), (1 / 2, 1 / 8, 1 / 24)
"""Integrals over u > 0 of m'^2, m' (1 - m) and (1 - m)^2: of the logistic step, and of u + 1/2 cut to 0 and 1."""

STEPS = {"sigmoid_shift": SIGMOID, "straight_through": SIGMOID, "entmax_budget": CLIPPED}

FACTS = {"values": "error of the values", "dy": "error of dy", "elsewhere": "share of dy not selected"}

FLOOR, FLOOR_TEXT = 1e-8, r"$\leq10^{-8}$"
"""What is smaller, or 0, is drawn here: it is under the unit roundoff of float32."""


def measure(study: Study) -> Iterator[Row]:
    """Facts of each method that is not exact, in each case; one that cannot be had here has none."""
    from harness.methods import named
    from harness.topk.problems import draw

    relaxed = {name: each for name, each in named(study.methods).items() if not each.exact}
    for case in cases(study):
        problem = draw(case)
        for name, each in relaxed.items():
            try:
                found = biases(each.at(case), problem, study.comparison.loss)
            except UserError:  # its package is not installed, as the rows of cells.csv say
                continue
            key = {"case": case.id, "method": name} | case.axes
            for fact, value in found.items():
                yield key | {"fact": fact, "item": "rel_l2", "value": value, "detail": ""}


def biases(method: Any, problem: Any, loss: str) -> dict[str, float]:
    """fact -> the figure of it, of a method beside native on one problem."""
    from harness.methods import method as registered
    from harness.precision.metrics import Comparison, rel_l2
    from harness.topk.outcome import as_float64, run_once

    got, want = (run_once(each, problem, loss, with_dS=False) for each in (method, registered("native")))
    assert got.dy is not None
    assert want.dy is not None
    pairs = {"dy": (got.dy, want.dy)}
    pairs["values"] = got.values, want.values.gather(-1, _places(want.indices, got.indices))
    found = {
        fact: rel_l2(Comparison(as_float64(one).ravel(), as_float64(two).ravel(), problem.case.dtype))
        for fact, (one, two) in pairs.items()
    }
    elsewhere = got.dy.scatter(-1, got.indices, 0.0)
    return found | {"elsewhere": float(elsewhere.norm() / got.dy.norm())}


def _places(indices: Any, wanted: Any) -> Any:
    """Where in `indices` those of `wanted` stand: both select the same."""
    return indices.argsort(-1).gather(-1, wanted.argsort(-1).argsort(-1))


def predicted(method: str, n: int, k: int, temperature: float) -> float:
    """The relative error of dy by the law, for standard normal scores."""
    slope, cross, level = STEPS[method]
    q = stats.norm.isf(k / n)
    square = q**2 * slope / temperature - 2 * q * cross + temperature * level
    return float(np.sqrt(n * stats.norm.pdf(q) / k * square))


def bias(run: Run) -> Figure:
    """Error of the values and of dy, and what of dy is not at the selected, against temperature, beside the law."""
    style.use()
    rows = run.facts.assign(what=run.facts["fact"].map(FACTS), size=_sizes(run.facts))
    rows["value"] = rows["value"].clip(lower=FLOOR)
    look = style.lines(rows["method"])
    grid = sns.relplot(
        rows,
        x="temperature",
        y="value",
        row="what",
        row_order=[each for each in FACTS.values() if each in set(rows["what"])],
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
        for method, each in here.groupby("method"):
            axis.plot(
                each["temperature"], each["value"], ".", ms=4, alpha=0.35, mew=0, color=look["palette"][str(method)]
            )
        n, k = here[["n", "k"]].iloc[0]
        spacing = 1 / (n * stats.norm.pdf(stats.norm.isf(k / n)))
        axis.axvline(spacing, color="black", lw=0.8, ls=":")
        for method in ("sigmoid_shift", "entmax_budget") if what == FACTS["dy"] else ():
            between = np.geomspace(min(spacing, 0.5), 1, 30)
            law = [predicted(method, n, k, each) for each in between]
            axis.plot(between, law, color=style.METHOD_STYLE[method][0], lw=6, alpha=0.25, solid_capstyle="butt")
        ticks.log(axis, "x", ticks.number)
        ticks.log(axis, "y", ticks.error, FLOOR, FLOOR_TEXT)
    grid.set_titles(row_template="{row_name}", col_template="{col_name}")
    grid.set_axis_labels("temperature (units of y)", "relative (2-norm)")
    return style.titled(
        grid,
        "Bias of relaxations; line: median of the draws, points: each draw\n"
        "wide and pale: the law; dotted: mean gap at the threshold, below which nearly all is exact",
    )


def bias_against_cost(run: Run) -> Figure:
    """Error of dy against the time of forward and backward, in times of native's, by temperature."""
    style.use()
    rows = _costs(run)
    rows["bias"] = rows["bias"].clip(lower=FLOOR)
    look = style.methods(rows["method"])
    grid = sns.relplot(
        rows,
        x="multiple",
        y="bias",
        row="phase",
        row_order=[each for each in PHASES if each in set(rows["phase"])],
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
    """The law of the gradient's error, and of each method its errors at both ends and its cost."""
    yield (
        "Law: between the mean gap at the threshold and 1, dy of a mask is off by sqrt(n f(q) q² s / (k T)), s = 1/12 "
        "(sigmoids) or 1/2 (budget): a lower temperature makes it worse, until it is below the gap and all is exact."
    )
    facts = run.facts
    by = ["method", "n", "k", "temperature"]
    errors = facts[facts["fact"] == "dy"].groupby(by)["value"].agg(lambda each: np.sqrt(np.mean(each**2))).reset_index()
    costs = _costs(run)
    for method, rows in errors.groupby("method"):
        coldest, warmest = (rows[rows["temperature"] == end]["value"] for end in _ends(rows["temperature"]))
        line = f"{method}: dy is off by {_range(warmest)} at T = {_ends(rows['temperature'])[1]:g}"
        line += f" and by {_range(coldest)} at {_ends(rows['temperature'])[0]:g}"
        inside = rows[[_law_holds(*each) for each in rows[["n", "k", "temperature"]].itertuples(index=False)]]
        if method in STEPS and len(inside):
            law = [predicted(str(method), *each) for each in inside[["n", "k", "temperature"]].itertuples(index=False)]
            line += f"; where the law holds, {_range(inside['value'] / law)} times what it says"
        own = costs[costs["method"] == method]
        for phase, times in own.groupby("phase"):
            line += f"; {phase} takes {_range(times['multiple'])} times native's"
        yield line
    absent = run.cells[run.cells["status"] == "unsupported"]
    for name, reason in absent.drop_duplicates("method")[["method", "reason"]].itertuples(index=False):
        yield f"{name}: not measured: {reason}"


def _costs(run: Run) -> pd.DataFrame:
    """Method, size, temperature, phase: time in multiples of native's, and the median error of dy."""
    by = ["method", "n", "k", "temperature"]
    faster = speedups(run.timings)
    cost = (1 / faster.set_index([*by, "phase"])["speedup"]).groupby(level=[*by, "phase"]).median()
    errors = run.facts[run.facts["fact"] == "dy"].groupby(by)["value"].median().rename("bias")
    rows = cost.rename("multiple").reset_index().merge(errors.reset_index(), on=by)
    return rows.assign(size=_sizes(rows))


def _law_holds(n: int, k: int, temperature: float) -> bool:
    spacing = 1 / (n * stats.norm.pdf(stats.norm.isf(k / n)))
    return bool(3 * spacing <= temperature <= 0.3)


def _sizes(rows: pd.DataFrame) -> pd.Series:
    return "n = " + rows["n"].astype(str) + ", k = " + rows["k"].astype(str)


def _ends(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _range(values: pd.Series) -> str:
    low, high = _ends(values)
    return f"{low:.2g}" if f"{low:.2g}" == f"{high:.2g}" else f"{low:.2g} to {high:.2g}"


FIGURES = (bias, bias_against_cost)
