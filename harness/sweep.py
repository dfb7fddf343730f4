"""The order of launches and cases, progress and resume: the one loop that measures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from harness.cells import Case, Cell, Plan
from harness.measure.case import CaseResult, CaseRunner
from harness.study import Study
from harness.tables import Row, Run
from harness.verdicts.judge import FEWEST_LAUNCHES
from harness.verdicts.ratios import intervals, launch_medians, paired_log_ratios

LOOKS = (3, 5, 8, 12, 20, 32)
"""Numbers of launches after which the width of the intervals is looked at: who looks after every one stops at the
luckiest."""


@dataclass
class Sweep:
    """Measures a plan: launches in the outer loop, cases in the inner one, each (launch, case) once.

    committed: the (launch, case) that an earlier part of the run has; earlier: that part, to be read.
    """

    plan: Plan
    runner: CaseRunner
    machine: str
    committed: set[tuple[int, str]]
    earlier: Run
    exhausted: dict[tuple[str, str], int] = field(default_factory=dict)
    """(device, method) -> the fewest bytes at which it ran out of memory."""
    settled_after: dict[int, dict[str, str]] = field(default_factory=dict)
    """Number of launches looked at -> what was settled then: the tables are large, and what is looked at stays."""

    def __post_init__(self) -> None:
        short = self.earlier.cells.query("status == 'out_of_memory'")
        for device, method, needed in short[["device", "method", "predicted_bytes"]].itertuples(index=False):
            self._remember_exhausted(device, method, needed)

    @property
    def study(self) -> Study:
        return self.plan.study

    def rows(self) -> Iterator[dict[str, list[Row]]]:
        """table -> rows, one (launch, case) after the other, each to be committed before the next is asked for."""
        cases = sum(1 for _ in self.plan)
        turns = cases * self.study.launches
        budget = _Budget(self.study, float(self.earlier.cells["wall_seconds"].sum()))
        with progress_bar(turns, len(self.committed)) as progress:
            for launch in range(1, self.study.launches + 1):
                self.runner.renew()
                settled = self._settled(launch)
                budget.begin_launch(launch, sum(1 for done, _ in self.committed if done == launch), cases)
                for number, (case, cells) in enumerate(self.plan):
                    identity = case.id
                    if (launch, identity) in self.committed:
                        continue
                    progress.set_postfix_str(at_hand(launch, case))
                    why = settled.get(identity, "") or budget.spent()
                    planned = [self._skip(cell, why) for cell in cells]
                    seed = launch * cases + number
                    measure = self._measured_beside_times(launch)
                    (result,) = self.runner.run(case, [planned], seed, budget.share(), measure=measure)
                    budget.turns -= 1
                    for each in result.cells:
                        if each.status == "out_of_memory":
                            self._remember_exhausted(case.device, each.cell.method, each.cell.predicted_bytes)
                    yield rows_of(case, identity, launch, self.machine, result)
                    progress.update()

    def _measured_beside_times(self, launch: int) -> list[str]:
        """Errors do not vary between launches. Memory does, and is measured again where it can be judged: to return
        the heap to the system costs as much as many blocks."""
        if launch == 1:
            return ["errors", "memory"]
        return ["memory"] if self.study.launches >= FEWEST_LAUNCHES else []

    def _skip(self, cell: Cell, why: str) -> Cell:
        limit = self.exhausted.get((cell.case.device, cell.method))
        if not why and limit is not None and cell.predicted_bytes >= limit:
            why = f"needs {cell.predicted_bytes} bytes, and {limit} bytes were out of memory"
        return Cell(cell.case, cell.method, cell.predicted_bytes, cell.skip or why)

    def _remember_exhausted(self, device: str, method: str, needed: int) -> None:
        key = device, method
        self.exhausted[key] = min(needed, self.exhausted.get(key, needed))

    def _settled(self, launch: int) -> dict[str, str]:
        """case -> why it needs no further launch: every interval was narrower than `width` at the last look."""
        timing = self.study.timing
        looks = [look for look in LOOKS if look < launch]
        if timing is None or timing.width is None or not looks:
            return {}
        if looks[-1] in self.settled_after:
            return self.settled_after[looks[-1]]
        # Run caches its tables, and this one has grown since.
        timings = Run(self.earlier.path, self.earlier.info).timings
        past = timings[timings["launch"] <= looks[-1]]
        by = ["case", "method", "phase"]
        found = intervals(launch_medians(paired_log_ratios(past), by, "log_ratio"), by, "log_ratio")
        found["width"] = found["high"] - found["low"]
        widest = found[found["method"] != "native"].groupby("case")["width"].agg(lambda each: np.max(each.to_numpy()))
        reason = f"settled: its intervals are narrower than {timing.width:g} after {looks[-1]} launches"
        settled = {str(case): reason for case, width in widest.items() if width < timing.width}
        self.settled_after[looks[-1]] = settled
        return settled


@dataclass
class _Budget:
    """budget_seconds, shared equally by the launches; what a case does not use goes to those after it."""

    study: Study
    used: float
    begin: float = field(default_factory=time.monotonic)
    launch_end: float = float("inf")
    turns: int = 1

    def begin_launch(self, launch: int, done: int, cases: int) -> None:
        self.turns = max(1, cases - done)
        self.launch_end = time.monotonic() + self.left() / (self.study.launches - launch + 1)

    def left(self) -> float:
        budget = self.study.timing.budget_seconds if self.study.timing else None
        return float("inf") if budget is None else budget - self.used - (time.monotonic() - self.begin)

    def share(self) -> float:
        return max(0.0, self.launch_end - time.monotonic()) / max(1, self.turns)

    def spent(self) -> str:
        return "" if self.left() > 0 else "the budget of the study (timing.budget_seconds) is spent"


def progress_bar(total: int, initial: int = 0) -> tqdm[NoReturn]:
    """A bar over cases with the remaining time; silent where there is no terminal."""
    return tqdm(total=total, initial=initial, unit="case", disable=None, dynamic_ncols=True)


def at_hand(launch: int, case: Case) -> str:
    """What is measured now, in the words of a bar."""
    return f"launch {launch}, n={case.n} k={case.k} {case.dtype}"


def rows_of(case: Case, identity: str, launch: int, machine: str, result: CaseResult) -> dict[str, list[Row]]:
    """The rows of every table for one case in one launch."""

    def key(method: str) -> Row:
        return {"case": identity, "method": method} | case.axes

    return {
        "cells": [
            {
                **key(each.cell.method),
                "launch": launch,
                "status": each.status,
                "reason": each.told(),
                "machine": machine,
                "predicted_bytes": each.cell.predicted_bytes,
                "wall_seconds": each.wall_seconds,
                "compile_seconds": each.compile_seconds,
            }
            for each in result.cells
        ],
        "timings": [
            {
                **key(block.arm.method),
                "phase": block.arm.phase,
                "launch": launch,
                "round": block.round,
                "position": block.position,
                "calls": block.arm.calls,
                "seconds": block.seconds,
                "device_seconds": block.device_seconds,
            }
            for block in result.blocks
        ],
        "memory": [
            {**key(each.cell.method), "phase": phase, "launch": launch, "min_bytes": least, "peak_bytes": peak}
            for each in result.cells
            for phase, least, peak in each.memory
        ],
        "discrepancies": [
            {**key(each.cell.method), **dict(zip(("tensor", "of", "reference", "metric", "value"), row, strict=True))}
            for each in result.cells
            for row in each.figures
        ],
    }
