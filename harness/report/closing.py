"""What became of each method of a run: a row a method, columns of text."""

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
    """rows: a row a method, its index, columns of text; told: what they say, in a line that stands above."""

    rows: pd.DataFrame
    told: str


def worst_launch(figures: pd.DataFrame) -> pd.DataFrame:
    """Rows of discrepancies.csv: each figure once, from the launch in which it is largest; NaN is larger than any."""
    of_one = ["case", "method", "tensor", "of", "reference", "metric"]
    return figures.sort_values("value", kind="stable").drop_duplicates(of_one, keep="last").sort_index()


def methods_tables(run: Run) -> Iterator[MethodsTable]:
    """Speed-up by size, worst errors, flips, status counts of each method; whole, then ever narrower."""
    methods = [each for each in run.cells["method"].unique() if each not in YARDSTICKS]
    errors, statuses = _errors(run), {"cells": _statuses(run)}
    speed = None if (timings := believed(run)).empty else by_size(timings)
    while True:
        columns = (dict(speed.columns) if speed else {}) | errors | statuses
        yield MethodsTable(pd.DataFrame(columns, index=methods).fillna("-"), _told(speed, errors))
        if speed is None or not speed.spare:
            return
        speed = speed.narrower()


def methods_table(run: Run) -> MethodsTable:
    """The whole of it."""
    return next(methods_tables(run))


def _told(speed: BySize | None, errors: dict[str, pd.Series]) -> str:
    """What the columns are, but for the status counts."""
    metrics = {name.partition(",")[0] for name in errors}
    summed_up = ", ".join(f"{metric}: {how} of all cells" for metric, how in SUMMED_UP.items() if metric in metrics)
    return "; ".join(filter(None, (speed.told() if speed and speed.columns else "", summed_up)))


def _statuses(run: Run) -> pd.Series:
    return run.cells.groupby("method", sort=False)["status"].agg(
        lambda each: ", ".join(f"{count} {status}" for status, count in each.value_counts().items())
    )


def _errors(run: Run) -> dict[str, pd.Series]:
    """The worst rel_l2 of each method against native and the nearest to exact, with the flips of the latter; NaN is
    the worst."""
    columns = {}
    of = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    present = set(of["reference"])
    against = ["native", *(each for each in ("exact", "original") if each in present)][:2]
    for reference in (each for each in against if each in present):
        own = of[of["reference"] == reference]
        worst = own[own["metric"] == "rel_l2"].groupby("method")["value"].agg(lambda each: np.max(each.to_numpy()))
        columns[f"rel_l2, {reference}"] = worst.map("{:.1e}".format)
        flips = own[own["metric"] == "flips"].groupby("method")["value"].agg(lambda each: np.sum(each.to_numpy()))
        if reference != "native" and not flips.empty:
            columns[f"flips, {reference}"] = flips.map("{:.0f}".format)
    return {name: column for name, column in columns.items() if not column.empty}
