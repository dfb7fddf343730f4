"""What became of each method of a run: a row a method, columns of text."""

from __future__ import annotations

import pandas as pd

from harness.tables import Run
from harness.verdicts.ratios import speedups
from harness.vocabulary import YARDSTICKS


def methods_table(run: Run) -> pd.DataFrame:
    """Status counts, speed over native with its range over cases, errors, flips; the index is the method."""
    methods = [each for each in run.cells["method"].unique() if each not in YARDSTICKS]
    columns = {"cells": _statuses(run)} | _speed(run) | _errors(run)
    return pd.DataFrame(columns, index=methods).fillna("-")


def _statuses(run: Run) -> pd.Series:
    return run.cells.groupby("method", sort=False)["status"].agg(
        lambda each: ", ".join(f"{count} {status}" for status, count in each.value_counts().items())
    )


def _speed(run: Run) -> dict[str, pd.Series]:
    if run.timings.empty:
        return {}
    found = speedups(run.timings)
    found = found[(found["method"] != "native") & ~found["method"].isin(YARDSTICKS)]

    def spread(each: pd.Series) -> str:
        low, middle, high = each.quantile([0.0, 0.5, 1.0])
        return f"{middle:.2g}x ({low:.2g}..{high:.2g})"

    chosen = [phase for phase in ("forward", "backward", "pipeline") if phase in set(found["phase"])]
    return {
        f"{phase} vs native": found[found["phase"] == phase].groupby("method")["speedup"].agg(spread)
        for phase in chosen
    }


def _errors(run: Run) -> dict[str, pd.Series]:
    rows = run.discrepancies
    columns = {}
    of = rows[rows["of"] == "method"]
    present = set(of["reference"])
    against = ["native", *(each for each in ("exact", "original") if each in present)][:2]
    for reference in (each for each in against if each in present):
        own = of[of["reference"] == reference]
        worst = own[own["metric"] == "rel_l2"].groupby("method")["value"].max()
        columns[f"worst rel_l2, {reference}"] = worst.map("{:.1e}".format)
        flips = own[own["metric"] == "flips"].groupby("method")["value"].sum()
        if reference != "native" and not flips.empty:
            columns[f"flips, {reference}"] = flips.map("{:.0f}".format)
    return {name: column for name, column in columns.items() if not column.empty}
