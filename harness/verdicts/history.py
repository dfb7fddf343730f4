"""Appends judged runs to the history of a machine: a row for each quantity of a run, or each test of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.machine import DIRTY
from harness.tables import (
    HISTORY_FILE,
    SUITE_HISTORY_FILE,
    Run,
    SuiteRun,
    append_history,
    append_suite_history,
    history_columns,
    history_kinds,
)
from harness.verdicts.changes import IDENTITY, time_levels
from harness.verdicts.suites import CONSTANT, function_of, unlike_packages


def record(results: Path, verdicts: pd.DataFrame, base: Run, head: Run) -> Path:
    """Append a judged run to the history of its machine; returns the path of history.csv."""
    path = results / head.info["machine"]["slug"] / HISTORY_FILE
    append_history(path, history_rows(verdicts, base, head))
    return path


def history_rows(verdicts: pd.DataFrame, base: Run, head: Run) -> pd.DataFrame:
    """The rows of a judged run for history.csv: its verdicts, when it ran, both commits, and the level of the head.

    Trends are drawn from the level. For a time it is the multiple of one read of y in the same rounds, which does not
    depend on how busy the machine was; for memory and errors it is the figure itself.
    """
    levels = time_levels(head.timings).groupby(IDENTITY, sort=False)["log_level"].median()
    keys = pd.MultiIndex.from_frame(verdicts[IDENTITY])
    multiples = np.exp(levels.reindex(keys).to_numpy(dtype=float))
    rows = verdicts.assign(
        begin=head.info["begin"],
        study=head.name,
        base_commit=commit_of(base.info),
        head_commit=commit_of(head.info),
        torch=head.info.get("torch", {}).get("torch", "unknown"),
        level=np.where(verdicts["kind"] == "time", multiples, verdicts["head"]),
    )
    return rows[history_columns()]


def commit_of(info: Mapping[str, Any]) -> str:
    """The full hash of a side's commit, with -dirty at its end if there were uncommitted changes.

    The mark keeps a reader from blaming a commit for a step that came from the uncommitted changes.
    """
    return str(info.get("commit", "none")) + (DIRTY if info.get("dirty") else "")


def record_suite(results: Path, verdicts: pd.DataFrame, base: SuiteRun, head: SuiteRun) -> Path:
    """Append a duel of a suite to the history of suites of its machine; returns the path of that file."""
    path = results / head.info["machine"]["slug"] / SUITE_HISTORY_FILE
    versions = [
        f"{name} {base.info['packages'].get(name, 'not imported')} -> {head.info['packages'].get(name, 'not imported')}"
        for name in unlike_packages(base.info, head.info)
    ]
    rows = verdicts.assign(
        begin=head.info["begin"],
        study=head.path.parent.parent.name,
        base_commit=commit_of(base.info),
        head_commit=commit_of(head.info),
        packages=", ".join(versions),
    )
    append_suite_history(path, rows)
    return path


def suites_as_history(rows: pd.DataFrame) -> pd.DataFrame:
    """A history of suites with the columns of history.csv and the column `test`.

    A test becomes a case, its function the method, and the seconds of the head the level, because a suite has no read
    of y. Columns that a test has no value for are empty or 0.
    """
    described = history_kinds()
    constant = {name: "" if kind is str else 0 for name, kind in described.items() if name not in rows}
    of_a_test = {"case": rows["test"], "method": function_of(rows["test"])}
    filled = constant | of_a_test | {"torch": rows["packages"], "level": rows["head"]} | CONSTANT
    own = rows.assign(**filled)
    return own.assign(kind=own["kind"].replace({"test": "cell"}))[[*described, "test"]]
