"""The seconds of a study: how they are shared, when they are spent, and what more of them would have bought."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.study.definition import Study

SPENT = "the budget of the study (budget_seconds) is spent"
"""The reason of a cell that was skipped for it."""

SPARE = 1.1
"""Of the budget that is advised: no two runs take the same time."""

ALL_DEVICES = ""


@dataclass
class Budget:
    """budget_seconds, shared equally by the launches; what a case does not use goes to those after it.

    Everything counts: from `begun` to the end of the last case each second belongs to the case at hand, so opening,
    checks, compiling and calibration do too. used: device -> seconds of an earlier part of the run; known: case ->
    seconds that a launch of it took there; at_once: cases that are measured side by side, so that each takes its share
    of the seconds that pass.
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
            self._limits = {str(device): seconds for device, seconds in budget.items()}
        self._spent: defaultdict[str, float] = defaultdict(float)
        for device, seconds in self.used.items():
            self._spent[self._pool(device)] += seconds / self.at_once
        self._last = self.now() if self.begun is None else self.begun
        self._turns: dict[str, int] = Counter()
        self._end: dict[str, float] = {}
        self._cost = {case: seconds / self.at_once for case, seconds in self.known.items()}
        self._missing: dict[int, list[str]] = {}
        self.cells_cut: dict[int, int] = Counter()
        """Launch -> how many cells were not measured for want of time."""

    def begin_launch(self, launch: int, turns: Mapping[str, int]) -> None:
        """turns: device -> how many cases of this launch are still to be measured."""
        self.charge(next(iter(turns), ALL_DEVICES))
        self._turns = Counter()
        for device, count in turns.items():
            self._turns[self._pool(device)] += count
        left = {pool: self._left(pool) for pool in self._turns}
        self._end = {pool: self._spent[pool] + each / (self.study.launches - launch + 1) for pool, each in left.items()}

    def charge(self, device: str, case: str = "") -> None:
        """What has passed since the last charge was for this device, or for this case."""
        now = self.now()
        self._spent[self._pool(device)] += now - self._last
        if case:
            self._cost[case] = now - self._last
        self._last = now

    def take_turn(self, device: str) -> float:
        """The seconds that the next case on a device may take."""
        pool = self._pool(device)
        left = max(0.0, self._end[pool] - self._spent[pool])
        share = left * self.at_once / max(self.at_once, self._turns[pool])
        self._turns[pool] -= 1
        return share

    def spent(self, device: str) -> str:
        """Why no further case on a device is begun, or ''."""
        return "" if self._left(self._pool(device)) > 0 else SPENT

    def cut(self, launch: int, case: str, cells: int) -> None:
        """So many cells of a case were not measured for want of time."""
        self.cells_cut[launch] += cells
        self._missing.setdefault(launch, []).append(case)

    def share_used(self) -> float:
        """How much of the budget has been used, from 0 to 1; 0 where there is none."""
        since = self.now() - self._last
        shares = [(self._spent[pool] + since) / each for pool, each in self._limits.items() if each is not None]
        return min(1.0, min(shares)) if shares else 0.0

    def told(self, cells: int) -> str:
        """One line that says what was not measured and what would help, or ''; cells: of one launch."""
        if not self.cells_cut:
            return ""
        launch = min(self.cells_cut)
        where = f"in launch {launch}" if len(self.cells_cut) == 1 else f"in launches {launch} to {max(self.cells_cut)}"
        of = cells * len(self.cells_cut)
        fewer = f"--launches {launch - 1}, " if launch > 1 else ""
        limits = ", ".join(f"{pool} {each:g}" if pool else f"{each:g}" for pool, each in self._limits.items())
        advice = f"budget_seconds = {self.needed()}" if ALL_DEVICES in self._limits else "a larger budget_seconds"
        cut = sum(self.cells_cut.values())
        return f"budget of {limits} s spent: {cut} of {of} cells not measured {where}; {fewer}fewer sizes, or {advice}"

    def needed(self) -> int:
        """Seconds that would have been enough, to two digits: a case that was cut takes what it took in an earlier
        launch, or else what cases took in the mean."""
        known = list(self._cost.values())
        mean = sum(known) / len(known) if known else 0.0
        missing = [self._cost.get(case, mean) for cases in self._missing.values() for case in cases]
        seconds = SPARE * (sum(self._spent.values()) + sum(missing))
        scale = 10 ** max(0, math.ceil(math.log10(max(seconds, 1.0))) - 2)
        return math.ceil(seconds / scale) * scale

    def _pool(self, device: str) -> str:
        return ALL_DEVICES if ALL_DEVICES in self._limits else device

    def _left(self, pool: str) -> float:
        limit = self._limits.get(pool)
        return math.inf if limit is None else limit - self._spent[pool] - (self.now() - self._last)
