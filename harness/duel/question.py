"""One quantity that a duel is asked for, and from which launches on it is known on which side of a limit it lies."""

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
"""Launches after which a question is looked at before the looks of a duel: after two it is known whether a figure
varies, and one that does not is answered."""

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Question:
    """Does the head have more than half of a change that is known? The change is a row of verdicts of a duel that has
    been fought, between the same base and another head.

    Half is of the logarithm; of figures that every launch repeats it is of the difference.
    """

    change: Row

    def narrowed(self, study: Study) -> Study:
        """The study with no more phases and rounds than the question needs."""
        kind, timing = self.change["kind"], study.timing
        assert timing is not None
        of_a_phase = kind in ("time", "memory", INSTRUCTIONS)
        phases: tuple[Phase, ...] = (self.change["phase"],) if of_a_phase else study.phases
        if kind != "time":
            timing = timing.model_copy(update={"rounds": 1})
        counted = study.with_counts().instructions if self.by_counts else None
        return study.model_copy(update={"phases": phases, "timing": timing, "instructions": counted})

    @property
    def by_counts(self) -> bool:
        """Whether counts of instructions answer it, whatever the times are."""
        return bool(self.change["kind"] == INSTRUCTIONS)

    def cells(self, plan: Iterable[tuple[Case, list[Cell]]]) -> list[tuple[Case, list[Cell]]]:
        """The one cell that is asked for, with the yardsticks of its case."""
        wanted = (self.change["method"], *YARDSTICKS)
        return [
            (case, [each for each in cells if each.method in wanted])
            for case, cells in plan
            if case.id == self.change["case"]
        ]

    def looks(self, usual: Sequence[int]) -> tuple[int, ...]:
        """Launches after which it is asked whether the question is answered."""
        return tuple(sorted({*FIRST_LOOKS, *usual}))

    def row(self, verdicts: pd.DataFrame) -> Row | None:
        """What a duel found of this quantity; None where it has nothing of it."""
        same = (verdicts[IDENTITY] == [self.change[name] for name in IDENTITY]).all(axis=1)
        return next(iter(verdicts[same].to_dict("records")), None)

    def is_over(self, verdicts: pd.DataFrame) -> bool:
        """Whether more launches would change nothing: the question is answered, or this head cannot answer it."""
        return self.answer(verdicts) is not None or not _is_measured(self.row(verdicts))

    def answer(self, verdicts: pd.DataFrame) -> bool | None:
        """True: it has the change. False: it has not. None: that cannot be told, or this head does not have the
        quantity at all."""
        row = self.row(verdicts)
        if self.change["verdict"] == "lost":
            return self._is_lost(row, verdicts)
        if row is None or not _is_measured(row):
            return None
        if row["low"] == row["high"]:
            return bool(abs(row["head"] - self.change["head"]) < abs(row["head"] - self.change["base"]))
        half = math.sqrt(self.change["ratio"])
        decided = row["low"] > half or row["high"] < half  # neither where an end of the interval is not known
        few = row["launches"] < FEWEST_LAUNCHES and not self.by_counts
        if few or not decided or not math.isfinite(half):
            return None
        return bool(row["low"] > half)

    def _is_lost(self, row: Row | None, verdicts: pd.DataFrame) -> bool | None:
        """A cell that both sides have has no row of its own."""
        if row is not None:
            return {"lost": True, "inconclusive": None}.get(row["verdict"], False)
        of_the_cell = (verdicts["case"] == self.change["case"]) & (verdicts["method"] == self.change["method"])
        return False if self.change["kind"] == "cell" and of_the_cell.any() else None


def _is_measured(row: Row | None) -> bool:
    """Whether both sides have a figure."""
    return row is not None and row["verdict"] not in ("lost", "new") and not math.isnan(row["ratio"])
