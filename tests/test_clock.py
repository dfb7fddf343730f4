"""The clock, by fake counters: what is inside a block, how calls are calibrated, that devices are waited for."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from harness.measure.clock import Clock, clock_for


class FakeTime:
    """A counter of nanoseconds that only work moves, and an accelerator that works behind the caller's back."""

    def __init__(self) -> None:
        self.now = 0
        self.queued = 0
        self.log: list[str] = []

    def counter(self) -> int:
        self.log.append("read")
        return self.now

    def synchronize(self) -> None:
        self.log.append("wait")
        self.now += self.queued
        self.queued = 0

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
        return Clock(self.synchronize, self.counter)


def test_a_block_is_the_mean_of_its_calls() -> None:
    fake = FakeTime()
    assert fake.clock.block(fake.works(250), 4) == pytest.approx(250e-9)


def test_only_the_calls_are_between_the_readings() -> None:
    fake = FakeTime()
    fake.clock.block(fake.works(1), 2)
    assert fake.log == ["wait", "read", "call", "call", "wait", "read"]


def test_work_queued_on_a_device_is_waited_for() -> None:
    fake = FakeTime()
    fake.queued = 10**9  # work from before the block is not its own
    assert fake.clock.block(fake.launches(1000), 3) == pytest.approx(1000e-9)


def test_without_a_synchronise_queued_work_would_be_missed() -> None:
    fake = FakeTime()
    assert Clock(counter=fake.counter).block(fake.launches(1000), 3) == 0


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
    assert clock_for("cpu") == Clock()


def test_an_accelerator_is_synchronised() -> None:
    import torch

    assert clock_for("cuda").synchronize is torch.accelerator.synchronize
