"""Counts the instructions of every phase of a plan, in processes that do nothing else and go through all cases.

Several of them run in parallel, for one side of a duel or for both: they do not affect each other's counts. Further
processes of the same side count the same code again, which shows how far counts of equal code differ.
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
"""A call under callgrind is up to this many times slower, so a counted case may take this many times limits.seconds."""

TOO_OLD = ("unsupported", "the worker of this commit cannot count instructions")

Cases = Sequence[tuple[Case, list[Cell]]]

Refusal = tuple[str, str]
"""Status and reason of a cell that is not counted."""


@dataclass(frozen=True)
class Counted:
    """A side whose instructions are counted.

    spawn(prefix): starts a worker under callgrind, whose files begin with `prefix`. run: the measurements of this side;
    only cells that could be measured are counted.
    """

    spawn: Callable[[Path], Worker]
    run: Run


def count_instructions(study: Study, cases: Cases, sides: Sequence[Counted]) -> list[list[Row]]:
    """The rows of instructions.csv of each side. Raises UserError if a worker does not start."""
    launches = (study.instructions or Instructions()).launches
    tasks = [(side, launch) for launch in range(1, launches + 1) for side in sides]
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar(len(tasks) * len(cases)))
        counters = [stack.enter_context(_Counter(study, cases, side, launch)) for side, launch in tasks]
        pool = stack.enter_context(ThreadPoolExecutor(len(cores_for_workers()) or 1))
        for counter in counters:  # registered last, so that on an error they stop before the pool waits for its threads
            stack.callback(counter.stop)
        futures = [pool.submit(counter.rows, progress.update) for counter in counters]
        for future in as_completed(futures):  # whichever fails first ends all of them
            future.result()
    counted = [(side, future.result()) for (side, _), future in zip(tasks, futures, strict=True)]
    return [[row for of, rows in counted if of is side for row in rows] for side in sides]


def uncounted(rows: Sequence[Row]) -> str:
    """One line on the phases of a side that were not counted, with the most common reason; '' if all were counted."""
    reasons = Counter(str(row["reason"]) for row in rows if row["status"] != "ok")
    if not reasons:
        return ""
    (reason, _), *others = reasons.most_common()
    more = "; instructions.csv has the other reasons" if others else ""
    return f"instructions: {reasons.total()} of {len(rows)} counts are missing: {reason}{more}"


class _Counter:
    """One counting process of a side: started when its turn comes, and replaced if a case kills it."""

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
        """Kill the process, for whose reply its own thread may be waiting, and let no other start."""
        self._stopped.set()
        self._side.kill()

    def _spawn(self) -> Worker:
        if self._stopped.is_set():
            raise UserError("counting instructions was stopped")
        # In a folder of its own: a killed process may leave files, which must not be read as those of the next one.
        worker = self._counted.spawn(Path(tempfile.mkdtemp(dir=self._folder.name)) / "counts")
        if self._stopped.is_set():  # `stop` ran meanwhile, and did not see this worker yet
            worker.kill()
        return worker

    def rows(self, done: Callable[[], Any]) -> list[Row]:
        """The rows of this process. done() is called after every case."""
        study = self._study
        limits = study.limits.model_copy(update={"seconds": study.limits.seconds * SLOWER})
        runner = CaseRunner(study.model_copy(update={"timing": None, "limits": limits}), [self._side])
        unmeasured = _unmeasured(self._counted.run)
        rows: list[Row] = []
        for case, cells in self._cases:
            cells = [cell for cell in cells if cell.method not in YARDSTICKS]
            refused = {cell.method: _refusal(cell, unmeasured) for cell in cells}
            countable = [cell for cell in cells if refused[cell.method] is None]
            if countable:
                (result,) = runner.run(case, [countable], 0, float("inf"), measure=[COUNTS])
                results = {counted.cell.method: counted for counted in result.cells}
            for cell in cells:
                rows += self._rows_of(cell, refused[cell.method] or results[cell.method])
            done()
        self._side.drop()
        return rows

    def _rows_of(self, cell: Cell, outcome: CellResult | Refusal) -> Iterator[Row]:
        """A row for every phase of the study that a cell has: its count, or why there is none."""
        key = {"case": cell.case.id, "method": cell.method} | cell.case.axes | {"launch": self._launch}
        phases_of_method = named([cell.method])[cell.method].phases_for(cell.case)
        counts: dict[str, tuple[int, float]] = {}
        if isinstance(outcome, CellResult):
            counts = {phase: (calls, instructions) for phase, calls, instructions in outcome.counts or ()}
            too_old = outcome.status == "ok" and outcome.counts is None
            outcome = TOO_OLD if too_old else (outcome.status, outcome.reason)
        status, reason = outcome
        for phase in (phase for phase in self._study.phases if phase in phases_of_method):
            calls, instructions = counts.get(phase, (0, float("nan")))
            # An uncounted phase of a cell that is ok is one that torch refuses.
            refused = {"status": status if status != "ok" else "unsupported", "reason": reason}
            ended = {"status": "ok", "reason": ""} if phase in counts else refused
            yield key | {"phase": phase, "calls": calls, "instructions": instructions} | ended


def _refusal(cell: Cell, unmeasured: dict[tuple[str, str], Refusal]) -> Refusal | None:
    """Why the instructions of a cell are not counted; None if they are."""
    if reason := without_counts() or not_countable(cell.case):
        return "unsupported", reason
    if cell.skip:
        return "skipped", cell.skip
    return unmeasured.get((cell.case.id, cell.method))


def _unmeasured(run: Run) -> dict[tuple[str, str], Refusal]:
    """(case, method) -> status and reason of the cells that were ok in no launch, or failed in one of them."""
    measured, ended = set(), {}
    for row in run.cells[["case", "method", "status", "reason"]].itertuples(index=False, name=None):
        case, method, status, reason = map(str, row)
        if status == "ok":
            measured.add((case, method))
        else:
            ended[case, method] = status, reason
    return {cell: outcome for cell, outcome in ended.items() if cell not in measured or outcome[0] != "skipped"}
