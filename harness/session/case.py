"""One case in one launch: every cell gets a status, and the cells that are ok are timed in rounds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from harness.outside_text import without_folders
from harness.session.case_result import CaseResult, CellResult, blocks_of_side, in_phase, measure_anew
from harness.session.pace import refuse_too_fast
from harness.session.process import WorkerLost
from harness.session.request import CaseLike, CellLike, StudyLike, opening_of
from harness.session.sampler import Arm, Block, sample
from harness.session.side import Side
from harness.vocabulary import COUNTS, WALL

UNTIMED = float("nan")
"""Placeholder time of a block whose cell failed in an earlier round, or that could not be timed."""

CLOSE_SECONDS = 60.0
"""A worker that has not closed its case by then hangs: closing runs no method, it only compares global state."""


class CaseRunner:
    """Measures cases one after the other, with all methods of all sides in one set of rounds."""

    def __init__(self, study: StudyLike, sides: Sequence[Side]) -> None:
        self._study, self._sides = study, sides
        self._last_request: tuple[int, str] = (0, "")
        """(side, method) of the last request; the method is '' if the request concerns the whole case."""
        self._longest: dict[tuple[int, str], float] = {}
        """(side, method) -> seconds of its longest request in this attempt at the case."""
        self._spoilers: dict[tuple[int, str], str] = {}
        """(side, method) -> what it changed in this launch of the state that all methods share."""
        self._known_calls: dict[tuple[CaseLike, int, str], dict[str, int]] = {}
        """(case, side, method) -> phase -> calls per block by the wall clock: one launch calibrates for all."""
        self._watch_blocks = False
        self._in_later_rounds = False
        """Whether every arm of this attempt at the case has had its first block."""

    def __enter__(self) -> CaseRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_workers()

    def end_workers(self) -> None:
        """End the workers; the next case starts new ones."""
        for side in self._sides:
            side.drop()

    def renew(self) -> None:
        """Begin a launch: the next case runs in fresh workers."""
        self._spoilers.clear()  # every launch measures the same cells
        for side in self._sides:
            side.renew()

    def run(
        self, case: CaseLike, cells: Sequence[Sequence[CellLike]], seed: int, seconds: float, *, measure: Sequence[str]
    ) -> list[CaseResult]:
        """Measure a case in about `seconds`, at least one round; returns the result of each side.

        cells: those of each side. measure: which of 'errors', 'memory', 'repeats' and 'counts' to measure beside times.
        If a method ends a worker, its cell of that side is given up, and the case begins again without it. A method
        that changes what all methods of a worker share is given up in the later cases of the launch as well.
        """
        results = [[CellResult(cell, side, reason=cell.skip) for cell in planned] for side, planned in enumerate(cells)]
        for result in (result for of_side in results for result in of_side if not result.reason):
            if changed := self._spoilers.get((result.side, result.cell.method)):
                result.end("incorrect", f"{changed} (in an earlier case of this launch, so not run again)")
        self._watch_blocks, begun = False, time.monotonic()
        while True:
            still_open = [result for of_side in results for result in of_side if not result.reason]
            blocks: list[Block] = []
            try:
                self._measure(case, still_open, seed, seconds, measure, blocks)
                return [CaseResult(own, blocks_of_side(blocks, side, own)) for side, own in enumerate(results)]
            except WorkerLost as lost:
                side, method = self._last_request
                if lost.status == "incorrect" and not method and not self._watch_blocks:
                    # Closing the case found that a block changed shared state; a second measurement, in which the
                    # worker compares it after every block, finds out which method did.
                    self._watch_blocks = True
                    self._sides[side].drop()
                    measure_anew(still_open)
                else:
                    self._give_up(still_open, lost, time.monotonic() - begun)
                    begun = time.monotonic()

    def _give_up(self, results: list[CellResult], lost: WorkerLost, seconds: float) -> None:
        """End the cell that caused the loss of a worker, or all cells of that side; the others are measured anew.

        seconds: what the measurement that is lost took. It is charged to the cells that are ended here.
        """
        (side, culprit), reason = self._last_request, without_folders(lost.reason)
        self._sides[side].drop()
        if lost.status == "incorrect" and culprit:
            self._spoilers[side, culprit] = reason
        if lost.status == "timeout" and not lost.answered:
            # The longest request of the case is to blame, not the last one, for which no time was left.
            side, culprit = max(self._longest, key=self._longest.__getitem__)
            longest, limit = self._longest[side, culprit], self._study.limits.seconds
            reason = f"one request took {longest:.3g} s of the {limit:g} s of its case (limits.seconds)"
        still_open = [result for result in results if result.status in ("ok", "skipped")]  # not those unsupported, say
        seconds -= sum(result.wall_seconds for result in results if result not in still_open)
        ended = [result for result in still_open if result.side == side and culprit in ("", result.cell.method)]
        for result in ended:
            result.end(lost.status, reason)
            result.wall_seconds = seconds / len(ended)
        measure_anew(results)

    def _measure(
        self,
        case: CaseLike,
        results: list[CellResult],
        seed: int,
        seconds: float,
        measure: Sequence[str],
        blocks: list[Block],
    ) -> None:
        """One attempt at a case: check all cells, then time those that are ok into `blocks`. Raises WorkerLost."""
        sides = {result.side for result in results}
        for side in sides:
            self._sides[side].running_on(case.device)  # starting a worker does not count toward the case's seconds
        self._longest.clear()
        self._in_later_rounds = False
        begun = time.monotonic()
        deadline = begun + self._study.limits.seconds
        for side in range(len(self._sides)):
            self._check(case, [result for result in results if result.side == side], deadline, measure)
        if not self._study.timing:
            return  # without closing the case: every check has compared the global state, and nothing ran since
        result_of = {(result.side, result.cell.method): result for result in results}
        arms = list(self._arms(results, deadline))
        blocks_of_rounds = sample(arms, self._study.timing.rounds, seed, min(deadline, begun + seconds))
        for number, block in enumerate(blocks_of_rounds, 1):
            self._in_later_rounds = number >= len(arms)
            if result_of[block.arm.side, block.arm.method].status == "ok" and not math.isnan(block.seconds):
                blocks.append(block)
        refuse_too_fast(arms, blocks, result_of, seed, deadline)
        for side in sides:
            self._close([result for result in results if result.side == side])

    def _close(self, results: list[CellResult]) -> None:
        """Close the case on the worker of these cells' side. Raises WorkerLost."""
        reply = self._ask(results[0].side, {"op": "close"}, time.monotonic() + CLOSE_SECONDS)
        if reply["status"] == "ok":
            return
        for result in results:
            if result.status == "ok":
                result.end(reply["status"], reply.get("reason", ""))

    def _check(self, case: CaseLike, results: list[CellResult], deadline: float, measure: Sequence[str]) -> None:
        """Open the case on the worker of these cells' side, and check every method. Raises WorkerLost."""
        if not results:
            return
        side = results[0].side
        begin = time.monotonic()
        request = opening_of(
            self._study,
            case,
            self._sides[side].running().cores,
            with_phases=COUNTS in measure,
            watch_blocks=self._watch_blocks,
        )
        opened = self._ask(side, request, deadline)
        share_of_opening = (time.monotonic() - begin) / len(results)
        for result in results:
            if opened["status"] != "ok":
                result.end(opened["status"], opened["reason"])
                continue
            begin = time.monotonic()
            spare = self._study.memory_limit(case.device) - result.cell.predicted_bytes
            request = {"op": "check", "method": result.cell.method, "measure": measure, "spare_bytes": spare}
            known = self._known_calls.get((case, side, result.cell.method), {})
            reply = self._ask(side, request | {"calls": known}, deadline)
            result.wall_seconds = share_of_opening + time.monotonic() - begin
            if reply["status"] == "ok":
                result.status, result.reason, result.calls = "ok", reply["reason"], reply["calls"]
                self._known_calls[case, side, result.cell.method] = {
                    phase: clocks[WALL] for phase, clocks in result.calls.items() if WALL in clocks
                }
                result.least_bytes = reply.get("least_bytes", {})
                result.memory, result.figures = reply["memory"], reply["figures"]
                result.counts = reply.get(COUNTS)
                result.compile_seconds = reply.get("compile_seconds", float("nan"))
            else:
                result.end(reply["status"], reply["reason"])

    def _ask(self, side: int, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The reply to a request about a method, or about the whole case.

        Raises WorkerLost, also if the worker itself reports that memory ran out, that the device hangs, or that a
        method changed shared state: nobody knows what such a worker has left allocated or changed, so the other cells
        are measured in a fresh one, as if the method had never run.
        """
        self._last_request = side, request.get("method", "")
        begin = time.monotonic()
        try:
            reply = self._sides[side].ask(request, deadline)
        finally:
            seconds = time.monotonic() - begin
            self._longest[self._last_request] = max(seconds, self._longest.get(self._last_request, 0.0))
        if reply.get("status") in ("out_of_memory", "timeout") or reply.get("spoilt"):
            raise WorkerLost(reply["status"], in_phase(request.get("phase", ""), reply["reason"]), answered=True)
        return reply

    def _arms(self, results: list[CellResult], deadline: float) -> Iterator[Arm]:
        """An arm for every cell, phase and clock; its blocks have the same number of calls on both sides."""
        calls: dict[tuple[str, str, str], list[int]] = {}
        arms = [(result, phase, clock) for result in results for phase, own in result.calls.items() for clock in own]
        for result, phase, clock in arms:
            calls.setdefault((result.cell.method, phase, clock), []).append(result.calls[phase][clock])
        for result, phase, clock in arms:
            on_each_side = calls[result.cell.method, phase, clock]
            # By the device clock a longer block might not fit into the queue.
            count = max(on_each_side) if clock == WALL else min(on_each_side)
            time_block = partial(self._block, result, phase, clock, count, deadline)
            yield Arm(result.cell.method, phase, count, time_block, result.side, clock)

    def _block(self, result: CellResult, phase: str, clock: str, calls: int, deadline: float) -> float:
        """Seconds per call in one block; UNTIMED if it has no valid time, and then the cell may be ended."""
        if result.status != "ok":
            return UNTIMED
        request = {"op": "time", "method": result.cell.method, "phase": phase, "clock": clock, "calls": calls}
        begin = time.monotonic()
        if self._in_later_rounds:
            # The round was expected to end by the deadline: if the machine is slower now, no method is to blame.
            deadline = begin + self._study.limits.seconds
        reply = self._ask(result.side, request, deadline)
        result.wall_seconds += time.monotonic() - begin
        if "seconds" not in reply:
            result.end(reply["status"], in_phase(phase, reply["reason"]))
            return UNTIMED
        if reply.get("void"):
            result.void[phase, reply["void"]] += 1
            return UNTIMED
        if not 0 < reply["seconds"] < math.inf:
            result.end("crashed", in_phase(phase, f"the clock read {reply['seconds']:g} s per call"))
            return UNTIMED
        result.throttling |= set(reply["throttling"] or ())
        return float(reply["seconds"])
