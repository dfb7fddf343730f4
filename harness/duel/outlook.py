"""How long a duel will take at the present load of the machine, estimated from the spread of its first few launches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdicts.judge import DETECTABLE, launches_needed

if TYPE_CHECKING:
    import pandas as pd

EARLY = 6
"""Launches after which the estimate is made. By then the spread of a quantity is known to a factor of 1.5, and it is
pooled with the spreads of the others. The estimate does not look at effects, so it costs no false alarms."""

CHANGE = f"{100 * DETECTABLE:.0f} %"

NEVER = float("inf")
"""Seconds needed by a duel that even the largest number of launches tried by `launches_needed` would not decide."""


@dataclass(frozen=True)
class Outlook:
    """What a duel is expected to need.

    launches: of its first set; None if no number that was tried would be enough. done, seconds: how many launches the
    estimate is based on, and the seconds that they took together. share: of the duel's seconds, for the first set.
    """

    launches: int | None
    done: int
    seconds: float
    share: float

    @property
    def needed(self) -> float:
        """Seconds of the whole duel."""
        return NEVER if self.launches is None else self.launches * self.seconds / self.done / self.share

    def warning(self, budget: float, counted: bool, option: str) -> str:
        """One line if the duel needs more seconds than its budget, else ''.

        counted: whether counts of instructions will decide instead of times; option: the option to suggest for more
        time, '' if the user has already given it.
        """
        if self.needed <= budget:
            return ""
        has = f"and this duel has {duration_text(budget)}"
        if self.launches is None:
            line = f"at this load a change of {CHANGE} cannot be found in hours, {has}"
        else:
            line = f"at this load a change of {CHANGE} takes {duration_text(self.needed)} to find, {has}"
        if counted:
            return f"{line}: fewer launches are timed, and instructions are counted"
        longer = [f"{option} {math.ceil(self.needed / 60)}"] if option and self.launches is not None else []
        return f"{line}: repeat it with {' or with '.join([*longer, '--count'])}"


def outlook(changes: pd.DataFrame, tolerance: Mapping[str, float], seconds: float, share: float) -> Outlook:
    """The outlook for the times among these changes.

    seconds: what the launches so far took together; share: of a duel's seconds, for its first set of launches.
    """
    times = changes[changes["kind"] == "time"]
    done = int(times["launches"].max()) if len(times) else EARLY
    return Outlook(launches_needed(times, tolerance), done, seconds, share)


def duration_text(seconds: float) -> str:
    """A duration in words: '40 seconds', '14 minutes'."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
