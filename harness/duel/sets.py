"""The sets of launches of a duel: how many launches each has, what is measured in each, and when it ends.

What is measured is not known here: the cells of a study, or the tests of a suite.
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
"""Numbers of launches after which it is asked whether more are needed, 12 at least. The answer depends on the spread of
the quantities alone, never on an effect. That a set may end because a spread happens to be small costs little: a true
change of just the tolerance is `same` in under 5 % of duels, all looks included (tests/acceptance/verdicts.py)."""

LATER_LOOKS = (64, 80, 100, 128, 160, 200, 256, 320, 400, 512)
"""The same of a duel that goes on until it is decided."""

SHARE_OF_FIRST = 0.6
"""Of the budget: what the first set may use, once it can decide. The second set is of the cases in which something was
found, so mostly of one of several, and each of its launches is shorter."""

UNLIMITED = float("inf")


def _never(done: int, seconds: float) -> bool:
    return False


@dataclass
class Sets:
    """Launch after launch over the same cases.

    cases: (case, its cells), measured in this order; every case has an `id`. least: the fewest launches of a first set;
    budget: seconds for all sets; a second set has its FEWEST_LAUNCHES even when they are used up. renew: begins a
    launch; measure(launch, cases, number): measures one of these cases in it; told(launch, case): what is measured now,
    in the words of a bar. judged(launches): what these launches say of each quantity, a row of `case settled found`.
    looks: other numbers of launches than LOOKS. gives_up(done, seconds): whether so many launches of the first set,
    which took these seconds, show that no more of them will decide; it ends at the first look then.
    """

    cases: Sequence[tuple[Any, Any]]
    least: int
    budget: float
    renew: Callable[[], None]
    measure: Callable[[int, Sequence[tuple[Any, Any]], int], None]
    told: Callable[[int, Any], str]
    judged: Callable[[Sequence[int]], pd.DataFrame]
    looks: Sequence[int] | None = None
    gives_up: Callable[[int, float], bool] = _never

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.launch = 0
        """The number of the launch at hand, counted over all sets."""

    def both(self) -> tuple[list[int], list[int]]:
        """The numbers of the launches of a first set, and of a second one that is to confirm what the first found; it
        measures only the cases of that, and is empty where nothing was found."""
        first = self.one(self.cases, self._first_ends, partial(next_look, least=self.least, looks=self.looks))
        found = self.judged(first)
        doubtful = set(found.loc[found["found"], "case"])
        again = [each for each in self.cases if each[0].id in doubtful]
        ends = partial(self._second_ends, first=len(first))
        return first, self.one(again, ends, lambda _: len(first)) if again else []

    def one(
        self, cases: Sequence[tuple[Any, Any]], ended: Callable[[int], bool], expected: Callable[[int], int]
    ) -> list[int]:
        """Launch after launch over these cases until ended(how many); their numbers.

        expected: of so many launches, how many there will be as far as is known, for the remaining time.
        """
        done: list[int] = []
        with progress_bar(0) as progress:
            while not ended(len(done)):
                progress.total = expected(len(done)) * len(cases)
                self.launch += 1
                self.renew()
                for number, (case, _) in enumerate(cases):
                    progress.set_postfix_str(self.told(self.launch, case))
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
        """When no launch is needed any more, or no time is left: fewer than FEWEST_LAUNCHES decide nothing, so these
        may take the whole budget."""
        kept = self.budget * (1 - SHARE_OF_FIRST) if done >= FEWEST_LAUNCHES else 0.0
        if done and self.left() < kept:
            return True
        if self.gives_up(done, self._spent()) and done >= max(self.least, LOOKS[0]):
            return True
        return enough(done, self.least, lambda: self.judged(range(1, done + 1)), self.looks)

    def _second_ends(self, done: int, first: int) -> bool:
        """As many launches as the first set had; when the budget ends, still as many as can decide."""
        return done >= first or (done >= FEWEST_LAUNCHES and self.left() <= 0)


def next_look(done: int, least: int, looks: Sequence[int] | None = None) -> int:
    """After how many launches it is asked next whether they are enough; `least`: as many as the study wants."""
    looks = looks or LOOKS
    first = max(least, looks[0])
    return min((look for look in (first, *looks) if look > done and look >= first), default=done)


def enough(done: int, least: int, judge_so_far: Callable[[], pd.DataFrame], looks: Sequence[int] | None = None) -> bool:
    """Whether a first set of launches needs no more: at a look at which the spread of every quantity is small enough,
    or after the last look. judge_so_far: what `judge` says of the launches until now, asked at looks only."""
    if done != next_look(done - 1, least, looks):
        return False
    return next_look(done, least, looks) == done or bool(judge_so_far()["settled"].all())
