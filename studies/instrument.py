"""`instrument`: how many false alarms and how many planted slow-downs, at what effort, here and by the usual tools.

A unit is what a tool does before it says one number a cell: a launch of two fresh workers (duel), a process
(torch.utils.benchmark, pytest-benchmark), or a process a cell (pyperf). All tools take turns, unit by unit, quiet
and beside two busy processes. A comparison of m units a side takes them in the order in which they came: those of
the base, then those of the head, as who runs a benchmark before and after a change does; a duel's m launches hold
both sides.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import shares
import style
import ticks
from matplotlib.figure import Figure
from scipy import stats

from harness.session.case import CaseRunner
from harness.session.process import Worker, cores_for_workers
from harness.session.side import Side
from harness.study.cells import Case, Cell, cases
from harness.study.definition import Study
from harness.tables import Row, Run
from harness.verdicts.ratios import paired_log_ratios

PLANTED = "tests.planted.methods:"
TWINS = (f"{PLANTED}twin", f"{PLANTED}twin_again")
SLOWER = {f"{PLANTED}slower_{percent}": percent / 100 for percent in (2, 3, 5, 10)}
ALARMS = 0.05
NEEDED = 0.95
LONGEST_SECONDS = 60.0
TIMEOUT = 300.0

IN_ONE_PROCESS = "rounds in one process"

SMALLEST = 1e-5
"""Where a difference that is smaller is drawn: 0.001 %."""

Times = dict[tuple[str, str], float]
"""(case, method) -> logarithm of seconds a call; of the duel, of the ratio to the base's twin."""


def measure(study: Study) -> Iterator[Row]:
    """Facts: log_time of a method by a tool (of the duel: log ratio to the base's twin), effort of a unit in seconds a
    cell; detail says quiet or busy. Then the faults that are no slow-downs."""
    from tests.planted.checks import other_faults
    from tests.planted.load import LOADS, busy

    names = [each for each in study.methods if each.startswith(PLANTED)]
    by_seed: dict[int, list[Case]] = {}
    for case in cases(study):
        by_seed.setdefault(case.seed, []).append(case)
    for load, processes in LOADS.items():
        with busy(processes):
            for unit in by_seed.values():
                for tool, run in _TOOLS.items():
                    begin = time.monotonic()
                    times = run(study, unit, names)
                    effort = (time.monotonic() - begin) / len(times)
                    told = {"item": tool, "detail": load}
                    for case in unit:
                        key = {"case": case.id} | case.axes | told
                        yield key | {"method": names[0], "fact": "effort", "value": effort}
                        for name in names:
                            yield key | {"method": name, "fact": "log_time", "value": times[case.id, name]}
    yield from other_faults()


