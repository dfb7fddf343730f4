"""Blocks by the device clock: how many calls a phase has in one, behind which gate, and on which copies.

Where the cache is to be cold, a flush inside the block would be timed. So each call reads a copy of its own, and what
was read before it has pushed that copy out: after ceil(5 L2 / bytes) + 1 of them the first may come again. Copies that
were just made are in the cache as well, so one flush comes before the gate.
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
"""Last-level caches of other data that are read before the same copy is read again."""

SHARE_OF_FREE = 0.25
"""Of the free memory: copies may have grown by what a phase prepares of them, such as a graph of autograd."""

Key = tuple[str, str]
"""(method, phase)."""


@dataclass
class DeviceBlocks:
    """flush: what makes the caches cold, or None; free_bytes: asked for what copies may take."""

    clock: DeviceClock
    flush: Callable[[], Any] | None
    cache_bytes: int
    free_bytes: Callable[[], float]
    gated: dict[Key, Gated] = field(default_factory=dict)

    @classmethod
    def of(cls, device: Device, flush: Callable[[], Any] | None) -> DeviceBlocks | None:
        """None for a device without a clock of its own: one that has no queue, or that cannot be made to sleep."""
        if device.event is None or device.sleep is None:
            return None
        clock = DeviceClock(device.synchronize, device.sleep, device.event, device.counter, device.pause)
        return cls(clock, flush, device.cache_bytes(), device.free_bytes)

    def calibrate(self, key: Key, fresh: Callable[[], Call], size: int, seconds: float, spare: float) -> int | str:
        """Calls of a block of about so many seconds; or why the phase has no device time.

        fresh makes the call on a new copy of what it reads, `size` bytes; spare: bytes that copies may take.
        """
        call = fresh()
        call()
        found = self.clock.calibrate(call, seconds)
        if isinstance(found, str):
            return found
        if self.flush is not None:
            found = Gated(min(found.calls, self._affordable(size, spare)), found.gate)
        self.gated[key] = found
        return found.calls

    def time(self, key: Key, fresh: Callable[[], Call], size: int, calls: int, kept: list[Any]) -> float:
        """Seconds of a call in one block, after one call that is not timed; NaN: the gate opened too early each time.

        kept: on return the result of the first, untimed call and that of the last one.
        """
        copies = 1 if self.flush is None else min(calls, self._until_cold(size))
        each = [fresh() for _ in range(copies)]
        kept.append(each[0]())
        if self.flush is not None:
            self.flush()
        in_turn = [each[number % copies] for number in range(calls)]
        seconds, gate = self.clock.block(in_turn, self.gated[key].gate, kept)
        self.gated[key] = Gated(self.gated[key].calls, gate)
        return seconds

    def _until_cold(self, size: int) -> int:
        """How many copies are read in turn."""
        return math.ceil(CACHES_BETWEEN * self.cache_bytes / max(1, size)) + 1

    def _affordable(self, size: int, spare: float) -> int:
        """How many copies there is memory for; as many calls are cold, one at least."""
        free = self.free_bytes()
        limit = min(spare, SHARE_OF_FREE * free) if free == free else spare
        most = self._until_cold(size)
        copies = most if limit == math.inf else max(1, int(limit // max(1, size)))
        return copies if copies < most else 1 << 30
