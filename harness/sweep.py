"""The order of launches and cases, progress and resume: the one loop that measures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from harness.cells import Case, Cell, Plan
from harness.measure.place import Measure
from harness.measure.turn import Rows, Turn
from harness.study import Study
from harness.tables import Run
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
    measure: Measure
    committed: set[tuple[int, str]]
    earlier: Run
    at_once: int = 1
    exhausted: dict[tuple[str, str], int] = field(default_factory=dict)
    """(device, method) -> the fewest bytes at which it ran out of memory."""
    homes: dict[str, str] = field(default_factory=dict)
    """case -> slug of the machine that measured it first."""
    settled_after: dict[int, dict[str, str]] = field(default_factory=dict)
    """Number of launches looked at -> what was settled then: the tables are large, and what is looked at stays."""

    def __post_init__(self) -> None:
        cells = self.earlier.cells
        self._remember_exhausted(cells.query("status == 'out_of_memory'").to_dict("records"))
        self.homes |= dict(cells.drop_duplicates("case")[["case", "machine"]].itertuples(index=False, name=None))

    @property
    def study(self) -> Study:
        return self.plan.study

    def rows(self) -> Iterator[Rows]:
        """table -> rows, one (launch, case) after the other, each to be committed before the next is asked for.

        A launch is over before the next begins: what it found says whether a case is launched again.
        """
        cases = sum(1 for _ in self.plan)
        budget = _Budget(self.study, float(self.earlier.cells["wall_seconds"].sum()) / self.at_once, self.at_once)
        with progress_bar(cases * self.study.launches, len(self.committed)) as progress:
            for launch in range(1, self.study.launches + 1):
                budget.begin_launch(launch, sum(1 for done, _ in self.committed if done == launch), cases)
                for rows in self.measure(self._turns(launch, cases, budget, progress)):
                    self._remember_exhausted(rows["cells"])
                    self.homes.setdefault(rows["cells"][0]["case"], rows["cells"][0]["machine"])
                    yield rows
                    progress.update()

    def _turns(self, launch: int, cases: int, budget: _Budget, progress: tqdm[NoReturn]) -> Iterator[Turn]:
        """What is left of a launch. A turn is decided when it is asked for, by what is known then."""
        settled = self._settled(launch)
        measure = self._measured_beside_times(launch)
        for number, (case, cells) in enumerate(self.plan):
            identity = case.id
            if (launch, identity) in self.committed:
                continue
            progress.set_postfix_str(at_hand(launch, case))
            why = settled.get(identity, "") or budget.spent()
            planned = [self._skip(cell, why) for cell in cells]
            seed = launch * cases + number
            yield Turn(launch, case, planned, seed, budget.share(), measure, self.homes.get(identity, ""))
            budget.turns -= 1

    def _measured_beside_times(self, launch: int) -> list[str]:
        """Errors do not vary between launches. Memory can (a method may keep what it
        allocated), and is measured again where there are enough launches to judge it."""
        if launch == 1:
            return ["errors", "memory"]
        return ["memory"] if self.study.launches >= FEWEST_LAUNCHES else []

    def _skip(self, cell: Cell, why: str) -> Cell:
        limit = self.exhausted.get((cell.case.device, cell.method))
        if not why and limit is not None and cell.predicted_bytes >= limit:
            why = f"needs {cell.predicted_bytes} bytes, and {limit} bytes were out of memory"
        return Cell(cell.case, cell.method, cell.predicted_bytes, cell.skip or why)

    def _remember_exhausted(self, cells: Iterable[Mapping[Any, Any]]) -> None:
        for each in cells:
            if each["status"] == "out_of_memory":
                key, needed = (each["device"], each["method"]), each["predicted_bytes"]
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
    """budget_seconds, shared equally by the launches; what a case does not use goes to those after it.

    used: seconds of an earlier part of the run; at_once: cases that are measured side by side.
    """

    study: Study
    used: float
    at_once: int
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
        return max(0.0, self.launch_end - time.monotonic()) * self.at_once / max(self.at_once, self.turns)

    def spent(self) -> str:
        return "" if self.left() > 0 else "the budget of the study (timing.budget_seconds) is spent"


def progress_bar(total: int, initial: int = 0) -> tqdm[NoReturn]:
    """A bar over cases with the remaining time; silent where there is no terminal."""
    return tqdm(total=total, initial=initial, unit="case", disable=None, dynamic_ncols=True)


def at_hand(launch: int, case: Case) -> str:
    """What is measured now, in the words of a bar."""
    return f"launch {launch}, n={case.n} k={case.k} {case.dtype}"
