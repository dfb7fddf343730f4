"""What to take: the answer of a run, one piece of advice for each use.

A use is a shape of the study, where it has shapes, and what somebody needs of it: the values, their gradient, or all of
topk(W x). Native is the answer unless another method is surely faster, and by enough to be worth it.
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
"""Phases in the order in which people ask for them: nobody takes a method for its backward alone."""

FIRST_AXES = ("dtype", "n", "k", "rows", "d")
"""Named first in a condition; the other axes follow in their order."""

SIZES = ("n", "k", "rows", "d")

MOST_CHOICES = 3
"""Of one piece of advice: more than these are left to the look-up."""


@dataclass(frozen=True)
class Choice:
    """A method other than native; where to take it, '' for everywhere; the least and the largest speed-up over native
    there; and in how many cases that no earlier choice names."""

    method: str
    where: str
    gain: tuple[float, float]
    cases: int


@dataclass(frozen=True)
class Advice:
    """What to take for one use: `choices`, and native otherwise.

    shape: the names of its shape and its device, as far as several were measured, or ''; sizes: its n, k, rows and d in
    words; need: a phase; cases: how many were compared; left: in how many of them another method than native is the
    answer and no choice names it; unranked: how many more cases have too few launches for an answer.
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
        return self.cases - self.left - sum(each.cases for each in self.choices)


def advice(standings: pd.DataFrame) -> Iterator[Advice]:
    """The advice for every use, in the order of the study. standings: what verdicts.fastest.standings() returns."""
    rows = first_clock(standings)
    rows = rows[rows.groupby(["case", "phase"])["method"].transform("size") > 1]
    axes = axes_of(dict.fromkeys(rows), "phase")
    by = [name for name in (SHAPE, "device") if name in axes and rows[name].nunique() > 1]
    rest = [*FIRST_AXES, *(name for name in axes if name not in (*FIRST_AXES, *by))]
    for key, here in rows.groupby(by, sort=False) if by else [((), rows)]:
        for phase in (each for each in NEEDS if each in set(here["phase"])):
            mine = here[here["phase"] == phase]
            yield _advice(", ".join(map(str, key)), _sizes(here), phase, mine, rest)


def _sizes(rows: pd.DataFrame) -> str:
    return ", ".join(f"{name} = {listed(ordered(name, set(rows[name])))}" for name in SIZES if rows[name].any())


def _advice(shape: str, sizes: str, phase: str, rows: pd.DataFrame, axes: Sequence[str]) -> Advice:
    """The choices of one use: each time the one that names the most cases that are not named yet."""
    ranked = rows[rows["standing"] != UNRANKED]
    ranked = ranked[ranked.groupby("case")["method"].transform("size") > 1]
    every, rows = rows["case"].nunique(), ranked
    cases = rows.drop_duplicates("case")[["case", *axes]].reset_index(drop=True)
    gains = _gains(rows, cases)
    right = {method: union(1 << place for place in mine) for method, mine in gains.items()}
    unnamed = union(right.values())
    possible = conditions(cases, axes) if unnamed else []
    choices: list[Choice] = []
    while len(choices) < MOST_CHOICES and (found := _widest(right, possible, unnamed)):
        method, condition = found
        speedups = [gain for place, gain in gains[method].items() if condition.cases >> place & 1]
        new = (condition.cases & unnamed).bit_count()
        choices.append(Choice(method, words(condition, cases), (min(speedups), max(speedups)), new))
        unnamed &= ~condition.cases
    return Advice(shape, sizes, phase, len(cases), tuple(choices), unnamed.bit_count(), every - len(cases))


def _gains(rows: pd.DataFrame, cases: pd.DataFrame) -> dict[str, dict[int, float]]:
    """method -> place of each case in which it is an answer, native is not -> its speed-up there."""
    place = {case: number for number, case in enumerate(cases["case"])}
    answers = rows["standing"].isin((FASTEST, SHARED)) & (rows["speedup"] >= WORTH) & (rows["method"] != BASE)
    gains: dict[str, dict[int, float]] = {}
    for row in rows.loc[answers, ["method", "case", "speedup"]].itertuples():
        gains.setdefault(str(row.method), {})[place[row.case]] = float(row.speedup)  # type: ignore[arg-type]
    return gains


def _widest(right: Mapping[str, int], possible: list[Condition], unnamed: int) -> tuple[str, Condition] | None:
    """The method and the condition, in all of whose cases the method is right, that name the most new cases; of equal
    ones that on the fewest axes."""
    best: tuple[Any, ...] = ()
    for method, mine in right.items():
        for condition in possible:
            new = (condition.cases & unnamed).bit_count()
            if new and not condition.cases & ~mine:
                score = (new, -len(condition.values), condition.cases.bit_count())
                if not best or score > best[0]:
                    best = (score, method, condition)
    return best[1:] if best else None
