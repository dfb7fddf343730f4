"""The clock: one reading before and one after a loop of calls, the device idle at both.

On an accelerator two events stand in the same span, around the same calls: what the device says beside the wall clock.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from harness.device.definition import Device, Event

Call = Callable[[], Any]

CALIBRATION_SECONDS = 0.0005
"""A loop that lasted so long tells the time of one call well enough to choose the length of a block."""

UNDISTURBED_OF = 3
UNDISTURBED_SECONDS = 0.02
"""What is shorter than this is timed three times for the shortest, lest the turn of another process, a few
milliseconds, be taken for the work: one arm would get longer blocks, interrupted more often, than the next."""


@dataclass(frozen=True)
class BlockTime:
    """Seconds per call of a block, by the wall clock and by device events (NaN: none, or too short for them)."""

    seconds: float
    device_seconds: float = math.nan


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Clock:
    """synchronize waits until the device is idle; counter reads nanoseconds; events: of the begin and of the end."""

    synchronize: Callable[[], Any] = _nothing
    counter: Callable[[], int] = time.perf_counter_ns
    events: tuple[Event, Event] | None = None

    def block(self, call: Call, calls: int, kept: list[Any] | None = None) -> BlockTime:
        """The time of a call over a loop of `calls` calls, with the garbage collector off.

        kept: on entry at most the result of an earlier call; on return the result of the last call alone. Inside the
        loop every result is freed before the next call, as many as there are calls: a result that outlives the block
        costs no method, and neither side of a comparison, more than another.

        The events lie inside the synchronised span, so the device's time is never above the wall clock's. It holds
        the device's waits for its caller: of a kernel that is shorter than its launch, both tell the launch.
        """
        result = kept.pop() if kept else None
        begun, ended = (each.record for each in self.events) if self.events else (_nothing, _nothing)
        collecting = gc.isenabled()
        gc.disable()
        try:
            self.synchronize()
            begin = self.counter()
            begun()
            for _ in repeat(None, calls):
                result = None
                result = call()
            ended()
            self.synchronize()
            end = self.counter()
        finally:
            if collecting:
                gc.enable()
        if kept is not None:
            kept.append(result)
        return BlockTime((end - begin) * 1e-9 / calls, self._device_seconds() / calls)

    def _device_seconds(self) -> float:
        """Between the events; their steps are about half a microsecond, so that 0 says nothing."""
        milliseconds = self.events[0].elapsed_time(self.events[1]) if self.events else 0.0
        return milliseconds * 1e-3 if milliseconds > 0 else math.nan

    def calls_for(self, call: Call, seconds: float) -> int:
        """How many calls last about `seconds`, at least one."""
        calls = 1
        while True:
            each = self.undisturbed(lambda: self.block(call, calls).seconds * calls) / calls  # noqa: B023  (called at once)
            if each * calls >= min(CALIBRATION_SECONDS, seconds):
                return max(1, math.ceil(seconds / each))
            calls *= 2

    def undisturbed(self, measure: Callable[[], float]) -> float:
        """The shortest of a few measurements in seconds; a long one is believed at once."""
        shortest = measure()
        for _ in range(UNDISTURBED_OF - 1):
            if shortest >= UNDISTURBED_SECONDS:
                break
            shortest = min(shortest, measure())
        return shortest


def clock_for(device: Device) -> Clock:
    """The clock of a device: one with a queue is synchronised and has events, a CPU has nothing to wait for."""
    events = (device.event(), device.event()) if device.event else None
    return Clock(device.synchronize, events=events)
