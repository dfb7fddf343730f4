"""Trends of the judged runs of a study on one machine: time over runs, one panel for each method and phase.

This is the script of no study: `harness history` draws by it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
import style
import ticks
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from harness.tables import clock_words, first_clock
from harness.verdicts.wording import commit_label
from harness.vocabulary import PHASES

MOST_PANELS = 16
IN_A_ROW = 4
MOST_TICKS = 8
BASE_AT = 0.35
"""Distance between the base of a run, on the left, and its head; the heads of two runs are 1 apart."""

LEAST_RANGE = 3.0
"""Top of a logarithmic axis over its bottom, at least."""

SERIES = ["case", "method", "phase"]


def levels(history: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """Time in reads of y, by run: a point for its base, then one for its head."""
    rows = _both_sides(_by_run(history))
    figure = _panels(rows, steps, "level", "time in reads of y", shared=False)
    for axis in figure.axes:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        spare = max(1.1, LEAST_RANGE * low / high)  # room above and below, so that noise does not look like a change
        axis.set_ylim(low / spare**0.5, high * spare**0.5)
        ticks.log(axis, "y", ticks.number)
    return figure


def changes(history: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """Time over that of the quantity's first base, which makes steps of a few per cent visible, even in one run."""
    rows = _both_sides(_by_run(history))
    rows = rows.assign(change=rows["level"] / rows.groupby(SERIES)["level"].transform("first"))
    figure = _panels(rows, steps, "change", "time (its first base is 1x)", shared=True)
    for axis in figure.axes:
        axis.axhline(1, color="black", lw=0.6)
        axis.yaxis.set_major_formatter(ticks.times)
    return figure


def _by_run(history: pd.DataFrame) -> pd.DataFrame:
    """The rows of times with `run`, the number of their run in order of time, and `panel`. A run that was judged twice
    counts once. Of a method with times by two clocks, only those by the first are shown."""
    rows = first_clock(history[(history["kind"] == "time") & (history["level"] > 0)], ["case", "method"])
    rows = rows.drop_duplicates([*SERIES, "begin", "head_commit"], keep="last")
    order = sorted(set(zip(rows["begin"], rows["head_commit"], strict=True)))
    places = {key: number for number, key in enumerate(order)}
    runs = [places[key] for key in zip(rows["begin"], rows["head_commit"], strict=True)]
    return rows.assign(run=runs, panel=rows["method"] + ", " + rows["phase"])


def _both_sides(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the heads, and before each of them one for the base of its run.

    The level of a base is that of the head divided by the ratio, since both were measured in the same rounds.
    """
    bases = rows[rows["ratio"] > 0]
    bases = bases.assign(level=bases["level"] / bases["ratio"], run=bases["run"] - BASE_AT)
    return pd.concat([rows, bases]).sort_values("run", kind="stable", ignore_index=True)


def _panels(rows: pd.DataFrame, steps: pd.DataFrame, y: str, label: str, shared: bool) -> Figure:
    style.use()
    of_steps, of_rows = (pd.MultiIndex.from_frame(table[[*SERIES, "clock"]]) for table in (steps, rows))
    steps = steps[of_steps.isin(of_rows)].assign(panel=lambda table: table["method"] + ", " + table["phase"])
    shown, left_out = _chosen(rows, set(steps["panel"]))
    drawn = rows[rows["panel"].isin(shown)]
    grid = sns.relplot(
        drawn,
        x="run",
        y=y,
        col="panel",
        col_order=shown,
        col_wrap=min(IN_A_ROW, len(shown)),
        kind="line",
        style="n",
        marker="o",
        markersize=3.5,
        markeredgewidth=0,
        units="case",
        estimator=None,
        height=2.3,
        aspect=1.25,
        facet_kws={"sharey": shared},
        **style.dtypes(drawn["dtype"]),
    )
    grid.set_titles("{col_name}", pad=12).set_axis_labels("", label)
    heads = rows[rows["run"] % 1 == 0]
    places = dict(zip(heads["run"], zip(heads["begin"], heads["head_commit"], strict=True), strict=True))
    for panel, axis in grid.axes_dict.items():
        _mark_steps(axis, steps[steps["panel"] == panel], {key: int(run) for run, key in places.items()})
        marked = _marked(len(places))
        axis.xaxis.set_major_locator(FixedLocator(marked))
        axis.set_xticklabels([commit_label(places[run][1]) for run in marked], rotation=60, ha="right", fontsize=7)
        axis.tick_params(axis="y", labelsize=7)
    study, first, last = rows["study"].iloc[0], rows["begin"].min()[:10], rows["begin"].max()[:10]
    title = f"{study}{clock_words(rows)}: {len(places)} judged runs, {first} to {last}, by commit: base, then head"
    title += "; each line: a case"
    title += "; dotted: steps, their ratio (and their number)" if len(steps) else "; no step"
    return style.titled(grid, title + (f"\nleft out: {'; '.join(left_out)}" if left_out else ""))


def _chosen(rows: pd.DataFrame, stepped: set[str]) -> tuple[list[str], list[str]]:
    """The panels that are shown, and those that are left out. Of too many, those with a step are shown first."""
    methods = style.methods(rows["method"])["hue_order"]
    order = [f"{method}, {phase}" for method in methods for phase in PHASES]
    present = [panel for panel in order if panel in set(rows["panel"])]
    kept = set(sorted(present, key=lambda panel: panel not in stepped)[:MOST_PANELS])
    return [panel for panel in present if panel in kept], [panel for panel in present if panel not in kept]


def _mark_steps(axis: Any, steps: pd.DataFrame, runs: dict[tuple[str, str], int]) -> None:
    for (begin, commit), here in steps.groupby(["begin", "head_commit"]):
        place = runs[str(begin), str(commit)] - BASE_AT / 2
        low, high = (f"{end:.2f}" for end in (here["ratio"].min(), here["ratio"].max()))
        ratio = f"{low}x" if low == high else f"{low}..{high}x"
        axis.axvline(place, color="#555555", lw=0.9, ls=":")
        axis.annotate(
            f"{ratio} ({len(here)})", (place, 1), xycoords=("data", "axes fraction"), xytext=(0, 1),
            textcoords="offset points", fontsize=6.5, ha="center", va="bottom",
        )  # fmt: skip


def _marked(runs: int) -> list[int]:
    """The numbers of the runs that get a tick: at most MOST_TICKS, evenly spaced."""
    return list(range(0, runs, -(-runs // MOST_TICKS)))


TRENDS = (levels, changes)
