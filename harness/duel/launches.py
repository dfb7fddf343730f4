"""The launches of a duel: how many there are, what is measured in each, and what is judged of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cells import Case, Cell
from harness.counting import Counted, count_instructions, uncounted
from harness.duel.outlook import EARLY, outlook
from harness.duel.question import Question
from harness.loading import Say
from harness.machine import utc_now
from harness.measure.case import CaseResult, CaseRunner
from harness.measure.process import Worker
from harness.measure.turn import rows_of
from harness.progress import progress_bar
from harness.runs import write_info
from harness.study import Study
from harness.sweep import at_hand
from harness.tables import BASE, HEAD, Run, RunWriter, parameter_types, read, write_sides, write_verdicts
from harness.verdicts.comparison import changes_so_far, duel_verdicts, judged_so_far, tolerances
from harness.verdicts.judge import FEWEST_LAUNCHES
from harness.verdicts.sides import side_facts

if TYPE_CHECKING:
    import pandas as pd

LOOKS = (12, 16, 20, 26, 32, 40, 50)
"""Numbers of launches after which it is asked whether more are needed, 12 at least. The answer depends on the spread of
the quantities alone, never on an effect. That a set may end because a spread happens to be small costs little: a true
change of just the tolerance is `same` in under 5 % of duels, all looks included (tests/acceptance/verdicts.py)."""

LATER_LOOKS = (64, 80, 100, 128, 160, 200, 256, 320, 400, 512)
"""The same of a duel that goes on until it is decided."""

SHARE_OF_FIRST = 0.6
"""Of the budget: what the first set may use. The second set is of the cases in which something was found, so mostly of
one of several, and each of its launches is shorter."""

LAUNCHES_WITH_ERRORS = 2
"""Errors are measured in so many launches, and where these do not agree in every launch."""

FORGOTTEN = "the base does not have it"
UNLIMITED = float("inf")


@dataclass(frozen=True)
class Duel:
    """A duel as it lies on disk: the run of each side, and the verdicts."""

    path: Path
    base: Run
    head: Run
    verdicts: pd.DataFrame


@dataclass
class Launches:
    """The launches of one duel, and where their rows go."""

    study: Study
    cases: list[tuple[Case, list[Cell]]]
    runner: CaseRunner
    writers: Sequence[RunWriter]
    folder: Path
    known: Sequence[str]
    base_only: Mapping[str, Sequence[Cell]]
    say: Say = print
    """Takes a line for the person who waits."""
    until_decided: float | None = None
    """Seconds that the duel may take in place of the study's budget, to go on where the launches of LOOKS decide
    nothing; None: the budget holds."""
    spawns: Sequence[Callable[[Path], Worker]] = ()
    """What starts a counting worker of each side."""

    def __post_init__(self) -> None:
        self.begun = time.monotonic()
        self.errors_before: dict[str, dict[tuple[int, str], str]] = {}
        self.errors_vary: set[str] = set()
        """Cases whose errors differ between launches, so that they are measured in every launch."""
        self.launch = 0
        """The number of the launch at hand, counted over both sets."""
        self.too_busy = False
        """Whether the times will not be decided at this load, and the instructions are counted instead."""

    def fight(self) -> Duel:
        """Both sets of launches, and the verdicts."""
        first = self._set_of(self.cases, self._first_set_ends, self._next_look)
        judged = self._judged(first)
        doubtful = set(judged.loc[judged["found"], "case"])
        again = [each for each in self.cases if each[0].id in doubtful]
        ends = partial(self._second_set_ends, first=len(first))
        second = self._set_of(again, ends, lambda _: len(first)) if again else []
        self._count()
        return self._ended(duel_verdicts(*self._sides(), first, second, self.study.gate))

    def answer(self, question: Question) -> Duel:
        """One set of launches, until they answer the question, the last look has been, or no time is left. A change
        that they find is not confirmed: the verdicts are those of one set."""
        looks = question.looks(LOOKS)
        latest: list[pd.DataFrame] = []

        def ended(done: int) -> bool:
            late = done >= FEWEST_LAUNCHES and self._left() <= 0
            if done in looks or late:
                latest[:] = [duel_verdicts(*self._sides(), range(1, done + 1), (), self.study.gate)]
                return late or done == looks[-1] or question.is_over(latest[0])
            return False

        self._set_of(self.cases, ended, lambda done: min(each for each in looks if each > done))
        return self._ended(latest[0])

    def _ended(self, verdicts: pd.DataFrame) -> Duel:
        """Write the verdicts, and that both runs have ended."""
        base, head = self._sides()
        write_verdicts(self.folder, verdicts, parameter_types(self.study.own_axes))
        write_sides(self.folder, {BASE: side_facts(base.info), HEAD: side_facts(head.info)})
        for name, run in ((BASE, base), (HEAD, head)):
            write_info(self.folder / name, dict(run.info) | {"end": utc_now().isoformat(timespec="seconds")})
        base, head = self._sides()
        base.check()
        head.check()
        return Duel(self.folder, base, head, verdicts)

    def _set_of(
        self, cases: list[tuple[Case, list[Cell]]], ended: Callable[[int], bool], expected: Callable[[int], int]
    ) -> list[int]:
        """Launch after launch over these cases until ended(how many); their numbers.

        expected: of so many launches, how many there will be as far as is known, for the remaining time.
        """
        done: list[int] = []
        with progress_bar(0) as progress:
            while not ended(len(done)):
                progress.total = expected(len(done)) * len(cases)
                self.launch += 1
                self.runner.renew()
                for number, (case, cells) in enumerate(cases):
                    progress.set_postfix_str(at_hand(self.launch, case))
                    self._measure(case, cells, self.launch * len(cases) + number)
                    progress.update()
                done.append(self.launch)
        return done

    def _measure(self, case: Case, cells: list[Cell], seed: int) -> None:
        first = self.launch == 1
        theirs = [
            Cell(
                case, each.method, each.predicted_bytes, each.skip or ("" if self._base_has(each.method) else FORGOTTEN)
            )
            for each in cells
        ]
        with_errors = self.launch <= LAUNCHES_WITH_ERRORS or case.id in self.errors_vary
        measure = ["errors", "memory"] if with_errors else ["memory"]
        theirs += self.base_only.get(case.id, ()) if first else ()
        results = self.runner.run(case, [theirs, cells], seed, UNLIMITED, measure=measure)
        machine = self.folder.parent.parent.name
        for writer, result in zip(self.writers, results, strict=True):
            writer.commit(rows_of(case, case.id, self.launch, machine, result))
        if self.launch <= LAUNCHES_WITH_ERRORS:
            self._compare_errors(case, results)

    def _compare_errors(self, case: Case, results: Sequence[CaseResult]) -> None:
        """Remember the errors of a case, or note that they are not those of the launch before."""
        errors = {(each.side, each.cell.method): repr(each.figures) for side in results for each in side.cells}
        before = self.errors_before.setdefault(case.id, errors)  # as text: NaN is not equal to itself
        if any(errors[one] != before[one] for one in errors.keys() & before.keys()):
            self.errors_vary.add(case.id)

    def _base_has(self, method: str) -> bool:
        return ":" in method or method in self.known

    def _first_set_ends(self, done: int) -> bool:
        """When no launch is needed any more, or no time is left."""
        budget = self._budget()
        if done and self._left() < budget * (1 - SHARE_OF_FIRST):
            return True
        if done == EARLY:
            self._look_ahead(done)
        if self.too_busy and done >= max(self.study.launches, LOOKS[0]):
            return True
        return enough(done, self.study.launches, lambda: self._judged(range(1, done + 1)), self._looks())

    def _next_look(self, done: int) -> int:
        return next_look(done, self.study.launches, self._looks())

    def _look_ahead(self, done: int) -> None:
        """Say what the duel takes at this load, where that is more than it has."""
        seconds, gate = time.monotonic() - self.begun, self.study.gate
        found = outlook(changes_so_far(*self._sides(), range(1, done + 1)), tolerances(gate), seconds, SHARE_OF_FIRST)
        counted = self.study.instructions is not None and self.until_decided is None
        option = "--until-decided" if self.until_decided is None else ""
        if line := found.told(self._budget(), counted, option):
            self.say(line)
            self.too_busy = counted

    def _count(self) -> None:
        """Count the instructions of both sides, where the study or the command asks for it."""
        if self.study.instructions is None:
            return
        self.runner.rest()
        sides = [Counted(spawn, run) for spawn, run in zip(self.spawns, self._sides(), strict=True)]
        counted = count_instructions(self.study, self.cases, sides)
        for name, writer, rows in zip((BASE, HEAD), self.writers, counted, strict=True):
            writer.write_whole("instructions", rows)
            if line := uncounted(rows):
                self.say(f"{name}: {line}")

    def _second_set_ends(self, done: int, first: int) -> bool:
        """As many launches as the first set had; when the budget ends, still as many as can decide."""
        return done >= first or (done >= FEWEST_LAUNCHES and self._left() <= 0)

    def _judged(self, launches: Sequence[int]) -> pd.DataFrame:
        """What varies between these launches, judged and not yet confirmed."""
        return judged_so_far(*self._sides(), launches, self.study.gate)

    def _left(self) -> float:
        return self._budget() - (time.monotonic() - self.begun)

    def _budget(self) -> float:
        """Seconds of the whole duel."""
        budget = self.study.total_budget if self.until_decided is None else self.until_decided
        return UNLIMITED if budget is None else budget

    def _looks(self) -> Sequence[int]:
        return LOOKS if self.until_decided is None else (*LOOKS, *LATER_LOOKS)

    def _sides(self) -> tuple[Run, Run]:
        """Both runs, read anew."""
        return read(self.folder / BASE), read(self.folder / HEAD)


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
