"""One case in one launch: every cell gets a status, those that are right are timed in rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.cells import Case, Cell
from harness.measure.process import Worker, WorkerLost
from harness.measure.sampler import Arm, Block, sample
from harness.study import Study


@dataclass
class CellResult:
    """What became of a cell in a launch: status, reason, figures, memory, and seconds of wall time spent on it."""

    cell: Cell
    status: str = "skipped"
    reason: str = ""
    wall_seconds: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    memory: list[list[Any]] = field(default_factory=list)
    figures: list[list[Any]] = field(default_factory=list)

    def end(self, status: str, reason: str) -> None:
        """Give the cell up: nothing of it is kept but the reason."""
        self.status, self.reason = status, reason
        self.calls, self.memory, self.figures = {}, [], []


@dataclass
class CaseResult:
    """The cells of a case in one launch, and the blocks of those that are ok."""

    cells: list[CellResult]
    blocks: list[Block] = field(default_factory=list)


class CaseRunner:
    """Measures cases one after the other in a worker, which is replaced when a case costs its life."""

    def __init__(self, study: Study, start: Callable[[], Worker], first: Worker | None = None) -> None:
        self._study, self._start = study, start
        self._worker = first
        self._used = False
        self._asked = ""

    def __enter__(self) -> CaseRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop_worker()

    def renew(self) -> None:
        """Begin a launch: the next case runs in a fresh worker."""
        if self._used:
            self._drop_worker()

    def run(self, case: Case, cells: Sequence[Cell], seed: int, seconds: float, *, measure: bool) -> CaseResult:
        """Measure a case in about `seconds`, one round at least; `measure` errors and memory too (first launch).

        A method that costs the worker its life is given up, and the case is begun again without it.
        """
        results = [CellResult(cell, reason=cell.skip) for cell in cells]
        while True:
            open_cells = [each for each in results if not each.reason]
            blocks: list[Block] = []
            try:
                self._measure(case, open_cells, seed, seconds, measure, blocks)
                return CaseResult(results, [block for block in blocks if _is_ok(results, block.arm.method)])
            except WorkerLost as lost:
                self._drop_worker()
                culprit = self._asked
                for each in open_cells:
                    if culprit in ("", each.cell.method):
                        each.end(lost.status, lost.reason)
                    elif each.status == "ok":
                        each.status, each.reason = "skipped", ""

    def _measure(
        self, case: Case, cells: list[CellResult], seed: int, seconds: float, measure: bool, blocks: list[Block]
    ) -> None:
        if not cells:
            return
        begun = time.monotonic()
        deadline = begun + self._study.limits.seconds
        self._asked = ""
        opened = self._ask(self._opening(case), deadline)
        for each in cells:
            if opened["status"] != "ok":
                each.end(opened["status"], opened["reason"])
                continue
            begin = time.monotonic()
            self._asked = each.cell.method
            reply = self._ask({"op": "check", "method": each.cell.method, "measure": measure}, deadline)
            each.wall_seconds = time.monotonic() - begin
            if reply["status"] == "ok":
                each.status, each.reason, each.calls = "ok", reply["reason"], reply["calls"]
                each.memory, each.figures = reply["memory"], reply["figures"]
            else:
                each.end(reply["status"], reply["reason"])
        timing = self._study.timing
        if timing:
            by_method = {each.cell.method: each for each in cells}
            end = min(deadline, begun + seconds)
            for block in sample(list(self._arms(cells, deadline)), timing.rounds, seed, end):
                by_method[block.arm.method].wall_seconds += block.seconds * block.arm.calls
                blocks.append(block)

    def _opening(self, case: Case) -> dict[str, Any]:
        study, compared = self._study, self._study.comparison
        return {
            "op": "open",
            "case": case.axes,
            "cores": self._running().cores,
            "phases": study.phases if study.timing else (),
            "loss": compared.loss,
            "tensors": compared.tensors,
            "references": compared.references,
            "metrics": compared.metrics,
            "block_seconds": study.timing.block_seconds if study.timing else 0.0,
            "fresh_memory": study.timing.fresh_memory if study.timing else True,
        }

    def _arms(self, cells: list[CellResult], deadline: float) -> Iterator[Arm]:
        for each in cells:
            for phase, calls in each.calls.items():
                yield Arm(each.cell.method, phase, calls, partial(self._block, each, phase, calls, deadline))

    def _block(self, result: CellResult, phase: str, calls: int, deadline: float) -> float:
        if result.status != "ok":
            return float("nan")
        self._asked = result.cell.method
        reply = self._ask({"op": "time", "method": result.cell.method, "phase": phase, "calls": calls}, deadline)
        if "seconds" not in reply:
            result.end(reply["status"], f"{phase}: {reply['reason']}")
        return float(reply.get("seconds", "nan"))

    def _ask(self, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        return self._running().ask(request, max(0.001, deadline - time.monotonic()))

    def _running(self) -> Worker:
        self._used = True
        if self._worker is None:
            self._worker = self._start()
        return self._worker

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _is_ok(results: Sequence[CellResult], method: str) -> bool:
    return any(each.cell.method == method and each.status == "ok" for each in results)
