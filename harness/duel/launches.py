"""The launches of a duel of a study: what each launch measures, and how the launches are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.duel.outlook import EARLY, outlook
from harness.duel.question import Question
from harness.duel.sets import LATER_LOOKS, LOOKS, SHARE_OF_FIRST, UNLIMITED, Sets
from harness.machine import utc_now
from harness.planning.loading import Say
from harness.report.sides import side_facts
from harness.session.case import CaseRunner
from harness.session.case_result import CaseResult
from harness.session.counting import Counted, count_instructions, uncounted
from harness.session.folder import write_info
from harness.session.process import Worker
from harness.session.sweep import bar_text
from harness.session.turn import rows_of
from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.tables import BASE, HEAD, Run, RunWriter, parameter_types, read, write_sides, write_verdicts
from harness.verdicts.comparison import changes_so_far, duel_verdicts, judged_so_far, tolerances
from harness.verdicts.judge import FEWEST_LAUNCHES

if TYPE_CHECKING:
    import pandas as pd

LAUNCHES_WITH_ERRORS = 2
"""Errors are measured in this many launches; a case whose errors differ between them is measured in every launch."""

BASE_LACKS_IT = "the base does not have it"
"""Why a cell is skipped on the base whose method or test only the head has."""


@dataclass(frozen=True)
class Duel:
    """A finished duel: its folder, the run of each side, and the verdicts."""

    path: Path
    base: Run
    head: Run
    verdicts: pd.DataFrame


@dataclass
class Launches:
    """The launches of one duel, and the tables that their rows are written to.

    writers, spawns: of the base, then of the head. known: the methods that the base's harness has; base_only: case ->
    cells that are measured on the base alone.
    """

    study: Study
    cases: list[tuple[Case, list[Cell]]]
    runner: CaseRunner
    writers: Sequence[RunWriter]
    folder: Path
    known: Sequence[str]
    base_only: Mapping[str, Sequence[Cell]]
    say: Say = print
    """Shows a line to the user while the duel runs."""
    until_decided: float | None = None
    """Seconds that the duel may take instead of the study's budget, with more launches than LOOKS has if those decide
    nothing; None: the budget applies."""
    spawns: Sequence[Callable[[Path], Worker]] = ()
    """Each starts a counting worker of its side."""

    def __post_init__(self) -> None:
        self.errors_before: dict[str, dict[tuple[int, str], str]] = {}
        self.errors_vary: set[str] = set()
        """Cases whose errors differ between launches, so that they are measured in every launch."""
        self.too_busy = False
        """Whether the machine is too busy to decide the times, so that counts of instructions have to."""
        self.sets = Sets(
            self.cases,
            self.study.launches,
            self._budget(),
            self.runner.renew,
            self._measure,
            bar_text,
            self._judged,
            None if self.until_decided is None else (*LOOKS, *LATER_LOOKS),
            self._gives_up,
        )

    def fight(self) -> Duel:
        """Both sets of launches, and the verdicts."""
        first, second = self.sets.both()
        self._count()
        return self._ended(duel_verdicts(*self._sides(), first, second, self.study.gate))

    def answer(self, question: Question) -> Duel:
        """One set of launches, which ends when the question is answered, at the last look, or when the time is over.

        The verdicts are those of one set: no second one confirms them. If counts of instructions answer the question
        there is one launch, which shows what can be measured at all.
        """
        looks = question.looks(LOOKS if self.until_decided is None else (*LOOKS, *LATER_LOOKS))
        latest: list[pd.DataFrame] = []

        def ended(done: int) -> bool:
            if question.by_counts and done:
                self._count()
                latest[:] = [duel_verdicts(*self._sides(), range(1, done + 1), (), self.study.gate)]
                return True
            late = done >= FEWEST_LAUNCHES and self.sets.left() <= 0
            if done in looks or late:
                latest[:] = [duel_verdicts(*self._sides(), range(1, done + 1), (), self.study.gate)]
                return late or done == looks[-1] or question.is_over(latest[0])
            return False

        def expected(done: int) -> int:
            return 1 if question.by_counts else min(look for look in looks if look > done)

        self.sets.one(self.cases, ended, expected)
        return self._ended(latest[0])

    def _ended(self, verdicts: pd.DataFrame) -> Duel:
        """Write the verdicts, and the end of both runs."""
        base, head = self._sides()
        write_verdicts(self.folder, verdicts, parameter_types(self.study.own_axes))
        write_sides(self.folder, {BASE: side_facts(base.info), HEAD: side_facts(head.info)})
        for name, run in ((BASE, base), (HEAD, head)):
            write_info(self.folder / name, dict(run.info) | {"end": utc_now().isoformat(timespec="seconds")})
        base, head = self._sides()  # again, since run.json has changed
        base.check()
        head.check()
        return Duel(self.folder, base, head, verdicts)

    def _measure(self, launch: int, cases: Sequence[tuple[Case, list[Cell]]], number: int) -> None:
        case, cells = cases[number]
        of_base = [replace(cell, skip=cell.skip or self._lacking(cell.method)) for cell in cells]
        with_errors = launch <= LAUNCHES_WITH_ERRORS or case.id in self.errors_vary
        measure = ["errors", "memory"] if with_errors else ["memory"]
        # One launch shows that the base can measure them, and `lost` needs no more.
        of_base += self.base_only.get(case.id, ()) if launch == 1 else ()
        results = self.runner.run(case, [of_base, cells], launch * len(cases) + number, UNLIMITED, measure=measure)
        machine = self.folder.parent.parent.name
        for writer, result in zip(self.writers, results, strict=True):
            writer.commit(rows_of(case, case.id, launch, machine, result))
        if launch <= LAUNCHES_WITH_ERRORS:
            self._compare_errors(case, results)

    def _compare_errors(self, case: Case, results: Sequence[CaseResult]) -> None:
        """Remember the errors of a case, or note that they differ from those of the launch before."""
        # repr, because two NaN are not equal
        errors = {(each.side, each.cell.method): repr(each.figures) for result in results for each in result.cells}
        before = self.errors_before.setdefault(case.id, errors)
        if any(errors[key] != before[key] for key in errors.keys() & before.keys()):
            self.errors_vary.add(case.id)

    def _lacking(self, method: str) -> str:
        """Why the base skips a method, or ''."""
        # A method named by an import path is looked for when its case is opened: a greeting lists built-in ones only.
        return "" if ":" in method or method in self.known else BASE_LACKS_IT

    def _gives_up(self, done: int, seconds: float) -> bool:
        """Whether more launches will not decide the times, judged once from the first EARLY ones and their seconds."""
        if done == EARLY:
            self._look_ahead(done, seconds)
        return self.too_busy

    def _look_ahead(self, done: int, seconds: float) -> None:
        """If the duel needs more time at this load than it has, say how much."""
        gate = self.study.gate
        changes = changes_so_far(*self._sides(), range(1, done + 1))
        expected = outlook(changes, tolerances(gate), seconds, SHARE_OF_FIRST)
        counted = self.study.instructions is not None and self.until_decided is None
        option = "--until-decided" if self.until_decided is None else ""
        if line := expected.warning(self._budget(), counted, option):
            self.say(line)
            self.too_busy = counted

    def _count(self) -> None:
        """Count the instructions of both sides, if the study or the command asks for it."""
        if self.study.instructions is None:
            return
        self.runner.end_workers()
        sides = [Counted(spawn, run) for spawn, run in zip(self.spawns, self._sides(), strict=True)]
        counted = count_instructions(self.study, self.cases, sides)
        for name, writer, rows in zip((BASE, HEAD), self.writers, counted, strict=True):
            writer.write_whole("instructions", rows)
            if line := uncounted(rows):
                self.say(f"{name}: {line}")

    def _judged(self, launches: Sequence[int]) -> pd.DataFrame:
        """Judge the quantities that vary between these launches, without confirmation."""
        return judged_so_far(*self._sides(), launches, self.study.gate)

    def _budget(self) -> float:
        """Seconds that the whole duel may take."""
        budget = self.study.total_budget if self.until_decided is None else self.until_decided
        return UNLIMITED if budget is None else budget

    def _sides(self) -> tuple[Run, Run]:
        """Both runs, read again from their files."""
        return read(self.folder / BASE), read(self.folder / HEAD)
