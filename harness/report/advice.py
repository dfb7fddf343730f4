"""Which method to use: the answer of a run as one piece of advice for each use.

A use is a shape (in studies that have shapes) and a phase that somebody needs: the values, their gradient, or the whole
of topk(W x). Native is the answer unless another method is surely faster, and fast enough to be worth a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.conditions import Condition, conditions, listed, ordered, union, words
from harness.tables import first_clock
from harness.verdicts.fastest import BASE, FASTEST, SHARED, UNRANKED, WORTH
from harness.verdicts.wording import axes_of
from harness.vocabulary import SHAPE

NEEDS = ("forward", "step", "pipeline", "backward")
"""The phases that get advice, in the order of their importance: nobody chooses a method for its backward alone."""

FIRST_AXES = ("dtype", "n", "k", "rows", "d")
"""The axes that are named first in a condition; the others follow in their own order."""

SIZES = ("n", "k", "rows", "d")

SEED = "seed"
"""No condition names this axis: who asks which method to take has other numbers than those that a seed draws."""

MOST_CHOICES = 3
"""One piece of advice names at most this many choices; the look-up shows the rest."""


@dataclass(frozen=True)
class Choice:
    """A method other than native that is the answer in some cases.

    where: the condition on the axes, '' for everywhere; gain: the least and the largest speed-up over native there;
    cases: how many it covers that no earlier choice does.
    """

    method: str
    where: str
    gain: tuple[float, float]
    cases: int


@dataclass(frozen=True)
class Advice:
    """Which methods to use for one use: `choices`, and native otherwise.

    shape: the names of its shape and its device, each only if several were measured; sizes: its n, k, rows and d in
    words; need: a phase; cases: how many were compared; left: in how many of them the answer is another method than
    native and no choice names it; unranked: how many further cases have too few launches for an answer.
    """

    shape: str
    sizes: str
    need: str
    cases: int
    choices: tuple[Choice, ...]
    left: int
    unranked: int

    @property
    def native(self) -> int:
        """In how many cases native is the answer."""
        return self.cases - self.left - sum(choice.cases for choice in self.choices)


def advice(standings: pd.DataFrame) -> Iterator[Advice]:
    """The advice for every use, in the order of the study. standings: the table of verdicts.fastest.standings()."""
    rows = first_clock(standings)
    rows = rows[rows.groupby(["case", "phase"])["method"].transform("size") > 1]  # one method alone has no rival
    axes = axes_of(dict.fromkeys(rows), "phase")
    by = [name for name in (SHAPE, "device") if name in axes and rows[name].nunique() > 1]
    rest = [*FIRST_AXES, *(name for name in axes if name not in (*FIRST_AXES, *by, SEED))]
    for key, of_shape in rows.groupby(by, sort=False) if by else [((), rows)]:
        for phase in (need for need in NEEDS if need in set(of_shape["phase"])):
            of_phase = of_shape[of_shape["phase"] == phase]
            yield _advice(", ".join(map(str, key)), _sizes(of_shape), phase, of_phase, rest)


def _sizes(rows: pd.DataFrame) -> str:
    return ", ".join(f"{name} = {listed(ordered(name, set(rows[name])))}" for name in SIZES if rows[name].any())


def _advice(shape: str, sizes: str, phase: str, rows: pd.DataFrame, axes: Sequence[str]) -> Advice:
    """The advice for one use. The choices are found greedily: the next one covers the most cases not yet covered."""
    ranked = rows[rows["standing"] != UNRANKED]
    ranked = ranked[ranked.groupby("case")["method"].transform("size") > 1]
    cases = ranked.drop_duplicates("case")[["case", *axes]].reset_index(drop=True)
    gains = _gains(ranked, cases)
    right = {method: union(1 << place for place in places) for method, places in gains.items()}
    unnamed = union(right.values())
    possible = conditions(cases, axes) if unnamed else []
    choices: list[Choice] = []
    while len(choices) < MOST_CHOICES and (found := _widest(right, possible, unnamed)):
        method, condition = found
        speedups = [gain for place, gain in gains[method].items() if condition.cases >> place & 1]
        new = (condition.cases & unnamed).bit_count()
        choices.append(Choice(method, words(condition, cases), (min(speedups), max(speedups)), new))
        unnamed &= ~condition.cases
    unranked = rows["case"].nunique() - len(cases)
    return Advice(shape, sizes, phase, len(cases), tuple(choices), unnamed.bit_count(), unranked)


def _gains(rows: pd.DataFrame, cases: pd.DataFrame) -> dict[str, dict[int, float]]:
    """method other than native -> place in `cases` of each case in which it is an answer -> its speed-up there."""
    place = {case: number for number, case in enumerate(cases["case"])}
    answers = rows["standing"].isin((FASTEST, SHARED)) & (rows["speedup"] >= WORTH) & (rows["method"] != BASE)
    gains: dict[str, dict[int, float]] = {}
    for row in rows.loc[answers, ["method", "case", "speedup"]].itertuples():
        gains.setdefault(str(row.method), {})[place[row.case]] = float(row.speedup)  # type: ignore[arg-type]
    return gains


def _widest(right: Mapping[str, int], possible: list[Condition], unnamed: int) -> tuple[str, Condition] | None:
    """The method and the condition that cover the most unnamed cases, or None if no condition covers any.

    The method must be right in all cases of the condition. Of several that cover equally many the condition on the
    fewest axes wins.
    """
    best: tuple[Any, ...] = ()
    for method, right_cases in right.items():
        for condition in possible:
            new = (condition.cases & unnamed).bit_count()
            if new and not condition.cases & ~right_cases:
                score = (new, -len(condition.values), condition.cases.bit_count())
                if not best or score > best[0]:
                    best = (score, method, condition)
    return best[1:] if best else None
