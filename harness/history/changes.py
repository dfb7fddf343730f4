"""What changed at each judged run: the changes between its two sides, and the steps of trends over many runs."""

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
"""At most this many quantities are named for a run; the chart and the table show the others."""


@dataclass(frozen=True)
class Line:
    """One quantity that changed: its text, and the address at which the page shows its chart."""

    text: str
    address: str


@dataclass(frozen=True)
class Change:
    """What changed at one judged run.

    seen: how many of each verdict, in words; steps: how many trends step here, in words; lines: the first SHOWN
    changes; left_out: how many more there are.
    """

    study: str
    head: str
    base: str
    begin: str
    seen: str
    steps: str
    lines: tuple[Line, ...]
    left_out: int


def changes_of(history: StudyHistory, found: pd.DataFrame, place: int) -> Iterator[Change]:
    """The changes of a study, the newest run first; runs without a change are left out.

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
    """The changes that the run judged, the gravest first; then steps of trends in quantities in which it judged no
    change, the largest first."""
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
    """The fragment of the page's address that shows this quantity; its names are those of the explorer's controls."""
    kind = str(row["kind"])
    if kind == "cell":  # a cell as a whole has no chart
        return f"#{urlencode({'run': place})}"
    choices = {"run": place, "table": kind} | {name: row[name] for name in key if name != "case"}
    choices |= {name: row[name] for name in ("phase", "clock", "tensor", "reference", "metric") if row[name]}
    return f"#{urlencode(choices)}"
