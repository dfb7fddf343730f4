"""Verdicts on counts of instructions, and what they say about times that are undecided.

Counts need no statistics: two counts of equal code differ by less than 0.3 %, whatever else the machine does
(tests/acceptance/counts.py). So no interval is estimated. Every count of the head is compared with every count of the
base, and a verdict stands only if all of these ratios agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.verdicts.changes import QUANTITY
from harness.verdicts.judge import UNSURE, change_in_percent
from harness.verdicts.ratios import PHASE_OF_CELL

INSTRUCTIONS = "instructions"

FLOOR = 200.0
"""Instructions per call: a smaller difference never matters. This many take about 50 ns, which is TIME_FLOOR."""

BY_COUNTS = "by their instructions: "
"""Begins what the reason of an undecided time says about its count."""


def judge_counts(base: pd.DataFrame, head: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """The columns of verdicts.csv for every phase that was counted on both sides. base, head: rows of instructions.csv.

    low and high are the smallest and the largest ratio of a count of the head to one of the base. A phase has `more`
    instructions if even the smallest ratio is beyond the tolerance, `fewer` if even the largest is, and is the `same`
    if both are within it, or if all counts are within the floor of each other. launches: counts of the side with
    fewer; detectable: how far the counts of one side differ, relatively. If a side counted nothing, the result has
    neither rows nor columns.
    """
    if base.empty or head.empty:
        return pd.DataFrame()
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
    """Difference and ratio of a count of the head to one of the base; NaN if one is negative.

    of_head, of_base: which count, `least`, `middle` or `most`.
    """
    head, base = table[f"{of_head}_head"].astype(float), table[f"{of_base}_base"].astype(float)
    known = (head >= 0) & (base >= 0)
    return (head - base).where(known), (head / base).where(head != base, 1.0).where(known)


def _ranges(counted: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Per phase of a cell: least, middle, most (NaN if any count is NaN) and number of its counts."""
    counts = counted.groupby(key, sort=False)["instructions"]
    known = counts.count() == counts.size()
    ranges = pd.DataFrame({"least": counts.min(), "middle": counts.median(), "most": counts.max()}).where(known, axis=0)
    return ranges.assign(counts=counts.size())


def _reason(row: Mapping[Any, Any]) -> str:
    if row["verdict"] != "inconclusive":
        return ""
    if not np.isfinite([row["ratio"], row["low"], row["high"]]).all():
        return "one of its counts is not a number"
    return f"{UNSURE}{change_in_percent(row)}, and counts of equal code differ by {row['detectable']:.2%} here"


def with_counts_in_reasons(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts, with the verdict on its instructions added to the reason of every undecided time."""
    counted, phases = _counted(verdicts), verdicts[PHASE_OF_CELL].itertuples(index=False, name=None)
    reasons = [
        f"{reason}; {BY_COUNTS}{_verdict_text(counted.loc[phase].to_dict())}"
        if undecided and phase in counted.index
        else reason
        for reason, undecided, phase in zip(verdicts["reason"], undecided_times(verdicts), phases, strict=True)
    ]
    return verdicts.assign(reason=reasons)


def _verdict_text(row: Mapping[Any, Any]) -> str:
    """The verdict on a count with its change, or with its reason if the change is unknown."""
    return f"{row['verdict']}, {row['reason'] if np.isnan(row['ratio']) else change_in_percent(row)}"


def decided_by_counts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts, with undecided times replaced by the verdict on their instructions: `more`, `fewer`, `same`."""
    counted = _counted(verdicts)["verdict"]
    counted = counted[counted != "inconclusive"].reindex(pd.MultiIndex.from_frame(verdicts[PHASE_OF_CELL]))
    by_counts = pd.Series(counted.to_numpy(), index=verdicts.index)
    chosen = undecided_times(verdicts) & by_counts.notna()
    return verdicts.assign(verdict=verdicts["verdict"].mask(chosen, by_counts))


def undecided_times(verdicts: pd.DataFrame) -> pd.Series:
    """A mask of the rows on times that are inconclusive."""
    return (verdicts["kind"] == "time") & (verdicts["verdict"] == "inconclusive")


def counted_more(verdicts: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The rows on counts with verdict `more`, of those phases whose times are undecided in the rows `asked`."""
    counted = verdicts[(verdicts["kind"] == INSTRUCTIONS) & (verdicts["verdict"] == "more")]
    undecided = pd.MultiIndex.from_frame(asked[undecided_times(asked)][PHASE_OF_CELL])
    return counted[pd.MultiIndex.from_frame(counted[PHASE_OF_CELL]).isin(undecided)]


def _counted(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts[verdicts["kind"] == INSTRUCTIONS].set_index(PHASE_OF_CELL)
