"""Verdicts on counts of instructions, and what they say of times that are undecided.

A count has no distribution over launches: two counts of equal code differ by under 0.3 %, whatever else the machine
does (tests/acceptance/counts.py). So no interval is estimated: each count of the head is held against each count of the
base, and a verdict stands only where all of these ratios agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.verdicts.changes import QUANTITY
from harness.verdicts.judge import change_in_percent

INSTRUCTIONS = "instructions"

OF = ["case", "method", "phase"]
"""What a count and a time have in common that belong together."""

FLOOR = 200.0
"""Instructions a call: a smaller difference is none, whatever the ratio. So many take about 50 ns, as in TIME_FLOOR."""

TOLD = "by their instructions: "
"""How the words begin that an undecided time has from its count."""


def judge_counts(base: pd.DataFrame, head: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Per phase that was counted on both sides, of rows of instructions.csv: the columns of verdicts.csv.

    low and high are the smallest and the largest ratio of a count of the head to one of the base. A phase has `more`
    instructions where even the smallest is beyond the tolerance, `fewer` where even the largest is, and is the `same`
    where both are within it, or the counts within the floor of each other. `launches`: counts of the side with fewer;
    detectable: how far counts of one side differ.
    """
    key = [*head.columns[: head.columns.get_loc("launch")]]
    one, two = (_ranges(side[side["status"] == "ok"], key) for side in (base, head))
    table = one.merge(two, left_index=True, right_index=True, suffixes=("_base", "_head")).reset_index()
    quantity = {"kind": INSTRUCTIONS, "clock": "", "tensor": "", "reference": "", "metric": ""}
    table = table.assign(base=table["middle_base"], head=table["middle_head"], **quantity)
    (least, low), (most, high) = (_growth(table, *ends) for ends in (("least", "most"), ("most", "least")))
    within = (low >= 1 / (1 + tolerance)) & (high <= 1 + tolerance)
    alike = (abs(least) <= FLOOR) & (abs(most) <= FLOOR)
    more, fewer = (low > 1 + tolerance) & (least > FLOOR), (high < 1 / (1 + tolerance)) & (most < -FLOOR)
    known = low.notna() & high.notna()
    verdict = np.select(
        [~known, more, fewer, within | alike], ["inconclusive", "more", "fewer", "same"], "inconclusive"
    )
    _, ratio = _growth(table, "middle", "middle")
    spread = np.max([table[f"most_{side}"] / table[f"least_{side}"] - 1 for side in ("base", "head")], axis=0)
    table = table.assign(ratio=ratio, low=low, high=high, detectable=spread, verdict=verdict)
    table["launches"] = table[["counts_base", "counts_head"]].min(axis=1).astype(int)
    table["reason"] = [_reason(row) for row in table.to_dict("records")]
    figures = ["base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason"]
    return table[[*(name for name in key if name != "phase"), *QUANTITY, *figures]]


def _growth(table: pd.DataFrame, of_head: str, of_base: str) -> tuple[pd.Series, pd.Series]:
    """The difference and the ratio of one count of the head to one of the base; a count that is negative has none."""
    head, base = table[f"{of_head}_head"].astype(float), table[f"{of_base}_base"].astype(float)
    known = (head >= 0) & (base >= 0)
    return (head - base).where(known), (head / base).where(head != base, 1.0).where(known)


def _ranges(counted: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Per phase of a cell: least, middle, most and number of its counts; NaN where one of them is."""
    counts = counted.groupby(key, sort=False)["instructions"]
    known = counts.count() == counts.size()
    ranges = pd.DataFrame({"least": counts.min(), "middle": counts.median(), "most": counts.max()}).where(known, axis=0)
    return ranges.assign(counts=counts.size())


def _reason(row: Mapping[Any, Any]) -> str:
    if row["verdict"] != "inconclusive":
        return ""
    if not np.isfinite([row["ratio"], row["low"], row["high"]]).all():
        return "a count of it is no number"
    return f"between: {change_in_percent(row)}, and counts of equal code differ by {row['detectable']:.2%} here"


def with_counts_told(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts, where the reason of each undecided time ends with what its instructions say."""
    counted, cells = _counted(verdicts), verdicts[OF].itertuples(index=False, name=None)
    reasons = [
        f"{reason}; {TOLD}{counted.loc[cell, 'verdict']}, {change_in_percent(counted.loc[cell].to_dict())}"
        if undecided and cell in counted.index
        else reason
        for reason, undecided, cell in zip(verdicts["reason"], undecided_times(verdicts), cells, strict=True)
    ]
    return verdicts.assign(reason=reasons)


def decided_by_counts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts, where each undecided time has that of its instructions: `more`, `fewer` or the `same`."""
    counted = _counted(verdicts)["verdict"]
    counted = counted[counted != "inconclusive"].reindex(pd.MultiIndex.from_frame(verdicts[OF]))
    by_counts = pd.Series(counted.to_numpy(), index=verdicts.index)
    chosen = undecided_times(verdicts) & by_counts.notna()
    return verdicts.assign(verdict=verdicts["verdict"].mask(chosen, by_counts))


def undecided_times(verdicts: pd.DataFrame) -> pd.Series:
    """Which rows are times that were not decided."""
    return (verdicts["kind"] == "time") & (verdicts["verdict"] == "inconclusive")


def counted_more(verdicts: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The rows of counts that are `more` of those phases whose times are among the rows `asked`, and undecided."""
    counted = verdicts[(verdicts["kind"] == INSTRUCTIONS) & (verdicts["verdict"] == "more")]
    undecided = pd.MultiIndex.from_frame(asked[undecided_times(asked)][OF])
    return counted[pd.MultiIndex.from_frame(counted[OF]).isin(undecided)]


def _counted(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts[verdicts["kind"] == INSTRUCTIONS].set_index(OF)
