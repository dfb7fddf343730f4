"""The wall clock: it is read before and after a loop of calls, with the device idle both times."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

Call = Callable[[], Any]

CALIBRATION_SECONDS = 0.00025
"""Calibration may stop once a loop lasts this long. That is enough to choose how many calls a block has; no result
depends on calibration otherwise."""

MOST_AT_A_STEP = 32
"""Calibration lengthens its loop by at most this factor at a time."""

UNDISTURBED_OF = 3
UNDISTURBED_SECONDS = 0.02
"""A measurement shorter than this is repeated until there are three, and the shortest counts. The scheduler may give
another process a few milliseconds in between; if they counted as work, the blocks of one arm would be longer, and so
interrupted more often, than those of another."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Clock:
    """synchronize waits until the device is idle; counter returns nanoseconds."""

    synchronize: Callable[[], Any] = _nothing
    counter: Callable[[], int] = time.perf_counter_ns

    def block(self, call: Call, calls: int, kept: list[Any] | None = None) -> float:
        """Mean seconds per call over a loop of `calls` calls, with the garbage collector off.

        kept: a list that holds at most the result of an earlier call on entry, and only the result of the last call on
        return.
        """
        # Starting from an earlier result, every call of the loop frees exactly one: the block has as many frees as
        # calls, although its last result outlives it.
        result = kept.pop() if kept else None
        with uncollected():
            self.synchronize()
            begin = self.counter()
            for _ in repeat(None, calls):  # unlike range, it makes no number for every call
                result = None
                result = call()
            self.synchronize()
            end = self.counter()
        if kept is not None:
            kept.append(result)
        return (end - begin) * 1e-9 / calls

    def calls_for(self, call: Call, seconds: float) -> int:
        """How many calls last about `seconds`; at least one."""
        return self.calls_lasting(partial(self.block, call), seconds)

    def calls_lasting(self, block: Callable[[int], float], seconds: float) -> int:
        """How many calls last about `seconds`, at least one, where block(calls) times a loop in seconds per call."""
        calls, enough = 1, min(CALIBRATION_SECONDS, seconds)
        while True:
            per_call = self.undisturbed(lambda: block(calls) * calls) / calls  # noqa: B023  (called at once)
            if per_call * calls >= enough:
                return max(1, math.ceil(seconds / per_call))
            sufficient = math.ceil(enough / per_call) if per_call > 0 else 0
            # The time of a few calls is a rough estimate, so the loop grows by a limited factor.
            calls = min(max(2 * calls, sufficient), MOST_AT_A_STEP * calls)

    def undisturbed(self, measure: Callable[[], float]) -> float:
        """The shortest of a few measurements in seconds; a long one is accepted at once."""
        shortest = measure()
        for _ in range(UNDISTURBED_OF - 1):
            if shortest >= UNDISTURBED_SECONDS:
                break
            shortest = min(shortest, measure())
        return shortest


@contextmanager
def uncollected() -> Iterator[None]:
    """The garbage collector is off inside, and as before afterwards."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
