"""A question that a duel answers about one quantity: does the head have more than half of a change found before?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.verdicts.changes import IDENTITY
from harness.verdicts.counts import INSTRUCTIONS
from harness.verdicts.judge import FEWEST_LAUNCHES
from harness.vocabulary import YARDSTICKS

if TYPE_CHECKING:
    import pandas as pd

    from harness.vocabulary import Phase

FIRST_LOOKS = (2, FEWEST_LAUNCHES)
"""Launches after which a question is checked, earlier than the looks of a whole duel: two launches show whether a
figure varies, and one that does not vary is answered at once."""

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Question:
    """Does the head have more than half of a known change?

    change: a row of the verdicts of an earlier duel between the same base and another head. Half is half of the log
    ratio; for figures that every launch repeats it is half of the difference.
    """

    change: Row

    def narrowed(self, study: Study) -> Study:
        """The study with only the phases and rounds that the question needs."""
        kind, timing = self.change["kind"], study.timing
        assert timing is not None
        of_a_phase = kind in ("time", "memory", INSTRUCTIONS)
        phases: tuple[Phase, ...] = (self.change["phase"],) if of_a_phase else study.phases
        if kind != "time":
            timing = timing.model_copy(update={"rounds": 1})  # a duel must time something, but the times do not matter
        counted = study.with_counts().instructions if self.by_counts else None
        return study.model_copy(update={"phases": phases, "timing": timing, "instructions": counted})

    @property
    def by_counts(self) -> bool:
        """Whether counts of instructions answer the question, so that the times do not matter."""
        return bool(self.change["kind"] == INSTRUCTIONS)

    def cells(self, plan: Iterable[tuple[Case, list[Cell]]]) -> list[tuple[Case, list[Cell]]]:
        """The cell that the question is about, with the yardsticks of its case."""
        methods = (self.change["method"], *YARDSTICKS)
        return [
            (case, [cell for cell in cells if cell.method in methods])
            for case, cells in plan
            if case.id == self.change["case"]
        ]

    def looks(self, usual: Sequence[int]) -> tuple[int, ...]:
        """The numbers of launches after which to check whether the question is answered."""
        return tuple(sorted({*FIRST_LOOKS, *usual}))

    def row(self, verdicts: pd.DataFrame) -> Row | None:
        """The verdict of a duel on this quantity, or None if the duel has none."""
        same = (verdicts[IDENTITY] == [self.change[name] for name in IDENTITY]).all(axis=1)
        return next(iter(verdicts[same].to_dict("records")), None)

    def is_over(self, verdicts: pd.DataFrame) -> bool:
        """Whether more launches are pointless: the question is answered, or this head cannot answer it."""
        return self.answer(verdicts) is not None or not _is_measured(self.row(verdicts))

    def answer(self, verdicts: pd.DataFrame) -> bool | None:
        """True: the head has the change. False: it does not. None: undecided, or the head lacks the quantity."""
        row = self.row(verdicts)
        if self.change["verdict"] == "lost":
            return self._is_lost(row, verdicts)
        if row is None or not _is_measured(row):
            return None
        if row["low"] == row["high"]:  # every launch repeats the figure: is it nearer to the changed one?
            return bool(abs(row["head"] - self.change["head"]) < abs(row["head"] - self.change["base"]))
        half = math.sqrt(self.change["ratio"])  # half of the change on a logarithmic scale
        decided = row["low"] > half or row["high"] < half  # False where an end of the interval is NaN
        few = row["launches"] < FEWEST_LAUNCHES and not self.by_counts
        if few or not decided or not math.isfinite(half):
            return None
        return bool(row["low"] > half)

    def _is_lost(self, row: Row | None, verdicts: pd.DataFrame) -> bool | None:
        """The answer where the change is a loss. A `cell` row exists only for a cell that one side lacks, so a cell
        with any other row is not lost. One that is lost with another status (it crashes, where the change made it
        unsupported) answers nothing: another commit may have done that."""
        if row is not None and row["verdict"] == "lost":
            return True if _status(row) == _status(self.change) else None
        if row is not None:
            return None if row["verdict"] == "inconclusive" else False
        of_the_cell = (verdicts["case"] == self.change["case"]) & (verdicts["method"] == self.change["method"])
        return False if self.change["kind"] == "cell" and of_the_cell.any() else None


def _status(row: Row) -> str:
    """The status with which the head lost a cell, or ''. The reason of its verdict begins with it (`absent`)."""
    return str(row["reason"]).partition(":")[0] if row["kind"] == "cell" else ""


def _is_measured(row: Row | None) -> bool:
    """Whether both sides have a figure."""
    return row is not None and row["verdict"] not in ("lost", "new") and not math.isnan(row["ratio"])
