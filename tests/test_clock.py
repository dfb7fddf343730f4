"""The wall clock, by fake counters: what is inside a block, how calls are calibrated, that devices are waited for."""

from __future__ import annotations

import gc

import pytest

from harness.device.clock import Clock
from tests.fake_device import FakeDevice


def clock_of(fake: FakeDevice) -> Clock:
    return Clock(fake.synchronize, fake.counter)


def test_a_block_is_the_mean_of_its_calls() -> None:
    fake = FakeDevice()
    assert clock_of(fake).block(fake.works(250), 4) == pytest.approx(250e-9)


def test_only_the_calls_are_between_the_readings() -> None:
    fake = FakeDevice()
    Clock(fake.synchronize, fake.counter).block(fake.works(1), 2)
    assert fake.log == ["wait", "read", "call", "call", "wait", "read"]


def test_work_queued_on_a_device_is_waited_for() -> None:
    fake = FakeDevice()
    fake.queue(10**9)  # work from before the block is not its own
    assert clock_of(fake).block(fake.launches(9000), 3) == pytest.approx(9000e-9, rel=0.1)


def test_without_a_synchronise_queued_work_would_be_missed() -> None:
    fake = FakeDevice()
    assert Clock(counter=fake.counter).block(fake.launches(9000), 3) == pytest.approx(fake.launch * 1e-9)


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
    fake = FakeDevice()
    assert clock_of(fake).calls_for(fake.works(call_nanoseconds), block_seconds) == calls


def test_calibration_takes_a_few_short_loops() -> None:
    """Three single calls, then three loops that are long enough: 0.78 ms in all, where a block lasts 10."""
    fake = FakeDevice()
    clock_of(fake).calls_for(fake.works(10_000), 0.01)
    assert fake.now <= 3 * (10_000 + 250_000)


def test_a_first_call_that_is_quick_is_not_believed() -> None:
    """A millisecond a call, but the first three take a nanosecond, so that 250,000 would be wanted: 32 are tried."""
    fake, called = FakeDevice(), 0

    def call() -> None:
        nonlocal called
        called += 1
        fake.works(1 if called <= 3 else 1_000_000)()

    assert clock_of(fake).calls_for(call, 0.01) == 10
    assert called <= 3 + 3 * 32


def test_calibration_is_not_misled_by_a_neighbour() -> None:
    """The second loop of each length is interrupted for 5 ms: the shortest of three counts."""
    fake = FakeDevice()
    readings = 0

    def interrupted() -> int:
        nonlocal readings
        readings += 1
        if readings % 6 == 4:  # the end of the second of three loops
            fake.now += 5_000_000
        return fake.now

    assert Clock(fake.synchronize, interrupted).calls_for(fake.works(10_000), 0.001) == 100


@pytest.mark.parametrize(("seconds", "times"), [(0.001, 3), (0.5, 1)])
def test_a_long_measurement_is_not_repeated(seconds: float, times: int) -> None:
    taken: list[float] = []

    def measure() -> float:
        taken.append(seconds)
        return seconds

    assert Clock().undisturbed(measure) == seconds
    assert len(taken) == times
