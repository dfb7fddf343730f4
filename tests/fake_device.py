"""A device in simulated time: a queue of kernels with durations, launches that cost the host, a sleep, and events.

Only what is asked of it moves its time, so a test of the clock takes none and depends on no other process. It stands
in for any type of device: its tensors are a CPU's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.device.definition import Device
from harness.vocabulary import HOST

MICROSECOND = 1_000
QUERY_NANOSECONDS = 200


@dataclass
class FakeDevice:
    """Times are whole nanoseconds. A method under test calls `kernel`, and `synchronize` if it waits for the device.

    launch: what a launch costs the host; depth: launches that the queue holds before the next one waits;
    latency: how late the host learns that the device is idle; log: what was asked of it, in order.
    """

    launch: int = 2 * MICROSECOND
    depth: int = 1024
    latency: int = 0
    fires: bool = True
    now: int = 0
    idle_at: int = 0
    log: list[str] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def counter(self) -> int:
        """The clock of the host."""
        self.log.append("read")
        return self.now

    def synchronize(self) -> None:
        self.log.append("wait")
        self.now = max(self.now, self.idle_at) + self.latency

    def works(self, nanoseconds: int) -> Callable[[], None]:
        """A call that keeps the host busy and queues nothing."""

        def call() -> None:
            self.log.append("call")
            self.now += nanoseconds

        return call

    def launches(self, nanoseconds: int, kernels: int = 1) -> Callable[[], None]:
        """A call that queues so many kernels, each of so many nanoseconds."""

        def call() -> None:
            self.log.append("call")
            for _ in range(kernels):
                self.queue(nanoseconds)

        return call

    def queue(self, nanoseconds: int) -> int:
        """Launch work of that length; returns when the device will have done it."""
        self._ends = [end for end in self._ends if end > self.now]
        if len(self._ends) >= self.depth:
            self.now = max(self.now, self._ends[-self.depth])
        self.now += self.launch
        self.idle_at = max(self.now, self.idle_at) + nanoseconds
        self._ends.append(self.idle_at)
        return self.idle_at

    def event(self) -> FakeEvent:
        return FakeEvent(self)

    def device(self, word: str = HOST) -> Device:
        """What the harness is given: a device of this type, whose answers are this one's."""
        return Device(
            type=word,
            name=lambda: "a fake",
            synchronize=self.synchronize,
            event=self.event,
            peak_bytes=lambda call: float("nan"),
            free_bytes=lambda: float("nan"),
            cache_bytes=lambda: 1 << 20,
            throttling=lambda: None,
            set_arithmetic=lambda mode: None,
            has_float64=lambda: True,
            is_unusable=lambda: False,
        )


@dataclass
class FakeEvent:
    """An event of a FakeDevice; like torch's, it has no time before the device has passed it."""

    fake: FakeDevice
    at: float = float("-inf")

    def record(self) -> None:
        self.fake.log.append("event")
        self.at = self.fake.queue(0) if self.fake.fires else float("inf")

    def query(self) -> bool:
        self.fake.now += QUERY_NANOSECONDS
        return self.at <= self.fake.now

    def elapsed_time(self, other: Any, /) -> float:
        if self.at < 0 or max(self.at, other.at) > self.fake.now:
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return (other.at - self.at) * 1e-6
