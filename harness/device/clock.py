"""The wall clock: one reading before and one after a loop of calls, the device idle at both."""

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
"""Calibration may stop once a loop lasts this long: it chooses how many calls a block has, and measures nothing."""

MOST_AT_A_STEP = 32
"""Calibration lengthens its loop by at most this factor at a time."""

UNDISTURBED_OF = 3
UNDISTURBED_SECONDS = 0.02
"""What is shorter than this is timed three times for the shortest, lest the turn of another process, a few
milliseconds, be taken for the work: one arm would get longer blocks, interrupted more often, than the next."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Clock:
    """synchronize waits until the device is idle; counter reads nanoseconds."""

    synchronize: Callable[[], Any] = _nothing
    counter: Callable[[], int] = time.perf_counter_ns

    def block(self, call: Call, calls: int, kept: list[Any] | None = None) -> float:
        """Seconds of a call over a loop of `calls` calls, with the garbage collector off.

        kept: on entry at most the result of an earlier call; on return the result of the last call alone. Inside the
        loop every result is freed before the next call, as many as there are calls: a result that outlives the block
        costs no method, and neither side of a comparison, more than another.
        """
        result = kept.pop() if kept else None
        with uncollected():
            self.synchronize()
            begin = self.counter()
            for _ in repeat(None, calls):
                result = None
                result = call()
            self.synchronize()
            end = self.counter()
        if kept is not None:
            kept.append(result)
        return (end - begin) * 1e-9 / calls

    def calls_for(self, call: Call, seconds: float) -> int:
        """How many calls last about `seconds`, at least one."""
        return self.calls_lasting(partial(self.block, call), seconds)

    def calls_lasting(self, block: Callable[[int], float], seconds: float) -> int:
        """The same of calls that are timed by `block`, which returns the seconds of a call over so many."""
        calls, enough = 1, min(CALIBRATION_SECONDS, seconds)
        while True:
            each = self.undisturbed(lambda: block(calls) * calls) / calls  # noqa: B023  (called at once)
            if each * calls >= enough:
                return max(1, math.ceil(seconds / each))
            # the time of a few calls is a rough guess, so that it is not trusted for too many more
            wanted = math.ceil(enough / each) if each > 0 else 0
            calls = min(max(2 * calls, wanted), MOST_AT_A_STEP * calls)

    def undisturbed(self, measure: Callable[[], float]) -> float:
        """The shortest of a few measurements in seconds; a long one is believed at once."""
        shortest = measure()
        for _ in range(UNDISTURBED_OF - 1):
            if shortest >= UNDISTURBED_SECONDS:
                break
            shortest = min(shortest, measure())
        return shortest


@contextmanager
def uncollected() -> Iterator[None]:
    """With the garbage collector off; it is as before afterwards."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
