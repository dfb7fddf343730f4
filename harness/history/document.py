"""The page of a history: one self-contained HTML file, made from history.csv alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.history.changes import Change, changes_of
from harness.history.charts import trend_frame
from harness.history.points import StudyHistory, study_histories, tables_of
from harness.page.assembly import assembled, colours
from harness.page.contents import SUBJECT
from harness.page.packing import DIGITS, Carried, packed, pointed
from harness.report.trend import summary_line, too_few_line
from harness.verdicts.comparison import ORDER, counts
from harness.verdicts.steps import steps
from harness.verdicts.wording import commit_label
from harness.vocabulary import many

TEMPLATE = "history/page.html.jinja"
SCRIPTS = (
    "page/script/rows.js",
    "history/script/tables.js",
    "page/script/choice.js",
    "page/script/form.js",
    "page/script/look.js",
    "history/script/chart.js",
    "page/script/table.js",
    "page/script/explorer.js",
    "history/script/compare.js",
    "history/script/page.js",
)
"""The parts of the page's script, which are joined in this order into one module."""

SHOWN_CHANGES = 20
"""The changes of at most this many judged runs are listed, the newest first."""


@dataclass(frozen=True)
class Kept:
    """What a judged run has left besides its rows in the history.

    report: the address of its report, relative to the page, or ''; arguments: where there is no report but the tables
    are, what `harness report` must be given to write one, quoted for a shell.
    """

    report: str = ""
    arguments: str = ""


def history_document(
    histories: Sequence[pd.DataFrame], machine: str, kept: Mapping[tuple[str, str], Kept] | None = None
) -> str:
    """The HTML of the page; all text that comes from files is escaped.

    histories: of cells, and of suites; either may be empty. kept: (study, begin) -> what is still there of that run.
    """
    parts = [(history, steps(history)) for history in histories if not history.empty]
    with_steps = [(study, found) for history, found in parts for study in study_histories(history)]
    studies = [study for study, _ in with_steps]
    tables = [tables_of(study, found) for study, found in with_steps]
    changes = sorted(
        (change for place, (study, found) in enumerate(with_steps) for change in changes_of(study, found, place)),
        key=lambda change: change.begin,
        reverse=True,
    )
    runs = [_runs(study, kept or {}) for study in studies]
    carried = [
        (study.study, _carried(study, own, judged)) for study, own, judged in zip(studies, tables, runs, strict=True)
    ]
    return assembled(
        TEMPLATE,
        SCRIPTS,
        _settings(parts, changes),
        packed(carried),
        title=f"History of {machine}",
        subject=SUBJECT,
        summary=[summary_line(history, found) for history, found in parts],
        too_few=[line for history, _ in parts if (line := too_few_line(history))],
        changes=changes[:SHOWN_CHANGES],
        left_out=max(0, len(changes) - SHOWN_CHANGES),
        studies=[_listed(study, judged) for study, judged in zip(studies, runs, strict=True)],
        digits=DIGITS,
    )


def _carried(history: StudyHistory, tables: Mapping[str, pd.DataFrame], runs: Sequence[Mapping[str, Any]]) -> Carried:
    cells, pointing = pointed(tables, history.key)
    return Carried(cells, pointing, more={"judged": list(runs)})


def _runs(history: StudyHistory, kept: Mapping[tuple[str, str], Kept]) -> list[dict[str, Any]]:
    """A row for each judged run, the oldest first."""
    rows = []
    for run in history.runs.itertuples():
        there = kept.get((history.study, str(run.begin)), Kept())
        own = history.rows[history.rows["number"] == run.Index]
        rows.append(
            {
                "number": run.Index,
                "begin": str(run.begin),
                "base": commit_label(run.base_commit),
                "head": commit_label(run.head_commit),
                "torch": run.torch,
                "counts": ", ".join(f"{count} {word}" for word, count in counts(own).items()),
                "report": there.report,
                "arguments": there.arguments,
            }
        )
    return rows


def _listed(history: StudyHistory, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The judged runs of a study as the template lists them, the newest first."""
    caption = f"{many(len(runs), 'judged run')} of {history.study}, the newest first"
    return {
        "name": history.study,
        "caption": caption,
        "versions": "packages" if history.is_suite else "torch",
        "runs": runs[::-1],
    }


def _settings(parts: Iterable[tuple[pd.DataFrame, pd.DataFrame]], changes: Iterable[Change]) -> dict[str, Any]:
    """The settings of the page's script, besides the rows. The page opens at the newest change, if there is one."""
    first = next((line.address for change in changes for line in change.lines), "")
    methods = {method for history, _ in parts for method in history["method"]}
    return {"explorer": trend_frame(), "gravity": ORDER, "first": first, **colours(methods)}
