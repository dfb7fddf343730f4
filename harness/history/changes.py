"""What changed at which commit: what a judged run saw between its two sides, and what a trend of many runs shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from harness.history.points import StudyHistory
from harness.report.trend import levels_text
from harness.verdicts.changes import IDENTITY
from harness.verdicts.comparison import CHANGED, counts, gravest_first
from harness.verdicts.wording import commit_label, figures_text, quantity_name

SHOWN = 6
"""Quantities that are named of a run; the chart and the table show the others."""


@dataclass(frozen=True)
class Line:
    """One quantity that changed: its text, and the address at which the page shows its chart."""

    text: str
    address: str


@dataclass(frozen=True)
class Change:
    """What changed at one judged run. seen: how many verdicts of which kind; steps: how many trends step here."""

    study: str
    head: str
    base: str
    begin: str
    seen: str
    steps: str
    lines: tuple[Line, ...]
    left_out: int


def changes_of(history: StudyHistory, found: pd.DataFrame, place: int) -> Iterator[Change]:
    """The changes of a study, the newest run first.

    found: the steps of all trends; place: the number of the study on the page, from 0.
    """
    of_study = found[found["study"] == history.study]
    for run in history.runs[::-1].itertuples():
        rows = history.rows[history.rows["number"] == run.Index]
        seen = gravest_first(rows[rows["verdict"].isin(CHANGED)])
        steps = of_study[(of_study["begin"] == run.begin) & (of_study["head_commit"] == run.head_commit)]
        if seen.empty and steps.empty:
            continue
        lines = list(_lines(seen, steps, history, place))
        yield Change(
            study=history.study,
            head=commit_label(run.head_commit),
            base=commit_label(run.base_commit),
            begin=str(run.begin),
            seen=", ".join(f"{count} {word}" for word, count in counts(seen).items()),
            steps="" if steps.empty else f"{len(steps)} {'trend steps' if len(steps) == 1 else 'trends step'} here",
            lines=tuple(lines[:SHOWN]),
            left_out=max(0, len(lines) - SHOWN),
        )


def _lines(seen: pd.DataFrame, steps: pd.DataFrame, history: StudyHistory, place: int) -> Iterator[Line]:
    """What the run saw, the gravest first; then the steps of trends of which it saw nothing, the largest first."""
    for row in seen.to_dict("records"):
        yield Line(_seen_text(row), _address(row, history.key, place))
    unseen = steps[~pd.MultiIndex.from_frame(steps[IDENTITY]).isin(pd.MultiIndex.from_frame(seen[IDENTITY]))]
    with np.errstate(divide="ignore"):  # the level of memory or of an error may have fallen to 0
        size = np.abs(np.log(unseen["ratio"].to_numpy(dtype=float)))
    for row in unseen.iloc[np.argsort(-size, kind="stable")].to_dict("records"):
        yield Line(_step_text(row), _address(row, history.key, place))


def _seen_text(row: Mapping[Any, Any]) -> str:
    figures = figures_text(row)
    return f"{row['verdict']}: {quantity_name(row)}" + (f": {figures}" if figures else "")


def _step_text(row: Mapping[Any, Any]) -> str:
    return f"step of a trend of {row['runs']} runs: {quantity_name(row)}: {row['ratio']:.3f}x, {levels_text(row)}"


def _address(row: Mapping[Any, Any], key: Iterable[str], place: int) -> str:
    """Where the page shows this quantity: the names that the controls of the explorer have."""
    kind = str(row["kind"])
    if kind == "cell":
        return f"#{urlencode({'run': place})}"
    asked = {"run": place, "table": kind} | {name: row[name] for name in key if name != "case"}
    asked |= {name: row[name] for name in ("phase", "clock", "tensor", "reference", "metric") if row[name]}
    return f"#{urlencode(asked)}"
