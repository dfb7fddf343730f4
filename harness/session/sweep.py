"""The order of launches and cases, progress and resume: the one loop that measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.precision.repeats import repeat_metrics
from harness.session.place import Measure
from harness.session.progress import Progress, progress_bar, ticking
from harness.session.turn import Rows, Turn
from harness.study.budget import Budget
from harness.study.cells import Case, Cell, Plan
from harness.study.definition import Study
from harness.tables import Run
from harness.verdicts.judge import FEWEST_LAUNCHES
from harness.verdicts.ratios import intervals, launch_medians, paired_log_ratios

REPEATS = frozenset(repeat_metrics())

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
    begun: float | None = None
    """time.monotonic() when the run began: what was spent on starting counts toward the budget."""
    settled_after: dict[int, dict[str, str]] = field(default_factory=dict)
    """Number of launches looked at -> what was settled then: the tables are large, and what is looked at stays."""

    def __post_init__(self) -> None:
        cells = self.earlier.cells
        self._remember_exhausted(cells.query("status == 'out_of_memory'").to_dict("records"))
        used = {str(name): each for name, each in cells.groupby("device")["wall_seconds"].sum().items()}
        turns = cells[cells["wall_seconds"] > 0].groupby(["case", "launch"])["wall_seconds"].sum()
        known = {str(name): each for name, each in turns.groupby("case").mean().items()}
        self.budget = Budget(self.study, used, known, self.at_once, self.begun)
        self.homes |= dict(cells.drop_duplicates("case")[["case", "machine"]].itertuples(index=False, name=None))

    @property
    def study(self) -> Study:
        return self.plan.study

    def rows(self) -> Iterator[Rows]:
        """table -> rows, one (launch, case) after the other, each to be committed before the next is asked for.

        A launch is over before the next begins: what it found says whether a case is launched again.
        """
        on_device = Counter(case.device for case, _ in self.plan)
        cases = on_device.total()
        bar = progress_bar(cases * self.study.launches, len(self.committed))
        with bar, ticking(Progress(bar, self.budget.share_used)) as progress:
            for launch in range(1, self.study.launches + 1):
                self.budget.begin_launch(launch, on_device - self._done(launch))
                for rows in self.measure(self._turns(launch, cases, progress)):
                    self._remember_exhausted(rows["cells"])
                    self.homes.setdefault(rows["cells"][0]["case"], rows["cells"][0]["machine"])
                    yield rows
                    progress.done()

    def budget_line(self) -> str:
        """What the budget left out and what would help, or ''."""
        return self.budget.told(sum(len(cells) for _, cells in self.plan)) if self.budget.cells_cut else ""

    def _done(self, launch: int) -> Counter[str]:
        """device -> how many cases of a launch an earlier part of the run has."""
        if not any(done == launch for done, _ in self.committed):
            return Counter()
        return Counter(case.device for case, _ in self.plan if (launch, case.id) in self.committed)

    def _turns(self, launch: int, cases: int, progress: Progress) -> Iterator[Turn]:
        """What is left of a launch. A turn is decided when it is asked for, by what is known then."""
        settled = self._settled(launch)
        measure = self._measured_beside_times(launch)
        for number, (case, cells) in enumerate(self.plan):
            identity = case.id
            if (launch, identity) in self.committed:
                continue
            progress.bar.set_postfix_str(at_hand(launch, case))
            spent = self.budget.spent(case.device)
            why = settled.get(identity, "") or spent
            planned = [self._skip(cell, why) for cell in cells]
            if cut := sum(cell.skip == spent for cell in planned) if spent else 0:
                self.budget.cut(launch, identity, cut)
            seconds, seed = self.budget.take_turn(case.device), launch * cases + number
            yield Turn(launch, case, planned, seed, seconds, measure, self.homes.get(identity, ""))
            self.budget.charge(case.device, "" if why else identity)

    def _measured_beside_times(self, launch: int) -> list[str]:
        """Errors do not vary between launches. Memory can (a method may keep what it allocated), and is measured again
        where there are enough launches to judge it. Repeats are asked for in every launch: launches may differ."""
        memory = ["memory"] if launch == 1 or self.study.launches >= FEWEST_LAUNCHES else []
        repeats = [] if REPEATS.isdisjoint(self.study.comparison.metrics) else ["repeats"]
        return (["errors"] if launch == 1 else []) + memory + repeats

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
        by = ["case", "method", "phase", "clock"]
        found = intervals(launch_medians(paired_log_ratios(past), by, "log_ratio"), by, "log_ratio")
        found["width"] = found["high"] - found["low"]
        widest = found[found["method"] != "native"].groupby("case")["width"].agg(lambda each: np.max(each.to_numpy()))
        reason = f"settled: its intervals are narrower than {timing.width:g} after {looks[-1]} launches"
        settled = {str(case): reason for case, width in widest.items() if width < timing.width}
        self.settled_after[looks[-1]] = settled
        return settled


def at_hand(launch: int, case: Case) -> str:
    """What is measured now, in the words of a bar."""
    return f"launch {launch}, n={case.n} k={case.k} {case.dtype}"
