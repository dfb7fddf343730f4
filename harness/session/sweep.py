"""The main loop of a run: launches, and the cases of each, with progress, budget and resume."""

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
from harness.study.cells import Case, Cell
from harness.study.definition import Study
from harness.study.plan import Plan
from harness.tables import Run
from harness.verdicts.judge import FEWEST_LAUNCHES
from harness.verdicts.ratios import intervals, launch_medians, paired_log_ratios

REPEATS = frozenset(repeat_metrics())

LOOKS = (3, 5, 8, 12, 20, 32)
"""Numbers of launches after which the widths of the intervals are checked. Whoever checks after every launch stops at a
lucky one."""


@dataclass
class Sweep:
    """Measures a plan: launches in the outer loop, cases in the inner one, every (launch, case) once.

    committed: the (launch, case) pairs that an earlier part of the run has measured. earlier: the run as read back.
    at_once: how many turns are measured in parallel.
    """

    plan: Plan
    measure: Measure
    committed: set[tuple[int, str]]
    earlier: Run
    at_once: int = 1
    exhausted: dict[tuple[str, str], int] = field(default_factory=dict)
    """(device, method) -> the smallest predicted bytes of a cell that ran out of memory."""
    homes: dict[str, str] = field(default_factory=dict)
    """case -> slug of the machine that measured it first."""
    begun: float | None = None
    """time.monotonic() when the run began: starting up counts toward the budget."""
    settled_after: dict[int, dict[str, str]] = field(default_factory=dict)
    """Number of launches checked -> settled cases, with the reason. Kept, because reading the tables takes long and the
    rows of those launches do not change any more."""

    def __post_init__(self) -> None:
        cells = self.earlier.cells
        self._remember_exhausted(cells.query("status == 'out_of_memory'").to_dict("records"))
        used = {str(device): seconds for device, seconds in cells.groupby("device")["wall_seconds"].sum().items()}
        turns = cells[cells["wall_seconds"] > 0].groupby(["case", "launch"])["wall_seconds"].sum()
        known = {str(case): seconds for case, seconds in turns.groupby("case").mean().items()}
        self.budget = Budget(self.study, used, known, self.at_once, self.begun)
        self.homes |= dict(cells.drop_duplicates("case")[["case", "machine"]].itertuples(index=False, name=None))

    @property
    def study(self) -> Study:
        return self.plan.study

    def rows(self) -> Iterator[Rows]:
        """The rows of every table, turn by turn. The caller commits them before it asks for the next.

        A launch ends before the next one begins, because its results decide which cases are launched again.
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
        """One line on what the budget left out and what would have been enough, or ''."""
        return self.budget.summary(sum(len(cells) for _, cells in self.plan)) if self.budget.cells_cut else ""

    def _done(self, launch: int) -> Counter[str]:
        """device -> how many cases of a launch an earlier part of the run has measured."""
        if not any(committed == launch for committed, _ in self.committed):
            return Counter()
        return Counter(case.device for case, _ in self.plan if (launch, case.id) in self.committed)

    def _turns(self, launch: int, cases: int, progress: Progress) -> Iterator[Turn]:
        """The turns that are left of a launch. Lazy: each is decided by what is known when it is asked for."""
        settled = self._settled(launch)
        measure = self._measured_beside_times(launch)
        for number, (case, cells) in enumerate(self.plan):
            identity = case.id
            if (launch, identity) in self.committed:
                continue
            progress.bar.set_postfix_str(bar_text(launch, case))
            spent = self.budget.spent(case.device)
            reason = settled.get(identity, "") or spent
            planned = [self._skip(cell, reason) for cell in cells]
            if cut := sum(cell.skip == spent for cell in planned) if spent else 0:
                self.budget.cut(launch, identity, cut)
            # Every turn has an order of rounds of its own, and the same one in a run that is resumed.
            seconds, seed = self.budget.take_turn(case.device), launch * cases + number
            yield Turn(launch, case, planned, seed, seconds, measure, self.homes.get(identity, ""))
            self.budget.charge(case.device, "" if reason else identity)

    def _measured_beside_times(self, launch: int) -> list[str]:
        """Which of errors, memory and repeats to measure in a launch.

        Errors do not vary between launches. Memory can, since a method may keep what it allocated; it is measured again
        if there are enough launches to judge it. Repeats are measured in every launch, since launches may differ.
        """
        memory = ["memory"] if launch == 1 or self.study.launches >= FEWEST_LAUNCHES else []
        repeats = [] if REPEATS.isdisjoint(self.study.comparison.metrics) else ["repeats"]
        return (["errors"] if launch == 1 else []) + memory + repeats

    def _skip(self, cell: Cell, reason: str) -> Cell:
        """The cell, to be skipped if there is a reason, or if a smaller one of its method ran out of memory."""
        limit = self.exhausted.get((cell.case.device, cell.method))
        if not reason and limit is not None and cell.predicted_bytes >= limit:
            reason = f"needs {cell.predicted_bytes} bytes, and {limit} bytes were out of memory"
        return Cell(cell.case, cell.method, cell.predicted_bytes, cell.skip or reason)

    def _remember_exhausted(self, rows: Iterable[Mapping[Any, Any]]) -> None:
        """Note the cells, as rows of cells.csv, that ran out of memory."""
        for row in rows:
            if row["status"] == "out_of_memory":
                key, needed = (row["device"], row["method"]), row["predicted_bytes"]
                self.exhausted[key] = min(needed, self.exhausted.get(key, needed))

    def _settled(self, launch: int) -> dict[str, str]:
        """case -> why it needs no further launch: every interval was narrower than `width` at the last check."""
        timing = self.study.timing
        looks = [look for look in LOOKS if look < launch]
        if timing is None or timing.width is None or not looks:
            return {}
        if looks[-1] in self.settled_after:
            return self.settled_after[looks[-1]]
        # A new Run, since one caches its tables, and these have grown.
        timings = Run(self.earlier.path, self.earlier.info).timings
        past = timings[timings["launch"] <= looks[-1]]
        by = ["case", "method", "phase", "clock"]
        ratios = intervals(launch_medians(paired_log_ratios(past), by, "log_ratio"), by, "log_ratio")
        ratios["width"] = ratios["high"] - ratios["low"]
        # np.max, unlike pandas' max, is NaN if any width is: such a case is not settled.
        contested = ratios[ratios["method"] != "native"]
        widest = contested.groupby("case")["width"].agg(lambda widths: np.max(widths.to_numpy()))
        reason = f"settled: its intervals are narrower than {timing.width:g} after {looks[-1]} launches"
        settled = {str(case): reason for case, width in widest.items() if width < timing.width}
        self.settled_after[looks[-1]] = settled
        return settled


def bar_text(launch: int, case: Case) -> str:
    """The text beside a progress bar: what is being measured."""
    return f"launch {launch}, n={case.n} k={case.k} {case.dtype}"
