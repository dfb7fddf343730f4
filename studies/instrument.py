"""`instrument`: how many false alarms and how many planted slow-downs, at what effort, here and by the usual tools.

All tools take turns, unit by unit (instrument_tools.py says what a unit is), on a quiet machine and beside two busy
processes. A comparison of m units a side takes them in the order in which they were measured: first the units of the
base, then those of the head, as for somebody who runs a benchmark before and after a change. The m launches of a duel
hold both sides.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import shares
import style
import ticks
from instrument_tools import PLANTED, TOOLS, TWINS
from matplotlib.figure import Figure
from scipy import stats

from harness.study.cells import Case, cases
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.verdicts.ratios import paired_log_ratios

SLOWER = {f"{PLANTED}slower_{percent}": percent / 100 for percent in (2, 3, 5, 10)}
"""Planted method -> by how much it is slower than its twin."""

ALARMS = 0.05
"""Share of the A/A comparisons that may raise an alarm: it sets the threshold of each tool."""

NEEDED = 0.95
"""Share of the planted slow-downs that a tool must find: then it has detected them."""

LONGEST_SECONDS = 60.0
"""Longest effort for one cell: a tool that needs more has not reached it."""

IN_ONE_PROCESS = "rounds in one process"

SMALLEST = 1e-5
"""Smaller differences are drawn here, at 0.001 %."""


def measure(study: Study) -> Iterator[Row]:
    """Facts `log_time`, the logarithm of a method's time by a tool (by a duel: of its ratio to the base's twin), and
    `effort`, the seconds that a unit takes for one cell; then facts about planted faults other than slow-downs.

    `item` is the tool, and `detail` the load: quiet or busy.
    """
    from tests.planted.checks import other_faults
    from tests.planted.load import LOADS, busy

    names = [name for name in study.methods if name.startswith(PLANTED)]
    by_seed: dict[int, list[Case]] = {}
    for case in cases(study):
        by_seed.setdefault(case.seed, []).append(case)
    for load, processes in LOADS.items():
        with busy(processes):
            for unit in by_seed.values():
                for tool, run in TOOLS.items():
                    begin = time.monotonic()
                    times = run(study, unit, names)
                    effort = (time.monotonic() - begin) / len(times)
                    setting = {"item": tool, "detail": load}
                    for case in unit:
                        key = {"case": case.id} | case.axes | setting
                        yield key | {"method": names[0], "fact": "effort", "value": effort}
                        for name in names:
                            yield key | {"method": name, "fact": "log_time", "value": times[case.id, name]}
    yield from other_faults()


def comparisons(facts: pd.DataFrame) -> pd.DataFrame:
    """Every comparison that the units allow: columns `tool load units effort planted log_ratio`.

    units: how many a side; effort: seconds of both sides; planted: the true slow-down, 0 for an A/A comparison.
    """
    rows = []
    chosen = facts[facts["fact"].isin(("log_time", "effort"))]
    for (tool, load), mine in chosen.groupby(["item", "detail"], sort=False):
        effort = float(mine.loc[mine["fact"] == "effort", "value"].mean())
        table = mine[mine["fact"] == "log_time"].pivot_table(index=["n", "k", "seed"], columns="method", values="value")
        paired = tool == "duel"
        sides = 1 if paired else 2  # a unit of a duel holds both sides
        for _, units in table.groupby(level=["n", "k"]):
            planted = {name: SLOWER.get(str(name), 0.0) for name in units.columns}
            for count in range(1, len(units) // sides + 1):
                for first in range(len(units) - count * sides + 1):
                    head = units.iloc[first + count * (sides - 1) : first + count * sides]
                    base = 0.0 if paired else units[TWINS[0]].iloc[first : first + count].median()
                    for name, share in planted.items():
                        middle = head[name].mean() if paired else head[name].median()
                        rows.append((tool, load, count, effort * count * sides, share, float(middle - base)))
    return pd.DataFrame(rows, columns=["tool", "load", "units", "effort", "planted", "log_ratio"])


def rates(facts: pd.DataFrame) -> pd.DataFrame:
    """How many planted slow-downs each tool finds, by load and effort.

    `threshold` is the log ratio that ALARMS of the A/A comparisons (`controls`, their number) exceed. `found` of
    `comparisons` with a planted slow-down exceed it too.
    """
    rows = []
    by = ["tool", "load", "units", "effort"]
    for key, here in comparisons(facts).groupby(by, sort=False):
        controls = here.loc[here["planted"] == 0, "log_ratio"]
        threshold = float(np.quantile(controls, 1 - ALARMS))
        for share, ratios in here[here["planted"] > 0].groupby("planted")["log_ratio"]:
            found = int((ratios > threshold).sum())
            rows.append((*key, len(controls), threshold, share, found / len(ratios), found, len(ratios)))
    columns = ["controls", "threshold", "planted", "detected", "found", "comparisons"]
    return pd.DataFrame(rows, columns=[*by, *columns])


def decisions(facts: pd.DataFrame) -> pd.DataFrame:
    """The effort from which on each tool detects a planted slow-down, by load and size of the slow-down.

    `seconds` is the least effort for a cell from which on NEEDED of them are found (`reached`), or else the longest
    effort, at most LONGEST_SECONDS. With that effort `found` of `comparisons` are found.
    """
    rows = []
    for key, here in rates(facts).groupby(["tool", "load", "planted"], sort=False):
        missed = here.loc[here["detected"] < NEEDED, "effort"].max()
        enough = here.loc[~(here["effort"] <= missed), "effort"].min()  # not `>`: `missed` is NaN where none is missed
        reached = bool(enough <= LONGEST_SECONDS)
        seconds = enough if reached else min(LONGEST_SECONDS, here["effort"].max())
        by_effort = here.sort_values("effort")
        within = by_effort[by_effort["effort"] <= seconds]
        at_end = within.iloc[-1] if len(within) else by_effort.iloc[0]
        rows.append((*key, seconds, reached, at_end["found"], at_end["comparisons"]))
    return pd.DataFrame(rows, columns=["tool", "load", "planted", "seconds", "reached", "found", "comparisons"])


def detection(run: Run) -> Figure:
    """Share of the planted slow-downs that each tool finds, over its effort, at 5 % of false alarms."""
    style.use()
    rows = rates(run.facts)
    rows = rows.assign(planted=rows["planted"].map(lambda share: f"{100 * share:.0f} % slower"))
    look = _tools(rows)
    grid = sns.relplot(
        rows, x="effort", y="detected", col="planted", row="load", kind="line", errorbar=None, marker="o", height=2.2,
        aspect=1.05, **look,
    )  # fmt: skip
    for (load, planted), axis in grid.axes_dict.items():
        for tool, here in rows[(rows["load"] == load) & (rows["planted"] == planted)].groupby("tool"):
            share, bars = shares.with_bars(here["found"], here["comparisons"])
            axis.errorbar(here["effort"], share, bars, fmt="none", ecolor=look["palette"][tool], lw=0.8, capsize=1.5)
        ticks.log(axis, "x", ticks.seconds)
        ticks.shares(axis, "y")
    grid.set_axis_labels("time for a cell, both sides", "found").set_titles("{col_name}, {row_name}")
    each_point = shares.span(rows["comparisons"])
    return style.titled(
        grid,
        f"Planted slow-downs found, at {100 * ALARMS:.0f} % of false alarms; each point: {each_point} comparisons\n"
        "bars: 95 % intervals as if comparisons were independent (they share units, so the intervals are too narrow)",
    )


def noise(run: Run) -> Figure:
    """Difference of the same kernel between two sides, over effort: the root mean square over comparisons.

    Not a percentile, which of so few comparisons would be the largest.
    """
    style.use()
    rows = differences(run.facts)
    look = _tools(rows)
    grid = sns.relplot(
        rows, x="effort", y="percent", col="load", kind="line", errorbar=None, marker="o", height=3, aspect=1.2, **look
    )
    for load, axis in grid.axes_dict.items():
        for tool, here in rows[rows["load"] == load].groupby("tool"):
            bars = [here["percent"] - here["low"], here["high"] - here["percent"]]
            axis.errorbar(
                here["effort"], here["percent"], bars, fmt="none", ecolor=look["palette"][tool], lw=0.8, capsize=1.5
            )
        ticks.log(axis, "x", ticks.seconds)
        ticks.log(axis, "y", ticks.percent)
    grid.set_axis_labels("time for a cell, both sides", "difference (root mean square)").set_titles("{col_name}")
    return style.titled(
        grid,
        f"Difference between two sides of the same kernel; each point: {shares.span(rows['comparisons'])} comparisons\n"
        "bars: 95 % intervals by chi-square, as if comparisons were independent",
    )


def differences(facts: pd.DataFrame) -> pd.DataFrame:
    """The root mean square of the log ratios of A/A comparisons, in per cent, by tool, load and effort.

    Its 95 % interval (`low`, `high`) is by chi-square, with one degree of freedom for each of the `comparisons`.
    """
    alike = comparisons(facts).query("planted == 0")
    grouped = alike.assign(square=alike["log_ratio"] ** 2).groupby(["tool", "load", "units", "effort"], sort=False)
    rows = grouped["square"].agg(total="sum", comparisons="count").reset_index()
    low, high = (stats.chi2.ppf(tail, rows["comparisons"]) for tail in (0.975, 0.025))
    ends = {"percent": rows["comparisons"], "low": low, "high": high}
    return rows.assign(**{name: np.expm1(np.sqrt(rows["total"] / end)) * 100 for name, end in ends.items()})


def same_kernel(run: Run) -> Figure:
    """Difference of the same kernel under two names: in one process, and between the units of each tool."""
    style.use()
    pairs = paired_log_ratios(run.timings, TWINS[0], base_phase="forward").query("method == @TWINS[1]")
    inside = pairs.groupby("case")["log_ratio"].median().to_frame().assign(tool=IN_ONE_PROCESS, load="quiet")
    between = comparisons(run.facts).query("planted == 0 and units == 1")
    rows = pd.concat([inside, between], ignore_index=True)
    rows = rows.assign(difference=np.expm1(rows["log_ratio"].abs().clip(lower=SMALLEST)) * 100)
    order = [IN_ONE_PROCESS, *(tool for tool in TOOLS if tool in set(rows["tool"]))]
    grid = sns.catplot(
        rows, x="difference", y="tool", row="load", kind="strip", order=order, color="#0072B2", alpha=0.5, size=4,
        height=2, aspect=4,
    )  # fmt: skip
    for axis in grid.axes.flat:
        ticks.log(axis, "x", ticks.percent, 100 * np.expm1(SMALLEST), f"≤ {100 * SMALLEST:g} %")
    grid.set_axis_labels("difference of the same kernel", "").set_titles("{row_name}")
    return style.titled(
        grid, "The same kernel under two names; each point: a case in one process (quiet only), or one unit a side"
    )


def _tools(rows: pd.DataFrame) -> dict[str, Any]:
    """Palette, style and order of the tools for seaborn."""
    palette = dict(zip(TOOLS, ("#000000", "#0072B2", "#D55E00", "#009E73"), strict=True))
    order = [tool for tool in TOOLS if tool in set(rows["tool"])]
    return {"hue": "tool", "hue_order": order, "palette": palette, "style": "tool", "style_order": order}


def summary(run: Run) -> Iterator[str]:
    """The effort that each tool needs, and whether the other planted faults were found."""
    yield (
        f"Law: at equal false alarms ({ALARMS:.0%} of A/A), what a tool finds depends on how much of the noise both "
        f"sides share. Detected means that {NEEDED:.0%} of the planted slow-downs are found. Intervals are computed as "
        "if comparisons were independent; these have units in common, so their intervals are too narrow."
    )
    for (load, planted), here in decisions(run.facts).groupby(["load", "planted"], sort=False):
        found = "; ".join(map(_decision, here.to_dict("records")))
        yield f"{planted:.0%} slower, {load}: seconds for a cell until it is detected, and how many then are: {found}."
    for row in run.facts[~run.facts["fact"].isin(("log_time", "effort"))].itertuples():
        yield f"{row.fact}, {row.item}: {row.value:.4g} ({row.detail})."


def _decision(row: dict[Any, Any]) -> str:
    when = f"{row['seconds']:.1f} s" if row["reached"] else f"not reached in {row['seconds']:.0f} s"
    return f"{row['tool']} {when}, {shares.in_words(row['found'], row['comparisons'])}"


FIGURES = (detection, noise, same_kernel)
