"""The closing table of a run: a row for each method, with columns of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.report.sizes import BySize, by_size
from harness.tables import Run
from harness.verdicts.plausible import believed
from harness.vocabulary import YARDSTICKS

SUMMED_UP = {"rel_l2": "worst", "flips": "sum"}


@dataclass(frozen=True)
class MethodsTable:
    """rows: a row for each method (the index), with columns of text; heading: a line that explains the columns."""

    rows: pd.DataFrame
    heading: str


def worst_launch(figures: pd.DataFrame) -> pd.DataFrame:
    """Rows of discrepancies.csv with each figure once, from the launch in which it is largest; NaN counts as
    largest."""
    key = ["case", "method", "tensor", "of", "reference", "metric"]
    return figures.sort_values("value", kind="stable").drop_duplicates(key, keep="last").sort_index()


def methods_tables(run: Run) -> Iterator[MethodsTable]:
    """Speed-up by size, worst errors, flips and status counts of each method: the whole table, then ever narrower
    ones."""
    methods = [method for method in run.cells["method"].unique() if method not in YARDSTICKS]
    errors, statuses = _errors(run), {"cells": _statuses(run)}
    speed = None if (timings := believed(run)).empty else by_size(timings)
    while True:
        columns = (dict(speed.columns) if speed else {}) | errors | statuses
        yield MethodsTable(pd.DataFrame(columns, index=methods).fillna("-"), _heading(speed, errors))
        if speed is None or not speed.spare:
            return
        speed = speed.narrower()


def methods_table(run: Run) -> MethodsTable:
    """The whole table."""
    return next(methods_tables(run))


def _heading(speed: BySize | None, errors: dict[str, pd.Series]) -> str:
    """What the columns are, except the status counts, which explain themselves."""
    metrics = {name.partition(",")[0] for name in errors}
    summed_up = ", ".join(f"{metric}: {how} of all cells" for metric, how in SUMMED_UP.items() if metric in metrics)
    return "; ".join(filter(None, (speed.heading() if speed and speed.columns else "", summed_up)))


def _statuses(run: Run) -> pd.Series:
    return run.cells.groupby("method", sort=False)["status"].agg(
        lambda statuses: ", ".join(f"{count} {status}" for status, count in statuses.value_counts().items())
    )


def _errors(run: Run) -> dict[str, pd.Series]:
    """The worst rel_l2 of each method against native and against exact (or else original), with the flips against the
    latter. NaN counts as the worst."""
    columns = {}
    errors = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    present = set(errors["reference"])
    present -= {"original"} if "exact" in present else set()
    for reference in (name for name in ("native", "exact", "original") if name in present):
        own = errors[errors["reference"] == reference]
        # NumPy's max and sum, unlike pandas', are NaN if one value is NaN.
        worst = own[own["metric"] == "rel_l2"].groupby("method")["value"].agg(lambda each: np.max(each.to_numpy()))
        columns[f"rel_l2, {reference}"] = worst.map("{:.1e}".format)
        flips = own[own["metric"] == "flips"].groupby("method")["value"].agg(lambda each: np.sum(each.to_numpy()))
        if reference != "native" and not flips.empty:
            columns[f"flips, {reference}"] = flips.map("{:.0f}".format)
    return {name: column for name, column in columns.items() if not column.empty}
