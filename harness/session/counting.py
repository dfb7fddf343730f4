"""The instructions of every phase of a plan, counted in processes of their own, one for all cases.

Several such processes run side by side, of one side of a duel or of both: what one does changes nothing that another
counts. A second process of a side counts the same code again, so that it is known how far counts of equal code differ.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.methods import named
from harness.session.case import CaseRunner
from harness.session.case_result import CellResult
from harness.session.process import Worker, cores_for_workers
from harness.session.progress import progress_bar
from harness.session.side import Side
from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.study.tables import Instructions
from harness.tables import Row, Run
from harness.vocabulary import COUNTS, YARDSTICKS
from harness.worker.counting import not_countable, without_counts

SLOWER = 50.0
"""What a case may take where its instructions are counted, over limits.seconds: so many times slower is a call under
callgrind."""

TOO_OLD = ("unsupported", "the worker of this commit cannot count instructions")

Cases = Sequence[tuple[Case, list[Cell]]]

Refusal = tuple[str, str]
"""Status and reason of what is not counted."""


@dataclass(frozen=True)
class Counted:
    """A side whose instructions are counted.

    spawn(prefix): a worker under callgrind whose files begin with `prefix`; run: what was measured on this side, since
    only what could be measured is counted.
    """

    spawn: Callable[[Path], Worker]
    run: Run


def count_instructions(study: Study, cases: Cases, sides: Sequence[Counted]) -> list[list[Row]]:
    """The rows of instructions.csv of each side. Raises UserError where a worker does not start."""
    launches = (study.instructions or Instructions()).launches
    tasks = [(side, launch) for launch in range(1, launches + 1) for side in sides]
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar(len(tasks) * len(cases)))
        counters = [stack.enter_context(_Counter(study, cases, side, launch)) for side, launch in tasks]
        pool = stack.enter_context(ThreadPoolExecutor(len(cores_for_workers()) or 1))
        for counter in counters:  # before the pool waits for its threads, should anything end this
            stack.callback(counter.stop)
        counting = [pool.submit(counter.rows, progress.update) for counter in counters]
        for ended in as_completed(counting):  # in whatever order they end, the first error ends all
            ended.result()
    rows = [each.result() for each in counting]
    return [[row for (of, _), found in zip(tasks, rows, strict=True) if of is side for row in found] for side in sides]


def uncounted(rows: Sequence[Row]) -> str:
    """One line on the phases of a side that were not counted, with the commonest reason; '' where all were."""
    reasons = Counter(str(row["reason"]) for row in rows if row["status"] != "ok")
    if not reasons:
        return ""
    (reason, _), *others = reasons.most_common()
    more = "; instructions.csv has the other reasons" if others else ""
    return f"instructions: {reasons.total()} of {len(rows)} counts could not be had: {reason}{more}"


class _Counter:
    """One counting process of a side: begun when its turn comes, and replaced by another where a case kills it."""

    def __init__(self, study: Study, cases: Cases, side: Counted, launch: int) -> None:
        self._study, self._cases, self._counted, self._launch = study, cases, side, launch
        self._stopped = threading.Event()
        self._side = Side(self._spawn)

    def __enter__(self) -> _Counter:
        self._folder = tempfile.TemporaryDirectory(prefix="topk-counts-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._side.drop()
        self._folder.cleanup()

    def stop(self) -> None:
        """End the process, and let no other begin, while the thread that counts may wait for it."""
        self._stopped.set()
        self._side.kill()

    def _spawn(self) -> Worker:
        if self._stopped.is_set():
            raise UserError("counting instructions was stopped")
        # A folder each: a process that is killed may leave a file of counts, which is not the next one's.
        worker = self._counted.spawn(Path(tempfile.mkdtemp(dir=self._folder.name)) / "counts")
        if self._stopped.is_set():  # meanwhile, when `stop` did not see it yet
            worker.kill()
        return worker

    def rows(self, done: Callable[[], Any]) -> list[Row]:
        """The rows of this process; done() is called after each case."""
        study = self._study
        limits = study.limits.model_copy(update={"seconds": study.limits.seconds * SLOWER})
        runner = CaseRunner(study.model_copy(update={"timing": None, "limits": limits}), [self._side])
        unmeasured = _unmeasured(self._counted.run)
        found: list[Row] = []
        for case, cells in self._cases:
            cells = [each for each in cells if each.method not in YARDSTICKS]
            refused = {each.method: _refusal(each, unmeasured) for each in cells}
            countable = [each for each in cells if refused[each.method] is None]
            if countable:
                (result,) = runner.run(case, [countable], 0, float("inf"), measure=[COUNTS])
                results = {each.cell.method: each for each in result.cells}
            for each in cells:
                found += self._rows_of(each, refused[each.method] or results[each.method])
            done()
        self._side.drop()
        return found

    def _rows_of(self, cell: Cell, outcome: CellResult | Refusal) -> Iterator[Row]:
        """A row for each phase that the study has of a cell: its count, or why there is none."""
        key = {"case": cell.case.id, "method": cell.method} | cell.case.axes | {"launch": self._launch}
        has = named([cell.method])[cell.method].phases_for(cell.case)
        counts: dict[str, tuple[int, float]] = {}
        if isinstance(outcome, CellResult):
            counts = {phase: (calls, instructions) for phase, calls, instructions in outcome.counts or ()}
            too_old = outcome.status == "ok" and outcome.counts is None
            outcome = TOO_OLD if too_old else (outcome.status, outcome.reason)
        status, reason = outcome
        for phase in (each for each in self._study.phases if each in has):
            calls, instructions = counts.get(phase, (0, float("nan")))
            without = status if status != "ok" else "unsupported"  # a phase that torch refuses, of a cell that is right
            told = {"status": "ok", "reason": ""} if phase in counts else {"status": without, "reason": reason}
            yield key | {"phase": phase, "calls": calls, "instructions": instructions} | told


def _refusal(cell: Cell, unmeasured: dict[tuple[str, str], Refusal]) -> Refusal | None:
    """Why the instructions of a cell are not counted, if so."""
    if why := without_counts() or not_countable(cell.case):
        return "unsupported", why
    if cell.skip:
        return "skipped", cell.skip
    return unmeasured.get((cell.case.id, cell.method))


def _unmeasured(run: Run) -> dict[tuple[str, str], Refusal]:
    """(case, method) -> status and reason of what was measured in no launch, or ended otherwise in one of them."""
    measured, ended = set(), {}
    for row in run.cells[["case", "method", "status", "reason"]].itertuples(index=False, name=None):
        case, method, status, reason = map(str, row)
        if status == "ok":
            measured.add((case, method))
        else:
            ended[case, method] = status, reason
    return {cell: outcome for cell, outcome in ended.items() if cell not in measured or outcome[0] != "skipped"}
