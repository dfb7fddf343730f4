"""A device in simulated time: a queue of kernels with durations, launches that cost the host, a sleep, and events.

Only what is asked of it moves its time, so a test of the clock takes none and depends on no other process. It stands
in for any type of device: its tensors are a CPU's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.device.definition import Device
from harness.vocabulary import HOST

MICROSECOND = 1_000
QUERY_NANOSECONDS = 200


@dataclass
class FakeDevice:
    """Times are whole nanoseconds. A method under test calls `kernel`, and `synchronize` if it waits for the device.

    launch: what a launch costs the host; depth: launches that the queue holds before the next one waits;
    latency: how late the host learns that the device is idle; sleeps: how long its sleeps are, of what was asked;
    fires: whether events are ever passed; launched: how many kernels, events and sleeps were queued; log: what was
    asked of it, in order.
    """

    launch: int = 2 * MICROSECOND
    depth: int = 1024
    latency: int = 0
    fires: bool = True
    sleeps: float = 1.0
    now: int = 0
    idle_at: int = 0
    launched: int = 0
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
        self.launched += 1
        self.idle_at = max(self.now, self.idle_at) + nanoseconds
        self._ends.append(self.idle_at)
        return self.idle_at

    def sleep(self, seconds: float) -> None:
        self.log.append("sleep")
        self.queue(int(seconds * 1e9 * self.sleeps))

    def pause(self, seconds: float) -> None:
        """The host rests."""
        self.now += int(seconds * 1e9)

    def graph(self, make: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        """The call, whose kernels follow each other without a launch of their own; a wait inside cannot be captured."""
        call = make()
        before, self.launch = self.launch, 0
        waits = self.log.count("wait")
        try:
            call()
        finally:
            self.launch = before
        if self.log.count("wait") > waits:
            raise NotImplementedError("cannot be captured as a graph: operation not permitted when stream is capturing")

        def replay() -> Any:
            self.now += before
            self.launch = 0
            try:
                return call()
            finally:
                self.launch = before

        return replay

    def event(self) -> FakeEvent:
        return FakeEvent(self)

    def device(self, word: str = HOST) -> Device:
        """What the harness is given: a device of this type, whose answers are this one's."""
        return Device(
            type=word,
            name=lambda: "a fake",
            synchronize=self.synchronize,
            event=self.event,
            sleep=self.sleep,
            graph=self.graph,
            peak_bytes=lambda call: float("nan"),
            free_bytes=lambda: float("nan"),
            cache_bytes=lambda: 1 << 20,
            throttling=lambda: None,
            set_arithmetic=lambda mode: None,
            has_float64=lambda: True,
            is_unusable=lambda: False,
            counter=self.counter,
            pause=self.pause,
        )


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered every operation of torch is a kernel of a fake device, and reading a value waits for it.

    A kernel takes `nanoseconds`, and so many more for each element of the tensors that it is given.
    """

    def __init__(self, fake: FakeDevice, nanoseconds: int, per_element: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fake, self.nanoseconds, self.per_element = fake, nanoseconds, per_element

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.fake.synchronize()
        else:
            elements = sum(each.numel() for each in args if isinstance(each, torch.Tensor))
            self.fake.queue(self.nanoseconds + self.per_element * elements)
        return func(*args, **(kwargs or {}))


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
