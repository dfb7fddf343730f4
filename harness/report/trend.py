"""The lines about a history on a terminal: its size, what its judged runs saw, and where its trends step."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness.report.judgement import SHOWN
from harness.verdicts.comparison import CHANGED, counts, gravest_first
from harness.verdicts.steps import FEWEST_RUNS, SERIES, trends
from harness.verdicts.wording import commit_label, figures_text, quantities_text, quantity_name
from harness.vocabulary import many

UNITS = {"time": " reads of y", "memory": " bytes", "instructions": " instructions", "error": ""}


def history_lines(history: pd.DataFrame, found: pd.DataFrame) -> Iterator[str]:
    """A line of counts, a line for each run that judged a change and for each step of a trend, and how many quantities
    have too few runs for a trend. The newest come first; at most SHOWN runs and SHOWN steps are listed.

    found: the steps of this history.
    """
    yield summary_line(history, found)
    changed = history[history["verdict"].isin(CHANGED)].sort_values("begin", ascending=False, kind="stable")
    runs = list(changed.groupby(["begin", "study"], sort=False))
    for _, rows in runs[:SHOWN]:
        yield judged_text(rows)
    if len(runs) > SHOWN:
        yield f"... and {many(len(runs) - SHOWN, 'more run')} that judged a change"
    newest = found.sort_values(["begin", "ratio"], ascending=False, kind="stable")
    for row in newest.head(SHOWN).to_dict("records"):
        yield step_text(row)
    if len(newest) > SHOWN:
        yield f"... and {len(newest) - SHOWN} more"
    if few := too_few_line(history):
        yield few


def summary_line(history: pd.DataFrame, found: pd.DataFrame) -> str:
    """How many judged runs, quantities and steps of their trends there are."""
    steps = f"{len(found)} steps" if len(found) > 1 else "one step" if len(found) else "no step"
    runs = many(history["begin"].nunique(), "judged run")
    return f"{runs}, {quantities_text(len(_runs_of(history)))}: {steps}"


def too_few_line(history: pd.DataFrame) -> str:
    """How many quantities have too few runs for a trend, or ''."""
    few = int((_runs_of(history) < FEWEST_RUNS).sum())
    have = f"{quantities_text(few)} {'has' if few == 1 else 'have'}"
    return f"{have} fewer than {FEWEST_RUNS} judged runs, too few to look for a step" if few else ""


def step_text(row: Mapping[Hashable, Any]) -> str:
    """Which quantity stepped, by how much, and the first run after the step."""
    where = f"at {commit_label(row['head_commit'])} of {row['begin']}"
    return f"{row['study']}: {quantity_name(row)}: {row['ratio']:.3f}x, {levels_text(row)}, {where}"


def judged_text(rows: pd.DataFrame) -> str:
    """What one run judged to have changed between its two commits; of several quantities the gravest is named."""
    row = gravest_first(rows).to_dict("records")[0]
    seen = ", ".join(f"{count} {word}" for word, count in counts(rows).items())
    sides = f"{commit_label(row['head_commit'])} against {commit_label(row['base_commit'])}"
    figures = figures_text(row)
    return f"{row['study']}: {sides}: {seen}: {quantity_name(row)}" + (f": {figures}" if figures else "")


def levels_text(row: Mapping[Hashable, Any]) -> str:
    """The levels before and after a step, with their unit."""
    unit = " seconds" if "test" in row else UNITS[row["kind"]]
    return f"{row['before']:.4g} -> {row['after']:.4g}{unit}"


def _runs_of(history: pd.DataFrame) -> pd.Series:
    """For each quantity how many judged runs have a level of it."""
    return trends(history).groupby(SERIES, sort=False).size()
