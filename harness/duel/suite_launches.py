"""The launches of a duel of a suite: what each launch measures, and how the launches are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.duel.sets import LOOKS, SHARE_OF_FIRST, Sets
from harness.machine import utc_now
from harness.session.case import CaseRunner
from harness.session.case_result import CaseResult
from harness.suite.definition import Planned, Suite, SuiteTest
from harness.tables import (
    BASE,
    HEAD,
    Row,
    RunWriter,
    SuiteRun,
    function_and_parameters,
    parameter_column,
    read_suite,
    write_suite_info,
    write_suite_verdicts,
)
from harness.verdicts.suites import suite_judged_so_far, suite_verdicts

if TYPE_CHECKING:
    import pandas as pd

PlannedTest = tuple[SuiteTest, list[list[Planned]]]
"""A test, and what is planned for it on the base and on the head."""


@dataclass(frozen=True)
class SuiteDuel:
    """A finished duel of a suite: its folder, both sides, and the verdicts."""

    path: Path
    base: SuiteRun
    head: SuiteRun
    verdicts: pd.DataFrame


@dataclass
class SuiteLaunches:
    """The launches of one duel of a suite, and the tables that their rows are written to.

    writers: of the base, then of the head; parameters: the names of all parameters of any test; lost: the tests that
    only the base's own suite has.
    """

    suite: Suite
    tests: Sequence[PlannedTest]
    runner: CaseRunner
    writers: Sequence[RunWriter]
    folder: Path
    parameters: Sequence[str]
    lost: Sequence[SuiteTest]

    def __post_init__(self) -> None:
        self.sets = Sets(self.tests, 1, self.suite.budget, self.runner.renew, self._measure, _label, self._judged)

    def fight(self) -> SuiteDuel:
        """Both sets of launches, and the verdicts."""
        first, second = self.sets.both()
        base, head = self._sides()
        gone = {test.id: {parameter_column(name): value for name, value in test.parameters} for test in self.lost}
        verdicts = suite_verdicts(base, head, first, second, self.suite.gate, gone)
        write_suite_verdicts(self.folder, verdicts, self.parameters)
        for run in (base, head):
            write_suite_info(run.path, dict(run.info) | {"end": utc_now().isoformat(timespec="seconds")})
        base, head = self._sides()
        base.check()
        head.check()
        return SuiteDuel(self.folder, base, head, verdicts)

    def _measure(self, launch: int, tests: Sequence[PlannedTest], number: int) -> None:
        test, planned = tests[number]
        following = tests[number + 1][0] if number + 1 < len(tests) else None
        # The first set's share of the budget is divided evenly, so that it lasts however long a call of a test takes.
        seconds = self.suite.budget * SHARE_OF_FIRST / (LOOKS[0] * len(self.tests))
        seed = launch * len(tests) + number
        results = self.runner.run(test.before(following), planned, seed, seconds, measure=())
        for writer, result in zip(self.writers, results, strict=True):
            writer.commit(self._rows(test, launch, result))

    def _rows(self, test: SuiteTest, launch: int, result: CaseResult) -> dict[str, list[Row]]:
        parameters = dict.fromkeys(self.parameters, "") | dict(test.parameters)
        columns = {parameter_column(name): value for name, value in parameters.items()}
        key = {"test": test.id, **columns, "launch": launch}
        machine = self.folder.parent.parent.name
        return {
            "tests": [
                {
                    **key,
                    "status": each.status,
                    "reason": each.full_reason(),
                    "machine": machine,
                    "wall_seconds": each.wall_seconds,
                }
                for each in result.cells
            ],
            "timings": [
                {
                    **key,
                    "round": block.round,
                    "position": block.position,
                    "calls": block.arm.calls,
                    "seconds": block.seconds,
                }
                for block in result.blocks
            ],
        }

    def _judged(self, launches: Sequence[int]) -> pd.DataFrame:
        return suite_judged_so_far(*self._sides(), launches, self.suite.gate)

    def _sides(self) -> tuple[SuiteRun, SuiteRun]:
        """Both sides, read again from their files."""
        return read_suite(self.folder / BASE), read_suite(self.folder / HEAD)


def _label(launch: int, test: SuiteTest) -> str:
    """The text of the progress bar while a test is measured."""
    return f"launch {launch}, {''.join(function_and_parameters(test.id))}"
