"""The two sets of launches of a duel: which cases each of them measures, and when it ends.

This module does not know what a case is: cells of a study, or a test of a suite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.session.progress import progress_bar
from harness.verdicts.judge import FEWEST_LAUNCHES

if TYPE_CHECKING:
    import pandas as pd

LOOKS = (12, 16, 20, 26, 32, 40, 50)
"""Numbers of launches after which a duel checks whether it needs more; at least 12. The check looks only at the spread
of the quantities, never at an effect. A set can therefore end because a spread happens to be small, which costs little:
a true change of exactly the tolerance is `same` in under 5 % of duels, all looks included
(tests/acceptance/verdicts.py).
"""

LATER_LOOKS = (64, 80, 100, 128, 160, 200, 256, 320, 400, 512)
"""Further looks of a duel that goes on until it is decided."""

SHARE_OF_FIRST = 0.6
"""Share of the budget that the first set may use, once it has enough launches to decide. The second set measures only
the cases in which something was found, usually one of several, so its launches are shorter."""

UNLIMITED = float("inf")


def _never(done: int, seconds: float) -> bool:
    return False


@dataclass
class Sets:
    """Runs launch after launch over the same cases.

    cases: (case, its cells), measured in this order; every case has an `id`.
    least: the fewest launches of a first set.
    budget: seconds for both sets; the second set gets its FEWEST_LAUNCHES even after they are used up.
    renew(): starts a launch, with fresh workers.
    measure(launch, cases, number): measures the case with this number in a launch.
    label(launch, case): the text of the progress bar.
    judged(launches): a row `case settled found` for each quantity, judged from these launches.
    looks: numbers of launches to use instead of LOOKS.
    gives_up(done, seconds): whether the `done` launches of the first set, which took these seconds, show that more of
    them will decide nothing; the set then ends at its first look.
    """

    cases: Sequence[tuple[Any, Any]]
    least: int
    budget: float
    renew: Callable[[], None]
    measure: Callable[[int, Sequence[tuple[Any, Any]], int], None]
    label: Callable[[int, Any], str]
    judged: Callable[[Sequence[int]], pd.DataFrame]
    looks: Sequence[int] | None = None
    gives_up: Callable[[int, float], bool] = _never

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.launch = 0
        """Number of the current launch, counted over both sets, from 1."""

    def both(self) -> tuple[list[int], list[int]]:
        """Run a first set, and a second one that has to confirm what the first found, over only the cases with a
        finding.

        Returns the numbers of the launches of each; the second list is empty if nothing was found.
        """
        first = self.one(self.cases, self._first_ends, partial(next_look, least=self.least, looks=self.looks))
        judged = self.judged(first)
        doubtful = set(judged.loc[judged["found"], "case"])
        again = [each for each in self.cases if each[0].id in doubtful]
        ends = partial(self._second_ends, first=len(first))
        return first, self.one(again, ends, lambda _: len(first)) if again else []

    def one(
        self, cases: Sequence[tuple[Any, Any]], ended: Callable[[int], bool], expected: Callable[[int], int]
    ) -> list[int]:
        """Run launches over these cases until ended(done), and return their numbers.

        done: how many there have been; expected(done): how many there will be as far as is known, from which the
        progress bar takes the remaining time.
        """
        done: list[int] = []
        with progress_bar(0) as progress:
            while not ended(len(done)):
                progress.total = expected(len(done)) * len(cases)
                self.launch += 1
                self.renew()
                for number, (case, _) in enumerate(cases):
                    progress.set_postfix_str(self.label(self.launch, case))
                    self.measure(self.launch, cases, number)
                    progress.update()
                done.append(self.launch)
        return done

    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - self._spent()

    def _spent(self) -> float:
        return time.monotonic() - self.begun

    def _first_ends(self, done: int) -> bool:
        """Whether the first set ends: no more launches are needed, or its share of the budget is used up."""
        # Fewer than FEWEST_LAUNCHES decide nothing, so the first ones may use the whole budget.
        reserved = self.budget * (1 - SHARE_OF_FIRST) if done >= FEWEST_LAUNCHES else 0.0
        if done and self.left() < reserved:
            return True
        if self.gives_up(done, self._spent()) and done >= max(self.least, LOOKS[0]):
            return True
        return enough(done, self.least, lambda: self.judged(range(1, done + 1)), self.looks)

    def _second_ends(self, done: int, first: int) -> bool:
        """Whether the second set ends: after as many launches as the first set had, or, once the budget is used up,
        after the fewest that can decide."""
        return done >= first or (done >= FEWEST_LAUNCHES and self.left() <= 0)


def next_look(done: int, least: int, looks: Sequence[int] | None = None) -> int:
    """The number of launches of the next look after `done`, or `done` after the last look; least: the study's own
    number of launches."""
    looks = looks or LOOKS
    first = max(least, looks[0])
    return min((look for look in (first, *looks) if look > done and look >= first), default=done)


def enough(done: int, least: int, judge_so_far: Callable[[], pd.DataFrame], looks: Sequence[int] | None = None) -> bool:
    """Whether a first set of `done` launches needs no more: this is the last look, or a look at which the spread of
    every quantity is small enough. judge_so_far: judges the launches so far; called at looks only."""
    if done != next_look(done - 1, least, looks):
        return False
    return next_look(done, least, looks) == done or bool(judge_so_far()["settled"].all())
