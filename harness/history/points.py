"""The points that the page of a history draws: for each quantity and judged run one of the head and one of the base.

A judged run measured both of its sides, so even a single run has two points, with its change between them.
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
"""kind -> the name of the column with the levels of its quantities, which is their unit."""

QUANTITY_COLUMNS = {
    "time": ["phase", "clock"],
    "instructions": ["phase"],
    "memory": ["phase"],
    "error": ["tensor", "reference", "metric"],
}
"""kind -> the columns that, together with the cell, identify a quantity."""

SUITE_KEY = ("case", "method", "test")

OF_A_RUN = ["number", "base", "head", "begin", "torch", "launches", "verdict", "seen", "step"]


@dataclass(frozen=True)
class StudyHistory:
    """The judged runs of one study.

    runs: a row for each judged run in the order of `begin`, indexed by the number of the run (from 1), with the columns
    begin, base_commit, head_commit and torch. rows: the rows of history.csv with a column `number`.
    """

    study: str
    runs: pd.DataFrame
    rows: pd.DataFrame

    @property
    def is_suite(self) -> bool:
        """Whether this is a pytest suite, whose quantities are times of tests."""
        return "test" in self.rows

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify the cell, or the test, of a row."""
        return SUITE_KEY if self.is_suite else KEY


def study_histories(history: pd.DataFrame) -> Iterator[StudyHistory]:
    """The judged runs of each study, starting with the study of the newest run. A run that was judged twice counts
    once."""
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
    """kind -> a row for each quantity and judged run: the key, the columns of the quantity, OF_A_RUN, and figures.

    found: the steps of all trends. `base` and `head` are the labels of the two commits; `seen` is the ratio that the
    run measured, if its verdict is a change; `step` is the ratio of a trend's step at this run. Each figure has three
    more columns: `_base` is its value at the base, `_low` and `_high` are the interval of the ratio, put around the
    head.
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
        of_kind = (rows["kind"] == kind).to_numpy()
        absent = _absent(kind, history.is_suite)
        names = [name for name in figures.columns.astype(str) if not name.startswith(absent)]
        shown = figures.loc[of_kind, names].rename(columns={name: name.replace("level", LEVEL[kind]) for name in names})
        if of_kind.any():
            tables[kind] = pd.concat([rows.loc[of_kind, [*history.key, *columns, *OF_A_RUN]], shown], axis=1)
    return tables


def _absent(kind: str, is_suite: bool) -> tuple[str, ...]:
    """Prefixes of the figures that a table lacks: only times have seconds, and the times of a suite have no level,
    since no read of y was measured beside them."""
    return ("seconds",) if kind != "time" else ("level",) if is_suite else ()


def _figures(rows: pd.DataFrame) -> pd.DataFrame:
    """The figures change, level, seconds and ratio of rows in the order of their runs, each with `_base`, `_low` and
    `_high`.

    change: the level divided by the quantity's first level above 0, which is usually its first base. A history has no
    level of a time at the base; it is the head's level divided by the ratio, since both were measured in the same
    rounds.
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
