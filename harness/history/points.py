"""A history as its page draws it: for each quantity and judged run a point of the head, and one of the base.

A judged run knows both of its sides. So even a single run has two points, and what its duel saw lies between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.tables import KEY
from harness.verdicts.comparison import CHANGED
from harness.verdicts.steps import SERIES
from harness.verdicts.wording import commit_label

LEVEL = {"time": "reads", "instructions": "instructions", "memory": "bytes", "error": "error"}
"""kind -> what the level of such a quantity is called on the page: its unit."""

QUANTITY_COLUMNS = {
    "time": ["phase", "clock"],
    "instructions": ["phase"],
    "memory": ["phase"],
    "error": ["tensor", "reference", "metric"],
}
"""kind -> the columns that tell its quantities apart, beside the cell."""

SUITE_KEY = ("case", "method", "test")

OF_A_RUN = ["number", "base", "head", "begin", "torch", "launches", "verdict", "seen", "step"]


@dataclass(frozen=True)
class StudyHistory:
    """The judged runs of one study.

    runs: one row a judged run, in the order of `begin`; its index is the number of the run, from 1, and its columns are
    begin, base_commit, head_commit and torch. rows: those of history.csv, and the column `number`.
    """

    study: str
    runs: pd.DataFrame
    rows: pd.DataFrame

    @property
    def is_suite(self) -> bool:
        """Whether its quantities are the times of the tests of a pytest suite."""
        return "test" in self.rows

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that say which cell, or which test, a row is of."""
        return SUITE_KEY if self.is_suite else KEY


def study_histories(history: pd.DataFrame) -> Iterator[StudyHistory]:
    """The judged runs of each study, the study of the newest run first. A run that was judged twice counts once."""
    newest = history.groupby("study")["begin"].max().sort_values(ascending=False, kind="stable")
    for study in newest.index:
        rows = history[history["study"] == study].sort_values("begin", kind="stable")
        rows = rows.drop_duplicates([*SERIES, "begin", "head_commit"], keep="last")
        which = ["begin", "head_commit"]
        runs = rows[["begin", "base_commit", "head_commit", "torch"]].drop_duplicates(which, keep="last")
        runs = runs.set_axis(range(1, len(runs) + 1))
        numbers = runs[which].reset_index(names="number")
        yield StudyHistory(str(study), runs, rows.merge(numbers, on=which))


def tables_of(history: StudyHistory, found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """kind -> a row for each point: the key, what the quantity is, OF_A_RUN, and its figures.

    found: the steps of all trends. `base` and `head` are the labels of the two commits. `seen` is the ratio that the
    judged run found, where its verdict is a change; `step` that of the step of the trend that is here. A figure has
    three columns more: `_base`, its value at the base, and `_low` and `_high`, the interval of the ratio around it.
    """
    steps = found.set_index([*SERIES, "begin", "head_commit"])["ratio"].rename("step")
    rows = history.rows.join(steps, on=[*SERIES, "begin", "head_commit"])
    figures = _figures(rows)
    rows = rows.assign(
        seen=rows["ratio"].where(rows["verdict"].isin(CHANGED)),
        base=rows["base_commit"].map(commit_label),
        head=rows["head_commit"].map(commit_label),
    )
    tables = {}
    for kind, columns in QUANTITY_COLUMNS.items():
        mine = (rows["kind"] == kind).to_numpy()
        absent = _absent(kind, history.is_suite)
        names = [name for name in figures.columns.astype(str) if not name.startswith(absent)]
        shown = figures.loc[mine, names].rename(columns={name: name.replace("level", LEVEL[kind]) for name in names})
        if mine.any():
            tables[kind] = pd.concat([rows.loc[mine, [*history.key, *columns, *OF_A_RUN]], shown], axis=1)
    return tables


def _absent(kind: str, is_suite: bool) -> tuple[str, ...]:
    """Figures that a table does not have: the seconds of what is no time, and the level of a suite's time, which has no
    read of y beside it."""
    return ("seconds",) if kind != "time" else ("level",) if is_suite else ()


def _figures(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows in the order of their runs: change (the level over that of the first base of the quantity), level,
    seconds and ratio, each with `_base`, `_low` and `_high`.

    The level of a time at the base is that of the head over the ratio: both were measured in the same rounds.
    """
    ratio, head, level = (rows[name].to_numpy(dtype=float) for name in ("ratio", "head", "level"))
    base = rows["base"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        before = np.where(rows["kind"] == "time", level / ratio, base)
        known = np.where(np.isfinite(before) & (before > 0), before, level)
        known = np.where(np.isfinite(known) & (known > 0), known, np.nan)
        first = rows.assign(known=known).groupby(SERIES, sort=False)["known"].transform("first").to_numpy(dtype=float)
        sides = {
            "change": (level / first, before / first),
            "level": (level, before),
            "seconds": (head, base),
            "ratio": (ratio, np.where(np.isfinite(ratio), 1.0, np.nan)),
        }
        ends = {end: rows[end].to_numpy(dtype=float) / ratio for end in ("low", "high")}
        columns = {}
        for name, (after, base_value) in sides.items():
            columns[name] = after
            columns[f"{name}_base"] = base_value
            columns |= {f"{name}_{end}": after * share for end, share in ends.items()}
    return pd.DataFrame(columns, index=rows.index)
