"""The clock, by fake counters: what is inside a block, how calls are calibrated, that devices are waited for."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.device.clock import BlockTime, Clock, clock_for
from harness.device.cpu import CPU
from harness.device.devices import device_of
from harness.measure.failures import failure


class FakeTime:
    """A counter of nanoseconds that only work moves, and an accelerator that works behind the caller's back.

    Its events stand in the queue: each is reached when the work before it is done, and that is when it is waited for.
    """

    def __init__(self) -> None:
        self.now = 0
        self.queued = 0
        self.reached = 0
        self.latency = 0
        self.log: list[str] = []
        self.events = (FakeEvent(self), FakeEvent(self))

    def counter(self) -> int:
        self.log.append("read")
        return self.now

    def synchronize(self) -> None:
        self.log.append("wait")
        self.now += self.queued
        self.queued = 0
        self.reached = self.now
        self.now += self.latency

    def works(self, nanoseconds: int) -> Callable[[], None]:
        def call() -> None:
            self.log.append("call")
            self.now += nanoseconds

        return call

    def launches(self, nanoseconds: int) -> Callable[[], None]:
        def call() -> None:
            self.queued += nanoseconds

        return call

    @property
    def clock(self) -> Clock:
        return Clock(self.synchronize, self.counter, self.events)


class FakeEvent:
    """An event of a FakeTime; as torch's, it tells no time before the device has reached it."""

    def __init__(self, fake: FakeTime) -> None:
        self.fake, self.at = fake, -1

    def record(self) -> None:
        self.fake.log.append("event")
        self.at = self.fake.now + self.fake.queued

    def query(self) -> bool:
        return 0 <= self.at <= self.fake.reached

    def elapsed_time(self, other: Any, /) -> float:
        if self.at < 0 or other.at > self.fake.reached:
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return (other.at - self.at) * 1e-6


def test_a_block_is_the_mean_of_its_calls() -> None:
    fake = FakeTime()
    assert fake.clock.block(fake.works(250), 4).seconds == pytest.approx(250e-9)


def test_only_the_calls_are_between_the_readings() -> None:
    fake = FakeTime()
    Clock(fake.synchronize, fake.counter).block(fake.works(1), 2)
    assert fake.log == ["wait", "read", "call", "call", "wait", "read"]


def test_events_stand_around_the_calls_inside_the_synchronised_span() -> None:
    fake = FakeTime()
    fake.clock.block(fake.works(1), 2)
    assert fake.log == ["wait", "read", "event", "call", "call", "event", "wait", "read"]


def test_events_tell_the_time_of_the_device_beside_the_wall_clock() -> None:
    """Work from before the block is in neither; that the wait is told late is in the wall clock's alone."""
    fake = FakeTime()
    fake.queued, fake.latency = 10**9, 800
    lasted = fake.clock.block(fake.launches(1000), 4)
    assert lasted.seconds == pytest.approx(1200e-9)
    assert lasted.device_seconds == pytest.approx(1000e-9)


@pytest.mark.parametrize("calls", [1, 7])
def test_without_events_the_device_tells_nothing(calls: int) -> None:
    fake = FakeTime()
    assert math.isnan(Clock(fake.synchronize, fake.counter).block(fake.works(5), calls).device_seconds)
    assert math.isnan(Clock().block(lambda: None, calls).device_seconds)
    assert math.isnan(BlockTime(1.0).device_seconds)


def test_what_is_too_short_for_events_is_no_time_of_zero() -> None:
    fake = FakeTime()
    assert math.isnan(fake.clock.block(lambda: None, 3).device_seconds)


def test_events_that_nobody_waited_for_are_a_failure_not_a_time() -> None:
    """What a missing synchronise looks like: the message is torch's, the status is not ok."""
    fake = FakeTime()
    with pytest.raises(RuntimeError, match="must be completed") as caught:
        Clock(counter=fake.counter, events=fake.events).block(fake.launches(1000), 3)
    assert failure(caught.value)["status"] == "unsupported"


def test_work_queued_on_a_device_is_waited_for() -> None:
    fake = FakeTime()
    fake.queued = 10**9  # work from before the block is not its own
    assert fake.clock.block(fake.launches(1000), 3).seconds == pytest.approx(1000e-9)


def test_without_a_synchronise_queued_work_would_be_missed() -> None:
    fake = FakeTime()
    assert Clock(counter=fake.counter).block(fake.launches(1000), 3).seconds == 0


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_is_off_inside_and_restored(collecting: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        inside: list[bool] = []
        Clock().block(lambda: inside.append(gc.isenabled()), 1)
        with pytest.raises(ZeroDivisionError):
            Clock().block(lambda: 1 // 0, 1)
        assert inside == [False]
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize(
    ("call_nanoseconds", "block_seconds", "calls"), [(10_000, 0.001, 100), (3_000_000, 0.001, 1), (7_000, 0.0001, 15)]
)
def test_calibration_fills_the_block(call_nanoseconds: int, block_seconds: float, calls: int) -> None:
    fake = FakeTime()
    assert fake.clock.calls_for(fake.works(call_nanoseconds), block_seconds) == calls


def test_calibration_is_not_misled_by_a_neighbour() -> None:
    """The second loop of each length is interrupted for 5 ms: the shortest of three counts."""
    fake = FakeTime()
    readings = 0

    def interrupted() -> int:
        nonlocal readings
        readings += 1
        if readings % 6 == 4:  # the end of the second of three loops
            fake.now += 5_000_000
        return fake.now

    assert Clock(fake.synchronize, interrupted).calls_for(fake.works(10_000), 0.001) == 100


def test_the_cpu_has_nothing_to_wait_for() -> None:
    assert clock_for(CPU).events is None


def test_an_accelerator_is_synchronised_and_has_events_that_are_made_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[str, bool]] = []
    fake = FakeTime()

    def event(device: str, *, enable_timing: bool) -> FakeEvent:
        made.append((device, enable_timing))
        return FakeEvent(fake)

    monkeypatch.setattr(torch, "Event", event)
    clock = clock_for(device_of("cuda"))
    assert clock.synchronize is torch.accelerator.synchronize
    assert made == [("cuda", True)] * 2
    assert fake.log == ["event"] * 2


def test_torch_has_what_an_event_is_taken_to_be() -> None:
    assert {"record", "elapsed_time"} <= set(dir(torch.Event(enable_timing=True)))
