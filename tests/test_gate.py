"""The device clock, on a fake device in simulated time: what the gate keeps out, and gates that fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.device.accelerator import accelerator
from harness.device.clock import Clock
from harness.device.cpu import CPU
from harness.device.devices import DEVICES
from harness.device.gate import (
    FILLS,
    LEAST_GATE_SECONDS,
    LONGEST_GATE_SECONDS,
    TOO_SHORT,
    TRIES,
    WAIT_SECONDS,
    WAITS,
    DeviceClock,
    DeviceTimeout,
    Gated,
    gate_for,
)
from harness.study.cells import Case
from harness.worker.failures import failure
from harness.worker.graphs import wrong_replay
from harness.worker.on_device import CACHES_BETWEEN, DeviceBlocks
from harness.worker.open_case import OpenCase
from tests.asking import opening
from tests.fake_device import MICROSECOND, FakeDevice, Kernels

BLOCK_SECONDS = 0.001


def clock_of(fake: FakeDevice) -> DeviceClock:
    return DeviceClock(fake.synchronize, fake.sleep, fake.event, fake.counter, fake.pause)


def timed(fake: FakeDevice, call: Callable[[], Any]) -> float:
    """Seconds of a call by a block that was calibrated for it."""
    gated = clock_of(fake).calibrate(call, BLOCK_SECONDS)
    assert isinstance(gated, Gated), gated
    seconds, _ = clock_of(fake).block([call] * gated.calls, gated.gate)
    return seconds


def gates(fake: FakeDevice) -> int:
    return fake.log.count("sleep")


@pytest.mark.parametrize("kernel", [200, 1 * MICROSECOND, 10 * MICROSECOND, 5_000 * MICROSECOND])
@pytest.mark.parametrize("kernels", [1, 3])
def test_the_device_clock_tells_the_kernels_and_not_their_launches(kernel: int, kernels: int) -> None:
    fake = FakeDevice(launch=4 * MICROSECOND, latency=7 * MICROSECOND)
    call = fake.launches(kernel, kernels)
    assert timed(fake, call) == pytest.approx(kernels * kernel * 1e-9)
    wall = Clock(fake.synchronize, fake.counter).block(call, 100)
    assert wall >= max(kernels * kernel, kernels * fake.launch) * 1e-9


def test_work_from_before_the_block_is_not_in_it() -> None:
    fake = FakeDevice()
    fake.queue(10**9)
    assert timed(fake, fake.launches(5 * MICROSECOND)) == pytest.approx(5e-6)


def test_without_a_gate_the_launches_would_be_told() -> None:
    """What the fake is for: a sleep of nothing is no gate, and events alone tell the launch."""
    fake = FakeDevice(sleeps=0.0)
    found = clock_of(fake).attempt([fake.launches(MICROSECOND)] * 50, 1.0)
    assert found.early
    assert found.seconds / 50 == pytest.approx(fake.launch * 1e-9, rel=0.05)


def test_a_gate_that_opens_too_early_makes_the_block_void_and_the_next_gate_longer() -> None:
    fake = FakeDevice(sleeps=0.1)  # the rate of its cycles was read while it ran slowly
    call = fake.launches(MICROSECOND)
    calls, gate = 100, 0.0004
    assert clock_of(fake).attempt([call] * calls, gate).early
    before = gates(fake)
    seconds, longer = clock_of(fake).block([call] * calls, gate)
    assert seconds == pytest.approx(1e-6)
    assert longer > gate
    assert gates(fake) - before > 1


def test_a_gate_that_never_holds_gives_no_time_after_a_bounded_number_of_attempts() -> None:
    fake = FakeDevice(sleeps=0.0)
    seconds, gate = clock_of(fake).block([fake.launches(MICROSECOND)] * 100, 0.001)
    assert math.isnan(seconds)
    assert gates(fake) == TRIES
    assert gate == LONGEST_GATE_SECONDS  # the next block begins with it, and may be void too


@pytest.mark.parametrize("work", [0, 1 * MICROSECOND, 10_000 * MICROSECOND])
def test_a_method_that_waits_for_the_device_has_no_device_time_and_the_reason_says_why(work: int) -> None:
    fake = FakeDevice()
    launch = fake.launches(work)

    def call() -> None:
        launch()
        fake.synchronize()

    assert clock_of(fake).calibrate(call, BLOCK_SECONDS) == WAITS
    assert gates(fake) <= TRIES


def test_a_method_that_waits_and_then_queues_more_has_none_either() -> None:
    fake = FakeDevice()
    more = fake.launches(400 * MICROSECOND)

    def call() -> None:
        fake.synchronize()
        more()

    assert clock_of(fake).calibrate(call, BLOCK_SECONDS) == FILLS


@pytest.mark.parametrize(("depth", "kernels"), [(64, 10), (20, 10), (1024, 100)])
def test_a_block_is_short_enough_for_the_queue(depth: int, kernels: int) -> None:
    fake = FakeDevice(depth=depth)
    call = fake.launches(3 * MICROSECOND, kernels)
    gated = clock_of(fake).calibrate(call, 10.0)
    assert isinstance(gated, Gated)
    assert 1 <= gated.calls * kernels <= depth
    seconds, _ = clock_of(fake).block([call] * gated.calls, gated.gate)
    assert seconds == pytest.approx(kernels * 3e-6)


def test_a_call_that_fills_the_queue_has_no_device_time() -> None:
    fake = FakeDevice(depth=32)
    assert clock_of(fake).calibrate(fake.launches(100 * MICROSECOND, 100), BLOCK_SECONDS) == FILLS


def test_an_event_that_never_fires_is_a_timeout() -> None:
    fake = FakeDevice(fires=False)
    with pytest.raises(DeviceTimeout, match="has not passed an event 30 s after it was queued"):
        clock_of(fake).calibrate(fake.launches(MICROSECOND), BLOCK_SECONDS)
    assert WAIT_SECONDS <= fake.now * 1e-9 < 2 * WAIT_SECONDS


def test_what_queues_nothing_is_too_short_and_no_time_of_zero() -> None:
    fake = FakeDevice()
    assert clock_of(fake).calibrate(fake.works(MICROSECOND), BLOCK_SECONDS) == TOO_SHORT


def test_what_a_call_raises_is_raised() -> None:
    fake = FakeDevice()
    with pytest.raises(ZeroDivisionError):
        clock_of(fake).block([lambda: 1 // 0], 0.001)


def test_the_result_of_the_last_call_is_kept() -> None:
    fake, kept = FakeDevice(), list[Any]()
    results = iter(range(100))

    def call() -> int:
        fake.queue(MICROSECOND)
        return next(results)

    clock_of(fake).block([call] * 5, 0.001, kept)
    assert kept == [4]


def test_a_gate_is_twice_what_queuing_takes_and_never_very_short() -> None:
    assert gate_for(0.01) == 0.02
    assert gate_for(0.0) == LEAST_GATE_SECONDS


def test_a_neighbour_does_not_make_blocks_short() -> None:
    """One of the readings of the calibration is disturbed for 5 ms: the shortest counts."""
    fake, number = FakeDevice(), 0

    def call() -> None:
        nonlocal number
        number += 1
        if number == 2:
            fake.now += 5_000_000
        fake.queue(MICROSECOND)

    gated = clock_of(fake).calibrate(call, BLOCK_SECONDS)
    assert isinstance(gated, Gated)
    assert gated.calls > 100


# A cold cache


def test_copies_rotate_where_the_cache_is_to_be_cold() -> None:
    fake, read = FakeDevice(), list[int]()
    made = iter(range(10_000))

    def fresh() -> Callable[[], None]:
        number = next(made)

        def call() -> None:
            read.append(number)
            fake.queue(MICROSECOND)

        return call

    flushed: list[int] = []
    blocks = DeviceBlocks(clock_of(fake), lambda: flushed.append(len(read)), 4000, lambda: math.nan)
    calls = blocks.calibrate(("m", "forward"), fresh, 1000, BLOCK_SECONDS, math.inf)
    assert isinstance(calls, int)
    copies = 4 * CACHES_BETWEEN + 1
    assert calls > copies
    read.clear()
    assert blocks.time(("m", "forward"), fresh, 1000, calls, []) == pytest.approx(1e-6)
    untimed, *block = read
    assert flushed == [1]  # after the untimed call, before the block
    assert block == [block[0] + number % copies for number in range(calls)]
    assert untimed == block[0]


@pytest.mark.parametrize(("spare", "free"), [(3500.0, math.nan), (math.inf, 4 * 3500.0), (0.0, math.nan)])
def test_a_block_has_no_more_cold_calls_than_there_is_memory_for_copies(spare: float, free: float) -> None:
    fake = FakeDevice()
    blocks = DeviceBlocks(clock_of(fake), lambda: None, 1 << 20, lambda: free)
    calls = blocks.calibrate(("m", "f"), lambda: fake.launches(MICROSECOND), 1000, BLOCK_SECONDS, spare)
    assert calls == max(1, min(3500, spare) // 1000)


def test_a_void_attempt_leaves_no_warm_cache_to_the_next() -> None:
    """It has read the copies: without another flush the next attempt would find them in the cache."""
    fake = FakeDevice()
    flushed: list[int] = []
    blocks = DeviceBlocks(clock_of(fake), lambda: flushed.append(gates(fake)), 1 << 20, lambda: math.nan)
    call = fake.launches(MICROSECOND)
    assert blocks.calibrate(("m", "f"), lambda: call, 1000, BLOCK_SECONDS, 4000.0) == 4
    fake.sleeps = 0.0  # from now on every gate opens too early
    before = gates(fake)
    assert math.isnan(blocks.time(("m", "f"), lambda: call, 1000, 4, []))
    assert flushed == [before + attempt for attempt in range(TRIES)]


# In a worker


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    """A fake in the place of the CPU, whose kernels take 3 µs each, a launch 5."""
    fake = FakeDevice(launch=5 * MICROSECOND)
    monkeypatch.setitem(DEVICES, "cpu", fake.device())
    with Kernels(fake, 3 * MICROSECOND):
        yield fake


def counted(fake: FakeDevice, call: Callable[[], Any]) -> int:
    """How many kernels a call queues."""
    before = fake.idle_at
    fake.synchronize()
    call()
    fake.synchronize()
    return (fake.idle_at - before) // (3 * MICROSECOND)


def test_a_worker_times_by_both_clocks(fake: FakeDevice) -> None:
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward", "backward"]))
    reply = case.check("native", ())
    assert (reply["status"], reply["reason"]) == ("ok", "")
    assert {phase: set(own) for phase, own in reply["calls"].items()} == {
        "forward": {"wall", "device"},
        "backward": {"wall", "device"},
    }
    for phase, calls in reply["calls"].items():
        wall = case.time("native", phase, calls["wall"], "wall")
        device = case.time("native", phase, calls["device"], "device")
        assert device == pytest.approx(round(device / 3e-6) * 3e-6)
        assert device >= 3e-6
        assert wall > 1.5 * device


def test_a_method_that_reads_a_value_has_the_wall_clock_alone(fake: FakeDevice) -> None:
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward"]))
    reply = case.check("tests.planted.waiting:reads_a_value", ())
    assert (reply["status"], set(reply["calls"]["forward"])) == ("ok", {"wall"})
    assert reply["reason"] == f"forward: no device time: {WAITS}"
    assert case.time("tests.planted.waiting:reads_a_value", "forward", 1) > 0


def test_a_cpu_and_an_accelerator_that_cannot_sleep_have_no_clock_of_their_own() -> None:
    assert DeviceBlocks.of(CPU, None) is None
    assert DeviceBlocks.of(accelerator("xpu"), None) is None
    case = OpenCase(opening(Case(n=64, k=4), phases=["forward"]))
    assert case.check("native", ())["calls"]["forward"].keys() == {"wall"}
    with pytest.raises(ValueError, match="cpu has no clock of its own"):
        case.time("native", "forward", 1, "device")


# Graphs


def test_a_graph_is_replayed_with_one_launch_and_tells_the_same_device_time(fake: FakeDevice) -> None:
    """The cross-check of the clock: by the device clock a replay takes as long as the calls, by the wall clock less."""
    seconds: dict[tuple[str, str], float] = {}
    for transform in ("eager", "graph"):
        case = OpenCase(opening(Case(n=64, k=4, transform=transform), phases=["forward", "backward"]))
        reply = case.check("gather", ())
        assert (reply["status"], reply["reason"], set(reply["calls"])) == ("ok", "", {"forward", "backward"})
        for clock, calls in reply["calls"]["backward"].items():
            seconds[transform, clock] = case.time("gather", "backward", calls, clock)
        assert case.check("copy", ())["status"] == "ok"
    assert seconds["graph", "device"] == pytest.approx(seconds["eager", "device"], rel=0.01)
    assert seconds["graph", "wall"] < 0.8 * seconds["eager", "wall"]


def test_what_cannot_be_captured_is_unsupported_with_its_message(fake: FakeDevice) -> None:
    case = OpenCase(opening(Case(n=64, k=4, transform="graph"), phases=["forward"]))
    reply = case.check("tests.planted.waiting:reads_a_value", ())
    assert reply["status"] == "unsupported"
    assert reply["reason"].startswith("no forward: cannot be captured as a graph: operation not permitted")
    assert case.check("native", ())["status"] == "ok"


def test_a_replay_that_returns_something_else_is_incorrect(fake: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(make: Callable[[], Callable[[], Any]]) -> Callable[[], Any]:
        return lambda: tuple(torch.zeros_like(each) for each in make()())

    monkeypatch.setitem(DEVICES, "cpu", replace(fake.device(), graph=stale))
    case = OpenCase(opening(Case(n=64, k=4, transform="graph"), phases=["forward"]))
    reply = case.check("native", ())
    assert (reply["status"], reply["calls"]) == ("incorrect", {})
    assert reply["reason"] == "forward: a replay of its graph returns another tensor 0 than the call itself"


def test_a_device_without_graphs_says_so_in_one_line() -> None:
    with pytest.raises(NotImplementedError, match=r"^cpu has no graphs that could be captured and replayed$") as caught:
        OpenCase(opening(Case(n=64, k=4, transform="graph")))
    assert failure(caught.value)["status"] == "unsupported"


@pytest.mark.parametrize(
    ("got", "want", "alike"),
    [
        ([1.0, math.nan, math.inf], [1.0, math.nan, math.inf], True),
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], True),
        ([1.0, 2.0], [1.0, 2.001], False),
        ([0.0, 0.0], [1.0, math.nan], False),
        ([math.inf], [-math.inf], False),
        ([1, 2], [1, 3], False),
        ([1, 2], [1.0, 2.0], False),
    ],
)
def test_replays_are_held_to_the_call(got: list[float], want: list[float], alike: bool) -> None:
    one, two = torch.tensor(got), torch.tensor(want)
    assert (wrong_replay((one, one), (one, two)) == "") == alike
    assert (wrong_replay(one.to_sparse(), one.to_sparse()) == "") or math.isnan(sum(got))


def test_torch_has_what_an_event_is_taken_to_be() -> None:
    assert {"record", "query", "elapsed_time"} <= set(dir(torch.Event(enable_timing=True)))
    assert callable(torch.cuda._sleep)
    assert {"replay", "capture_begin", "capture_end"} <= set(dir(torch.cuda.CUDAGraph))
