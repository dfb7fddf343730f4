"""Blocks by the device clock: how many calls one has, behind which gate, and on which copies of the tensors.

If the cache is to be cold, a flush inside the block would be timed. So every call reads a copy of its own, which the
reads before it have evicted from the cache: after ceil(5 L2 / bytes) + 1 copies the first one can be read again. New
copies are in the cache too, as are those that a void attempt has read, so a flush precedes every gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.device.clock import Call
from harness.device.definition import Device
from harness.device.gate import DeviceClock, Gated

CACHES_BETWEEN = 5
"""Before a copy is read again, other data of this many times the size of the last-level cache is read."""

SHARE_OF_FREE = 0.25
"""The share of free memory that copies may take. Not more, because a phase may prepare further memory from each copy,
such as a graph of autograd."""

UNLIMITED = 1 << 30
"""More calls than any block has."""

Key = tuple[str, str]
"""(method, phase)."""


@dataclass
class DeviceBlocks:
    """Calibrates and times phases by the device clock.

    flush: makes the caches cold; None if they stay warm. free_bytes: returns the free memory of the device. gated: how
    to time each calibrated phase.
    """

    clock: DeviceClock
    flush: Callable[[], Any] | None
    cache_bytes: int
    free_bytes: Callable[[], float]
    gated: dict[Key, Gated] = field(default_factory=dict)

    @classmethod
    def of(cls, device: Device, flush: Callable[[], Any] | None) -> DeviceBlocks | None:
        """None for a device without a device clock: one that has no queue, or cannot sleep."""
        if device.event is None or device.sleep is None:
            return None
        clock = DeviceClock(device.synchronize, device.sleep, device.event, device.counter, device.pause)
        return cls(clock, flush, device.cache_bytes(), device.free_bytes)

    def calibrate(self, key: Key, fresh: Callable[[], Call], size: int, seconds: float, spare: float) -> int | str:
        """The calls of a block of about `seconds`; or why the phase has no device time.

        fresh: makes the call on a new copy of what it reads. size: bytes of that copy. spare: bytes that copies may
        take.
        """
        call = fresh()
        call()
        gated = self.clock.calibrate(call, seconds)
        if isinstance(gated, str):
            return gated
        if self.flush is not None:
            gated = Gated(min(gated.calls, self._most_cold_calls(size, spare)), gated.gate)
        self.gated[key] = gated
        return gated.calls

    def time(self, key: Key, fresh: Callable[[], Call], size: int, calls: int, kept: list[Any]) -> float:
        """Seconds per call of one block, after one untimed call; NaN if the gate opened too early in every attempt.

        kept: on return, the result of the untimed call and those of the attempts, the last one at the end.
        """
        copies = 1 if self.flush is None else min(calls, self._copies_until_cold(size))
        call_on = [fresh() for _ in range(copies)]
        kept.append(call_on[0]())
        in_turn = [call_on[number % copies] for number in range(calls)]
        seconds, gate = self.clock.block(in_turn, self.gated[key].gate, kept, self.flush or (lambda: None))
        self.gated[key] = Gated(self.gated[key].calls, gate)
        return seconds

    def _copies_until_cold(self, size: int) -> int:
        """How many copies are read in turn, so that each is cold when its turn comes again."""
        return math.ceil(CACHES_BETWEEN * self.cache_bytes / max(1, size)) + 1

    def _most_cold_calls(self, size: int, spare: float) -> int:
        """How many calls of a block are cold: one per copy that fits into memory, or any number if enough of them fit.

        At least one.
        """
        free = self.free_bytes()
        limit = spare if math.isnan(free) else min(spare, SHARE_OF_FREE * free)
        enough = self._copies_until_cold(size)
        copies = enough if limit == math.inf else max(1, int(limit // max(1, size)))
        return copies if copies < enough else UNLIMITED
