"""How long a duel takes at the load that the machine has: known after a few launches, from their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.verdicts.judge import DETECTABLE, launches_needed

if TYPE_CHECKING:
    import pandas as pd

EARLY = 6
"""Launches after which it is asked. The spread of a quantity is then known to a factor of 1.5, and is pooled with those
of the others. No effect is looked at, so asking costs no false alarm."""

CHANGE = f"{100 * DETECTABLE:.0f} %"

UNKNOWN = float("inf")
"""Seconds of a duel that the most launches which are thought of (`launches_needed`) do not decide."""


@dataclass(frozen=True)
class Outlook:
    """What a first set of launches is expected to need, from `done` launches that took so many seconds.

    launches: None where no number of launches that is thought of would be enough; share: of the seconds of a duel what
    its first set may use.
    """

    launches: int | None
    done: int
    seconds: float
    share: float

    @property
    def needed(self) -> float:
        """Seconds of the whole duel."""
        return UNKNOWN if self.launches is None else self.launches * self.seconds / self.done / self.share

    def told(self, budget: float, counted: bool, option: str) -> str:
        """One line for a duel that needs more than the seconds of its budget; '' for any other.

        counted: whether instructions are counted, to which the decision is left; option: the name of the option that
        gives it more seconds, '' where that has been given.
        """
        if self.needed <= budget:
            return ""
        has = f"and this duel has {duration_told(budget)}"
        if self.launches is None:
            line = f"at this load a change of {CHANGE} cannot be found in hours, {has}"
        else:
            line = f"at this load a change of {CHANGE} takes {duration_told(self.needed)} to find, {has}"
        if counted:
            return f"{line}: fewer launches are timed, and instructions are counted"
        longer = [f"{option} {math.ceil(self.needed / 60)}"] if option and self.launches is not None else []
        return f"{line}: repeat it with {' or with '.join([*longer, '--count'])}"


def outlook(changes: pd.DataFrame, tolerance: Mapping[str, float], seconds: float, share: float) -> Outlook:
    """What the times among these changes need, of launches that took so many seconds together."""
    times = changes[changes["kind"] == "time"]
    done = int(times["launches"].max()) if len(times) else EARLY
    return Outlook(launches_needed(times, tolerance), done, seconds, share)


def duration_told(seconds: float) -> str:
    """Seconds in words: '40 seconds', '14 minutes'."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
