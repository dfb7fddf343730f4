"""One case in one launch: every cell gets a status, those that are right are timed in rounds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from harness.session.asked import Asked, Opened, Planned, opening
from harness.session.case_result import CaseResult, CellResult
from harness.session.pace import ROUNDS_AGAIN, measured_again, too_fast
from harness.session.process import WorkerLost
from harness.session.sampler import Arm, Block, sample
from harness.session.side import Side
from harness.vocabulary import COUNTS, WALL

UNTIMED = float("nan")
"""Placeholder time of a block whose cell failed in an earlier round, or that could not be timed."""


CLOSE_SECONDS = 60.0
"""A worker that has not closed its case by then hangs. It compares its global state, and runs no method."""


class CaseRunner:
    """Measures cases one after the other, all methods of all sides in one set of rounds."""

    def __init__(self, study: Asked, sides: Sequence[Side]) -> None:
        self._study, self._sides = study, sides
        self._asked: tuple[int, str] = (0, "")
        self._longest: dict[tuple[int, str], float] = {}
        """(side, method) -> seconds of its longest request in this attempt at a case; '' is what opens it."""
        self._spoilers: dict[tuple[int, str], str] = {}
        """(side, method) -> what it changed of what all methods share, in this launch."""
        self._known_calls: dict[tuple[Opened, int, str], dict[str, int]] = {}
        """(case, side, method) -> phase -> calls of a block by the wall clock: one launch calibrates for all."""
        self._watch_blocks = False

    def __enter__(self) -> CaseRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """End the workers; the next case begins others."""
        for side in self._sides:
            side.drop()

    def renew(self) -> None:
        """Begin a launch: the next case runs in fresh workers."""
        self._spoilers.clear()  # each launch measures the same cells as the one before
        for side in self._sides:
            side.renew()

    def run(
        self, case: Opened, cells: Sequence[Sequence[Planned]], seed: int, seconds: float, *, measure: Sequence[str]
    ) -> list[CaseResult]:
        """Measure a case in about `seconds`, one round at least; `measure`: which of errors and memory.

        cells: those of each side; so is what is returned. A method that costs a worker its life is given up on that
        side, and the case is begun again without it. One that changes what all methods of a worker share is given up
        in the later cases of the launch as well.
        """
        results = [[CellResult(cell, side, reason=cell.skip) for cell in planned] for side, planned in enumerate(cells)]
        for each in (result for side in results for result in side if not result.reason):
            if changed := self._spoilers.get((each.side, each.cell.method)):
                each.end("incorrect", f"{changed} (in an earlier case of this launch, so not run again)")
        self._watch_blocks = False
        while True:
            open_cells = [each for side in results for each in side if not each.reason]
            blocks: list[Block] = []
            try:
                self._measure(case, open_cells, seed, seconds, measure, blocks)
                return [CaseResult(each, _kept(blocks, side, each)) for side, each in enumerate(results)]
            except WorkerLost as lost:
                if lost.status == "incorrect" and not self._asked[1] and not self._watch_blocks:
                    self._watch_blocks = True  # a block changed something: measured once more, it is known which one
                    self._sides[self._asked[0]].drop()
                    _measure_anew(open_cells)
                else:
                    self._give_up(open_cells, lost)

    def _give_up(self, cells: list[CellResult], lost: WorkerLost) -> None:
        """End the cell that cost a worker its life, or all of its side; the others are to be measured anew.

        Of a timeout that is the one of the longest request, not the one for which nothing was left.
        """
        (at, culprit), reason = self._asked, lost.reason
        self._sides[at].drop()
        if lost.status == "incorrect" and culprit:
            self._spoilers[at, culprit] = reason
        if lost.status == "timeout" and not lost.answered:
            at, culprit = max(self._longest, key=self._longest.__getitem__)
            longest, limit = self._longest[at, culprit], self._study.limits.seconds
            reason = f"took {longest:.3g} s at once of the {limit:g} s of its case (limits.seconds)"
        for each in cells:
            if each.side == at and culprit in ("", each.cell.method):
                each.end(lost.status, reason)
        _measure_anew(cells)

    def _measure(
        self,
        case: Opened,
        cells: list[CellResult],
        seed: int,
        seconds: float,
        measure: Sequence[str],
        blocks: list[Block],
    ) -> None:
        for at in {each.side for each in cells}:
            self._sides[at].running_on(case.device)  # the seconds of a case are its own, not those of starting a worker
        self._longest.clear()
        begun = time.monotonic()
        deadline = begun + self._study.limits.seconds
        for side in range(len(self._sides)):
            self._check(case, [each for each in cells if each.side == side], deadline, measure)
        timing = self._study.timing
        if timing:
            by_arm = {(each.side, each.cell.method): each for each in cells}
            end = min(deadline, begun + seconds)
            arms = list(self._arms(cells, deadline))
            for block in sample(arms, timing.rounds, seed, end):
                result = by_arm[block.arm.side, block.arm.method]
                if result.status == "ok" and not math.isnan(block.seconds):
                    blocks.append(block)
            self._refuse_too_fast(arms, blocks, by_arm, seed, deadline)
            for side in {each.side for each in cells}:
                closed = self._ask(side, {"op": "close"}, time.monotonic() + CLOSE_SECONDS)
                if closed["status"] == "ok":
                    continue
                for each in cells:
                    if each.side == side and each.status == "ok":
                        each.end(closed["status"], closed.get("reason", ""))

    def _refuse_too_fast(
        self,
        arms: list[Arm],
        blocks: list[Block],
        by_arm: dict[tuple[int, str], CellResult],
        seed: int,
        deadline: float,
    ) -> None:
        """End the cells that are too fast to be true, once they were so in every round of a second measurement, whose
        blocks are not kept. It ends by the deadline of the case, with one round at least."""

        def least_bytes(arm: Arm) -> int:
            return by_arm[arm.side, arm.method].least_bytes.get(arm.phase, 0)

        suspects = [arm for arm, *_ in too_fast(blocks, least_bytes)]
        if not suspects:
            return
        again = sample(measured_again(arms, suspects), ROUNDS_AGAIN, seed + 1, deadline)
        timed = [block for block in again if not math.isnan(block.seconds)]  # a block without a time excuses nobody
        for arm, pace, yardstick in too_fast(timed, least_bytes, max):
            if (result := by_arm[arm.side, arm.method]).status == "ok":
                reason = f"moved its bytes {pace:.2g} times as fast as {yardstick}"
                result.end("incorrect", _in_phase(arm.phase, reason))

    def _check(self, case: Opened, cells: list[CellResult], deadline: float, measure: Sequence[str]) -> None:
        """Open the case on the worker of these cells' side, and hold each method to what is right."""
        if not cells:
            return
        at = cells[0].side
        begin = time.monotonic()
        request = self._opening(case, self._sides[at].running().cores, with_phases=COUNTS in measure)
        opened = self._ask(at, request, deadline)
        opening_of_each = (time.monotonic() - begin) / len(cells)
        for each in cells:
            if opened["status"] != "ok":
                each.end(opened["status"], opened["reason"])
                continue
            begin = time.monotonic()
            spare = self._study.memory_limit(case.device) - each.cell.predicted_bytes
            request = {"op": "check", "method": each.cell.method, "measure": measure, "spare_bytes": spare}
            known = self._known_calls.get((case, at, each.cell.method), {})
            reply = self._ask(at, request | {"calls": known}, deadline)
            each.wall_seconds = opening_of_each + time.monotonic() - begin
            if reply["status"] == "ok":
                each.status, each.reason, each.calls = "ok", reply["reason"], reply["calls"]
                self._known_calls[case, at, each.cell.method] = {
                    phase: clocks[WALL] for phase, clocks in each.calls.items() if WALL in clocks
                }
                each.least_bytes = reply.get("least_bytes", {})
                each.memory, each.figures = reply["memory"], reply["figures"]
                each.counts = reply.get(COUNTS)
                each.compile_seconds = reply.get("compile_seconds", float("nan"))
            else:
                each.end(reply["status"], reply["reason"])

    def _ask(self, side: int, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The reply to a request of a method, or of all. Raises WorkerLost, also where there was no memory for it, and
        where the method changed what all share.

        What such a worker has left allocated or changed is not known: the other cells are measured in a fresh one, as
        if the method had not been.
        """
        self._asked = side, request.get("method", "")
        begin = time.monotonic()
        try:
            reply = self._sides[side].ask(request, deadline)
        finally:
            self._longest[self._asked] = max(time.monotonic() - begin, self._longest.get(self._asked, 0.0))
        if reply.get("status") in ("out_of_memory", "timeout") or reply.get("spoilt"):
            raise WorkerLost(reply["status"], _in_phase(request.get("phase", ""), reply["reason"]), answered=True)
        return reply

    def _opening(self, case: Opened, cores: Sequence[int], with_phases: bool) -> dict[str, Any]:
        """The request that opens a case. with_phases: of a study that times nothing too, since they are counted."""
        timing, compared = self._study.timing, self._study.comparison
        return opening(
            case,
            cores,
            phases=self._study.phases if timing or with_phases else (),
            loss=compared.loss,
            tensors=compared.tensors,
            references=compared.references,
            metrics=compared.metrics,
            block_seconds=timing.block_seconds if timing else 0.0,
            fresh_memory=timing.fresh_memory if timing else True,
            watch_blocks=self._watch_blocks,
        )

    def _arms(self, cells: list[CellResult], deadline: float) -> Iterator[Arm]:
        """Every phase of every cell by every clock; its blocks have as many calls on one side as on the other."""
        calls: dict[tuple[str, str, str], list[int]] = {}
        arms = [(each, phase, clock) for each in cells for phase, own in each.calls.items() for clock in own]
        for each, phase, clock in arms:
            calls.setdefault((each.cell.method, phase, clock), []).append(each.calls[phase][clock])
        for each, phase, clock in arms:
            on_each_side = calls[each.cell.method, phase, clock]
            # By the device clock a longer block might not fit into the queue.
            count = max(on_each_side) if clock == WALL else min(on_each_side)
            time_block = partial(self._block, each, phase, clock, count, deadline)
            yield Arm(each.cell.method, phase, count, time_block, each.side, clock)

    def _block(self, result: CellResult, phase: str, clock: str, calls: int, deadline: float) -> float:
        if result.status != "ok":
            return UNTIMED
        request = {"op": "time", "method": result.cell.method, "phase": phase, "clock": clock, "calls": calls}
        begin = time.monotonic()
        reply = self._ask(result.side, request, deadline)
        result.wall_seconds += time.monotonic() - begin
        if "seconds" not in reply:
            result.end(reply["status"], _in_phase(phase, reply["reason"]))
            return UNTIMED
        if reply.get("void"):
            result.void[phase, reply["void"]] += 1
            return UNTIMED
        if not 0 < reply["seconds"] < math.inf:
            result.end("crashed", _in_phase(phase, f"the clock told {reply['seconds']:g} s for a call"))
            return UNTIMED
        result.throttling |= set(reply["throttling"] or ())
        return float(reply["seconds"])


def _measure_anew(cells: Sequence[CellResult]) -> None:
    """Forget what was found of the cells that were right: their worker is gone."""
    for each in cells:
        if each.status == "ok":
            each.end("skipped", "")


def _in_phase(phase: str, reason: str) -> str:
    return f"{phase}: {reason}" if phase else reason


def _kept(blocks: Sequence[Block], side: int, results: Sequence[CellResult]) -> list[Block]:
    """The blocks of a side whose cells are ok."""
    right = {each.cell.method for each in results if each.status == "ok"}
    return [block for block in blocks if block.arm.side == side and block.arm.method in right]