def _duel(study: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    """One launch of a duel of the harness with itself."""
    times: Times = {}
    sides = [Side(lambda: Worker.spawn(cores_for_workers())) for _ in range(2)]
    with CaseRunner(study, sides) as runner:
        for case in unit:
            cells = [Cell(case, name, 0) for name in names]
            base, head = runner.run(case, [cells, cells], case.seed, float("inf"), measure=())
            beside = {block.round: block.seconds for block in base.blocks if block.arm.method == TWINS[0]}
            rows = [(block.arm.method, np.log(block.seconds / beside[block.round])) for block in head.blocks]
            medians = pd.DataFrame(rows, columns=["method", "ratio"]).groupby("method")["ratio"].median()
            times |= {(case.id, str(name)): float(value) for name, value in medians.items()}
    return times


def _torch(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    output = _run([sys.executable, "-m", "tests.planted.methods"], unit, names)
    return _logarithms(json.loads(output))


def _pytest(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "benchmarks.json"
        options = ["--benchmark-disable-gc", f"--benchmark-json={target}"]
        command = ["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "tests/planted/by_pytest.py", *options]
        _run([sys.executable, *command], unit, names)
        benchmarks = json.loads(target.read_text(encoding="utf-8"))["benchmarks"]
    return _logarithms({each["param"]: each["stats"]["median"] for each in benchmarks})


def _pyperf(_: Study, unit: Sequence[Case], names: Sequence[str]) -> Times:
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "suite.json"
        _run([sys.executable, "-m", "tests.planted.by_pyperf", "--quiet", "--output", str(target)], unit, names)
        suite = pyperf.BenchmarkSuite.load(str(target))
        return _logarithms({each.get_name(): each.median() for each in suite.get_benchmarks()})


_TOOLS: dict[str, Callable[[Study, Sequence[Case], Sequence[str]], Times]] = {
    "duel": _duel,
    "torch.utils.benchmark": _torch,
    "pytest-benchmark": _pytest,
    "pyperf": _pyperf,
}


def _run(command: list[str], unit: Sequence[Case], names: Sequence[str]) -> str:
    """What a command prints that finds the cases and methods of its unit in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {
        "PLANTED_CASES": json.dumps({case.id: case.axes for case in unit}),
        "PLANTED_METHODS": " ".join(names),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return done.stdout


def _logarithms(seconds: dict[str, float]) -> Times:
    """Of seconds by 'case method'."""
    return {(name.split()[0], name.split()[1]): float(np.log(value)) for name, value in seconds.items()}


def comparisons(facts: pd.DataFrame) -> pd.DataFrame:
    """Every comparison that the units allow: tool, load, units a side, effort (seconds), planted, log_ratio."""
    rows = []
    chosen = facts[facts["fact"].isin(("log_time", "effort"))]
    for (tool, load), mine in chosen.groupby(["item", "detail"], sort=False):
        effort = float(mine.loc[mine["fact"] == "effort", "value"].mean())
        table = mine[mine["fact"] == "log_time"].pivot_table(index=["n", "k", "seed"], columns="method", values="value")
        paired = tool == "duel"
        for _, units in table.groupby(level=["n", "k"]):
            planted = {name: SLOWER.get(str(name), 0.0) for name in units.columns}
            for count in range(1, len(units) // (1 if paired else 2) + 1):
                seconds = effort * count * (1 if paired else 2)
                for first in range(len(units) - count * (1 if paired else 2) + 1):
                    head = (
                        units.iloc[first : first + count] if paired else units.iloc[first + count : first + 2 * count]
                    )
                    base = 0.0 if paired else units[TWINS[0]].iloc[first : first + count].median()
                    for name, share in planted.items():
                        middle = head[name].mean() if paired else head[name].median()
                        rows.append((tool, load, count, seconds, share, float(middle - base)))
    return pd.DataFrame(rows, columns=["tool", "load", "units", "effort", "planted", "log_ratio"])


def rates(facts: pd.DataFrame) -> pd.DataFrame:
    """Per tool, load and effort: the threshold that alarms in 5 % of the A/A comparisons (`controls` of them), and how
    many planted slow-downs are above it, `found` of `comparisons`."""
    rows = []
    by = ["tool", "load", "units", "effort"]
    for key, each in comparisons(facts).groupby(by, sort=False):
        controls = each.loc[each["planted"] == 0, "log_ratio"]
        threshold = float(np.quantile(controls, 1 - ALARMS))
        for share, ratios in each[each["planted"] > 0].groupby("planted")["log_ratio"]:
            found = int((ratios > threshold).sum())
            rows.append((*key, len(controls), threshold, share, found / len(ratios), found, len(ratios)))
    columns = ["controls", "threshold", "planted", "detected", "found", "comparisons"]
    return pd.DataFrame(rows, columns=[*by, *columns])


def decisions(facts: pd.DataFrame) -> pd.DataFrame:
    """Per tool, load and planted share: the fewest seconds a cell from which on it is detected (`reached`), or the
    longest that were spent, at most LONGEST_SECONDS; and how many are detected in that time, `found` of `comparisons`.
    """
    rows = []
    for key, each in rates(facts).groupby(["tool", "load", "planted"], sort=False):
        missed = each.loc[each["detected"] < NEEDED, "effort"].max()
        enough = each.loc[~(each["effort"] <= missed), "effort"].min()
        reached = bool(enough <= LONGEST_SECONDS)
        seconds = enough if reached else min(LONGEST_SECONDS, each["effort"].max())
        by_effort = each.sort_values("effort")
        within = by_effort[by_effort["effort"] <= seconds]
        told = within.iloc[-1] if len(within) else by_effort.iloc[0]
        rows.append((*key, seconds, reached, told["found"], told["comparisons"]))
    return pd.DataFrame(rows, columns=["tool", "load", "planted", "seconds", "reached", "found", "comparisons"])


def detection(run: Run) -> Figure:
    """Share of the planted slow-downs that each tool finds, against its effort, at 5 % of false alarms."""
    style.use()
    rows = rates(run.facts)
    rows = rows.assign(planted=rows["planted"].map(lambda share: f"{100 * share:.0f} % slower"))
    look = _tools(rows)
    grid = sns.relplot(
        rows, x="effort", y="detected", col="planted", row="load", kind="line", errorbar=None, marker="o", height=2.2,
        aspect=1.05, **look,
    )  # fmt: skip
    for (load, planted), axis in grid.axes_dict.items():
        for tool, each in rows[(rows["load"] == load) & (rows["planted"] == planted)].groupby("tool"):
            share, bars = shares.with_bars(each["found"], each["comparisons"])
            axis.errorbar(each["effort"], share, bars, fmt="none", ecolor=look["palette"][tool], lw=0.8, capsize=1.5)
        ticks.log(axis, "x", ticks.seconds)
        ticks.shares(axis, "y")
    grid.set_axis_labels("time of a cell, both sides", "found").set_titles("{col_name}, {row_name}")
    each_point = shares.span(rows["comparisons"])
    return style.titled(
        grid,
        f"Planted slow-downs found, at {100 * ALARMS:.0f} % of false alarms; a point: {each_point} comparisons\n"
        "bars: 95 % intervals, as of independent comparisons (these share units, so they tell less)",
    )


def noise(run: Run) -> Figure:
    """What the same kernel differs by between two sides, against effort: the root of the mean square over comparisons.

    A percentile of so few comparisons would be the largest of them.
    """
    style.use()
    rows = differences(run.facts)
    look = _tools(rows)
    grid = sns.relplot(
        rows, x="effort", y="percent", col="load", kind="line", errorbar=None, marker="o", height=3, aspect=1.2, **look
    )
    for load, axis in grid.axes_dict.items():
        for tool, each in rows[rows["load"] == load].groupby("tool"):
            bars = [each["percent"] - each["low"], each["high"] - each["percent"]]
            axis.errorbar(
                each["effort"], each["percent"], bars, fmt="none", ecolor=look["palette"][tool], lw=0.8, capsize=1.5
            )
        ticks.log(axis, "x", ticks.seconds)
        ticks.log(axis, "y", ticks.percent)
    grid.set_axis_labels("time of a cell, both sides", "difference (root mean square)").set_titles("{col_name}")
    each_point = shares.span(rows["comparisons"])
    return style.titled(
        grid,
        f"What two sides of the same kernel differ by; a point: {each_point} comparisons\n"
        "bars: 95 % intervals by chi-square, as of independent comparisons",
    )


def differences(facts: pd.DataFrame) -> pd.DataFrame:
    """Per tool, load and effort: the root mean square of the log ratios of A/A comparisons, in per cent, and its 95 %
    interval by chi-square, with a degree of freedom for each of the `comparisons`."""
    alike = comparisons(facts).query("planted == 0")
    grouped = alike.assign(square=alike["log_ratio"] ** 2).groupby(["tool", "load", "units", "effort"], sort=False)
    rows = grouped["square"].agg(total="sum", comparisons="count").reset_index()
    low, high = (stats.chi2.ppf(end, rows["comparisons"]) for end in (0.975, 0.025))
    ends = {"percent": rows["comparisons"], "low": low, "high": high}
    return rows.assign(**{name: np.expm1(np.sqrt(rows["total"] / each)) * 100 for name, each in ends.items()})


def same_kernel(run: Run) -> Figure:
    """What the same kernel differs by under two names: in one process, and between the units of each tool."""
    style.use()
    pairs = paired_log_ratios(run.timings, TWINS[0], base_phase="forward").query("method == @TWINS[1]")
    inside = pairs.groupby("case")["log_ratio"].median().to_frame().assign(tool=IN_ONE_PROCESS, load="quiet")
    between = comparisons(run.facts).query("planted == 0 and units == 1")
    rows = pd.concat([inside, between], ignore_index=True)
    rows = rows.assign(difference=np.expm1(rows["log_ratio"].abs().clip(lower=SMALLEST)) * 100)
    order = [IN_ONE_PROCESS, *(each for each in _TOOLS if each in set(rows["tool"]))]
    grid = sns.catplot(
        rows, x="difference", y="tool", row="load", kind="strip", order=order, color="#0072B2", alpha=0.5, size=4,
        height=2, aspect=4,
    )  # fmt: skip
    for axis in grid.axes.flat:
        ticks.log(axis, "x", ticks.percent, 100 * np.expm1(SMALLEST), f"≤ {100 * SMALLEST:g} %")
    grid.set_axis_labels("difference of the same kernel", "").set_titles("{row_name}")
    return style.titled(
        grid, "The same kernel under two names; a point: a case in one process (quiet only), or one unit a side"
    )


def _tools(rows: pd.DataFrame) -> dict[str, Any]:
    palette = dict(zip(_TOOLS, ("#000000", "#0072B2", "#D55E00", "#009E73"), strict=True))
    order = [each for each in _TOOLS if each in set(rows["tool"])]
    return {"hue": "tool", "hue_order": order, "palette": palette, "style": "tool", "style_order": order}


def summary(run: Run) -> Iterator[str]:
    """The effort that each tool needs, and whether the other faults were found."""
    yield (
        f"Law: at equal false alarms ({ALARMS:.0%} of A/A) what is found depends on the noise that both sides share. "
        f"Detected means {NEEDED:.0%} of the planted ones. Intervals are those of as many independent comparisons; "
        "these have units in common, so that they tell less."
    )
    for (load, planted), each in decisions(run.facts).groupby(["load", "planted"], sort=False):
        told = "; ".join(map(_decision, each.to_dict("records")))
        yield f"{planted:.0%} slower, {load}: seconds a cell until it is detected, and how many then are: {told}."
    for row in run.facts[~run.facts["fact"].isin(("log_time", "effort"))].itertuples():
        yield f"{row.fact}, {row.item}: {row.value:.4g} ({row.detail})."


def _decision(row: dict[Any, Any]) -> str:
    when = f"{row['seconds']:.1f} s" if row["reached"] else f"not reached in {row['seconds']:.0f} s"
    return f"{row['tool']} {when}, {shares.told(row['found'], row['comparisons'])}"


FIGURES = (detection, noise, same_kernel)
