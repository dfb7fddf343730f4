"""The time budget of a study: how launches and cases share it, when it is spent, and what would have been enough."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.study.definition import Study

SPENT = "the budget of the study (budget_seconds) is spent"
"""The reason of a cell that was skipped because no time was left."""

SPARE = 1.1
"""Factor by which the advised budget exceeds the estimate: no two runs take the same time."""

ALL_DEVICES = ""
"""The pool of a budget that is one number, which all devices share; else each device is a pool of its own."""


@dataclass
class Budget:
    """Shares budget_seconds equally among the launches; what a case does not use goes to the cases after it.

    Everything counts: from `begun` (a reading of `now`) to the end of the last case, every second is charged to a case
    or a device, so starting workers, opening, checks, compiling and calibration are included. used: device -> seconds
    spent in an earlier part of a resumed run; known: case -> seconds that one launch of it took there; at_once: number
    of cases that are measured side by side, so that each is charged only its share of the seconds that pass.
    """

    study: Study
    used: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)
    at_once: int = 1
    begun: float | None = None
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        budget = self.study.budget_seconds
        self._limits: dict[str, float | None] = {ALL_DEVICES: None if isinstance(budget, dict) else budget}
        if isinstance(budget, dict):
            here = self.study.axes.device
            self._limits = {str(device): seconds for device, seconds in budget.items() if device in here}
        self._spent: defaultdict[str, float] = defaultdict(float)
        for device, seconds in self.used.items():
            self._spent[self._pool(device)] += seconds / self.at_once
        self._last = self.now() if self.begun is None else self.begun
        self._turns: dict[str, int] = Counter()
        self._end: dict[str, float] = {}
        self._cost = {case: seconds / self.at_once for case, seconds in self.known.items()}
        self._missing: dict[int, list[str]] = {}
        self.cells_cut: dict[int, int] = Counter()
        """Launch -> number of cells that were not measured for lack of time."""

    def begin_launch(self, launch: int, turns: Mapping[str, int]) -> None:
        """Give a launch its share of what is left. turns: device -> number of its cases still to be measured."""
        # The time since the last case, such as that of starting workers, belongs to no case: one device must pay it.
        self.charge(next(iter(turns), ALL_DEVICES))
        self._turns = Counter()
        for device, count in turns.items():
            self._turns[self._pool(device)] += count
        left = {pool: self._left(pool) for pool in self._turns}
        to_come = self.study.launches - launch + 1
        self._end = {pool: self._spent[pool] + seconds / to_come for pool, seconds in left.items()}

    def charge(self, device: str, case: str = "") -> None:
        """Charge the time since the last charge to this device, and to this case if one is given."""
        now = self.now()
        self._spent[self._pool(device)] += now - self._last
        if case:
            self._cost[case] = now - self._last
        self._last = now

    def take_turn(self, device: str) -> float:
        """Take the turn of the next case on a device; returns the seconds that it may take."""
        pool = self._pool(device)
        left = max(0.0, self._end[pool] - self._spent[pool])
        # at_once cases share every second that passes; of the last few, each may take all that is left.
        share = left * self.at_once / max(self.at_once, self._turns[pool])
        self._turns[pool] -= 1
        return share

    def spent(self, device: str) -> str:
        """Why no further case on this device is begun, or ''."""
        return "" if self._left(self._pool(device)) > 0 else SPENT

    def cut(self, launch: int, case: str, cells: int) -> None:
        """Record that this many cells of a case were not measured for lack of time."""
        self.cells_cut[launch] += cells
        self._missing.setdefault(launch, []).append(case)

    def share_used(self) -> float:
        """The share of the budget that has been used, from 0 to 1; 0 without a budget."""
        since = self.now() - self._last
        shares = [(self._spent[pool] + since) / limit for pool, limit in self._limits.items() if limit is not None]
        # The run goes on until the last device has spent its part, so that part decides how far it has come.
        return min(1.0, min(shares)) if shares else 0.0

    def summary(self, cells: int) -> str:
        """One line that says what was not measured and what would help, or ''. cells: number of cells in one launch."""
        if not self.cells_cut:
            return ""
        launch = min(self.cells_cut)
        where = f"in launch {launch}" if len(self.cells_cut) == 1 else f"in launches {launch} to {max(self.cells_cut)}"
        planned = cells * len(self.cells_cut)
        fewer = f"--launches {launch - 1}, " if launch > 1 else ""
        limits = ", ".join(f"{pool} {limit:g}" if pool else f"{limit:g}" for pool, limit in self._limits.items())
        advice = f"budget_seconds = {self.needed()}" if ALL_DEVICES in self._limits else "a larger budget_seconds"
        lacking = f"{sum(self.cells_cut.values())} of {planned} cells not measured {where}"
        return f"budget of {limits} s spent: {lacking}; {fewer}fewer sizes, or {advice}"

    def needed(self) -> int:
        """The budget in seconds that would have been enough, rounded up to two digits.

        A case that was cut is expected to take what it took in an earlier launch, or else the mean of all cases.
        """
        known = list(self._cost.values())
        mean = sum(known) / len(known) if known else 0.0
        missing = [self._cost.get(case, mean) for cases in self._missing.values() for case in cases]
        seconds = SPARE * (sum(self._spent.values()) + sum(missing))
        scale = 10 ** max(0, math.ceil(math.log10(max(seconds, 1.0))) - 2)  # the value of the second digit
        return math.ceil(seconds / scale) * scale

    def _pool(self, device: str) -> str:
        return ALL_DEVICES if ALL_DEVICES in self._limits else device

    def _left(self, pool: str) -> float:
        limit = self._limits.get(pool)
        return math.inf if limit is None else limit - self._spent[pool] - (self.now() - self._last)
