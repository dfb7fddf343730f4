"""The device clock: what the device works between two events, its queue filled before it may begin.

A kernel may be shorter than its launch. So the device sleeps while the host queues all calls of a block: the sleep is
the gate, and the start event stands behind it. A start event that the device has passed before all was queued means
that the gate opened too early: launches may be in the time, and the block is void. A sleep ends by itself, so a call
that waits for the device inside is only seen to wait, and cannot wait for ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.device.clock import UNDISTURBED_OF, Call, uncollected
from harness.device.definition import Event

QUEUING_SECONDS = 0.0005
"""How long the host may take to queue a block. A launch takes it 2 µs and more, so that no more than 250 kernels wait:
a CUDA stream holds about a thousand, and the host would wait for the gate to launch more."""

GATE_OVER_QUEUING = 2.0
LEAST_GATE_SECONDS = 0.0001
"""Shorter sleeps would save nothing: a void block costs more."""

LONGEST_GATE_SECONDS = 0.1
LONGER = 4.0
TRIES = 5
"""A gate of LEAST_GATE_SECONDS that is made LONGER so often is 26 ms: longer than queuing takes where a call does not
wait for the device."""

WAIT_SECONDS = 30.0
"""An event that the device has not passed so long after all was queued is taken to be never passed."""

DRAINED_SECONDS = 0.0002
"""An event behind an empty queue is passed in microseconds; behind a full one a thousand kernels come first."""

PAUSE_SECONDS = 0.00005

WAITS = "a call waits for the device itself"
TOO_SHORT = "it is too short for the events of the device"
FILLS = "a call fills the queue of the device, or waits for it and queues more"
EARLY = "the queue ran dry: the device began before all calls were queued"


class DeviceTimeout(Exception):
    """The device has not done its work in WAIT_SECONDS; a worker cannot wait for it in any other way either."""


@dataclass(frozen=True)
class Gated:
    """How a call is timed by the device clock: calls of a block, and the gate that queuing so many takes."""

    calls: int
    gate: float


@dataclass(frozen=True)
class Attempt:
    """Seconds of all calls between the events, and of queuing them; early: the gate opened too early; drained: it
    did, and the device had nothing left to do when the last call returned; result: that of the last call."""

    seconds: float
    queuing: float
    early: bool
    drained: bool
    result: Any


@dataclass(frozen=True)
class DeviceClock:
    """synchronize waits until the device is idle; sleep queues a sleep of so many seconds; event makes an event;
    counter reads nanoseconds of the host; pause lets the host rest while it waits for an event."""

    synchronize: Callable[[], object]
    sleep: Callable[[float], object]
    event: Callable[[], Event]
    counter: Callable[[], int] = time.perf_counter_ns
    pause: Callable[[float], object] = time.sleep

    def calibrate(self, call: Call, seconds: float) -> Gated | str:
        """How to time a call by blocks of about `seconds`; or why it has no device time.

        Raises DeviceTimeout, and what the call raises.
        """
        found = self._gated_once(call)
        if isinstance(found, str):
            return found
        again = [found, *(self.attempt([call], gate_for(found.queuing)) for _ in range(UNDISTURBED_OF - 1))]
        # The shortest counts: another process may have had its turn in the others.
        each, queuing = (min(getattr(one, name) for one in again) for name in ("seconds", "queuing"))
        if not each > 0:
            return TOO_SHORT
        calls = max(1, min(math.ceil(seconds / each), int(QUEUING_SECONDS / queuing)))
        while calls > 1:
            gated = Gated(calls, gate_for(calls * queuing))
            found = self.attempt([call] * calls, gated.gate)
            if not found.early:
                return gated
            longer = Gated(calls, gate_for(found.queuing))
            if not self.attempt([call] * calls, longer.gate).early:
                return longer
            calls //= 2
        return Gated(1, gate_for(queuing))

    def block(self, calls: Sequence[Call], gate: float, kept: list[Any] | None = None) -> tuple[float, float]:
        """(seconds of a call, the gate that it took) of a block; the seconds are NaN where every attempt was void.

        kept: the result of the last call is appended. Raises DeviceTimeout, and what a call raises.
        """
        for _ in range(TRIES):
            found = self.attempt(calls, gate)
            if kept is not None:
                kept.append(found.result)
            if not found.early:
                return found.seconds / len(calls), gate
            gate = min(LONGER * gate, LONGEST_GATE_SECONDS)
        return math.nan, gate

    def attempt(self, calls: Sequence[Call], gate: float) -> Attempt:
        """Queue the calls behind a gate of so many seconds, and wait for them."""
        begun, ended = self.event(), self.event()
        with uncollected():
            self.synchronize()
            self.sleep(gate)
            begun.record()
            begin = self.counter()
            result = None
            for call in calls:
                result = None
                result = call()
            ended.record()
            early = begun.query()
            queuing = (self.counter() - begin) * 1e-9
            drained = early and self._passes(ended, DRAINED_SECONDS)
        self._wait_for(ended)
        seconds = begun.elapsed_time(ended) * 1e-3
        return Attempt(seconds if seconds > 0 else math.nan, queuing, early, drained, result)

    def _gated_once(self, call: Call) -> Attempt | str:
        """One call behind a gate that stays closed until it is queued; or why there is none."""
        gate = LEAST_GATE_SECONDS
        for _ in range(TRIES):
            found = self.attempt([call], gate)
            if not found.early:
                return found
            gate = max(LONGER * gate, gate_for(found.queuing))
            if gate > LONGEST_GATE_SECONDS:
                break
        return WAITS if found.drained else FILLS

    def _wait_for(self, event: Event) -> None:
        """Raises DeviceTimeout: an event can be asked again and again, where a synchronise would hang."""
        if not self._passes(event, WAIT_SECONDS):
            raise DeviceTimeout(f"the device has not passed an event {WAIT_SECONDS:g} s after it was queued")

    def _passes(self, event: Event, seconds: float) -> bool:
        deadline = self.counter() + int(seconds * 1e9)
        while not event.query():
            if self.counter() > deadline:
                return False
            self.pause(PAUSE_SECONDS)
        return True


def gate_for(queuing: float) -> float:
    """Seconds of a gate behind which calls are queued that take so many seconds to be queued."""
    return max(GATE_OVER_QUEUING * queuing, LEAST_GATE_SECONDS)
