"""The device clock: time between two events in the device's queue, which the host fills before the device may begin.

A kernel may be shorter than its launch. So the device sleeps while the host queues all calls of a block: the sleep is
the gate, and the start event stands behind it. If the device passes the start event before the host has queued all
calls, the gate opened too early: the time may include launches, and the block is void. A sleep ends by itself, so a
call that synchronises inside is noticed and never deadlocks.
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
"""How long queuing a block may take the host. A launch takes 2 µs or more, so at most 250 kernels wait in the queue. A
CUDA stream holds about a thousand, as its users found (NVIDIA documents no number); beyond that the host would wait for
the gate before it could launch more."""

GATE_OVER_QUEUING = 2.0
"""The gate lasts this many times as long as queuing took when it was measured: too long a gate costs only time."""

LEAST_GATE_SECONDS = 0.0001
"""A shorter sleep would save less than one void block costs."""

LONGEST_GATE_SECONDS = 0.1
LONGER = 4.0
"""After a gate that opened too early, the next one lasts this many times as long."""

TRIES = 5
"""Attempts at one block. The last gate, LEAST_GATE_SECONDS times LONGER for every attempt before it, is 26 ms: no call
takes that long to queue unless it waits for the device."""

WAIT_SECONDS = 30.0
"""If the device has not passed an event this long after it was queued, the harness assumes that it never will."""

DRAINED_SECONDS = 0.0002
"""The device passes an event within microseconds if its queue is empty, but only after a thousand kernels if it is
full: this tells the two apart."""

PAUSE_SECONDS = 0.00005

WAITS = "a call waits for the device itself"
TOO_SHORT = "it is too short for the events of the device"
FILLS = "a call fills the queue of the device, or waits for it and queues more"
EARLY = "the queue ran dry: the device began before all calls were queued"


class DeviceTimeout(Exception):
    """The device has not finished within WAIT_SECONDS. Any other wait for it would hang."""


@dataclass(frozen=True)
class Gated:
    """How the device clock times a call: the calls of a block, and the seconds of the gate behind which they queue."""

    calls: int
    gate: float


@dataclass(frozen=True)
class Attempt:
    """One attempt at a block.

    seconds: between the events, for all calls; NaN unless positive. queuing: seconds that the host took to queue them.
    early: the gate opened too early. drained: it did, and the device had run out of work when the last call returned.
    result: of the last call.
    """

    seconds: float
    queuing: float
    early: bool
    drained: bool
    result: Any


@dataclass(frozen=True)
class DeviceClock:
    """synchronize waits until the device is idle; sleep queues a sleep of some seconds; event makes an event; counter
    returns nanoseconds of the host's clock; pause lets the host rest while it waits for an event."""

    synchronize: Callable[[], object]
    sleep: Callable[[float], object]
    event: Callable[[], Event]
    counter: Callable[[], int] = time.perf_counter_ns
    pause: Callable[[float], object] = time.sleep

    def calibrate(self, call: Call, seconds: float) -> Gated | str:
        """How to time a call in blocks of about `seconds`; or the reason why it has no device time.

        Raises DeviceTimeout, and whatever the call raises.
        """
        first = self._gated_once(call)
        if isinstance(first, str):
            return first
        attempts = [first, *(self.attempt([call], gate_for(first.queuing)) for _ in range(UNDISTURBED_OF - 1))]
        # The shortest counts: another process may have interrupted the others.
        per_call, queuing = (min(getattr(attempt, name) for attempt in attempts) for name in ("seconds", "queuing"))
        if not per_call > 0:
            return TOO_SHORT
        calls = max(1, min(math.ceil(seconds / per_call), int(QUEUING_SECONDS / queuing)))
        while calls > 1:
            gated = Gated(calls, gate_for(calls * queuing))
            attempt = self.attempt([call] * calls, gated.gate)
            if not attempt.early:
                return gated
            longer = Gated(calls, gate_for(attempt.queuing))
            if not self.attempt([call] * calls, longer.gate).early:
                return longer
            calls //= 2
        return Gated(1, gate_for(queuing))

    def block(
        self,
        calls: Sequence[Call],
        gate: float,
        kept: list[Any] | None = None,
        before: Callable[[], object] = lambda: None,
    ) -> tuple[float, float]:
        """Seconds per call of one block, NaN if every attempt was void; and the gate to begin with next time.

        kept: a list to which the result of each attempt's last call is appended. before: called before each attempt,
        since a void one has read the tensors that the next one reads. Raises DeviceTimeout, and whatever a call raises.
        """
        for _ in range(TRIES):
            before()
            attempt = self.attempt(calls, gate)
            if kept is not None:
                kept.append(attempt.result)
            if not attempt.early:
                return attempt.seconds / len(calls), gate
            gate = min(LONGER * gate, LONGEST_GATE_SECONDS)
        return math.nan, gate

    def attempt(self, calls: Sequence[Call], gate: float) -> Attempt:
        """Queue the calls behind a gate of this many seconds, and wait until the device has finished them."""
        begun, ended = self.event(), self.event()
        with uncollected():
            self.synchronize()
            self.sleep(gate)
            begun.record()
            begin = self.counter()
            result = None
            for call in calls:
                result = None  # freed before the next call, which may then get the same memory
                result = call()
            ended.record()
            early = begun.query()
            queuing = (self.counter() - begin) * 1e-9
            drained = early and self._passes(ended, DRAINED_SECONDS)
        self._wait_for(ended)
        seconds = begun.elapsed_time(ended) * 1e-3
        return Attempt(seconds if seconds > 0 else math.nan, queuing, early, drained, result)

    def _gated_once(self, call: Call) -> Attempt | str:
        """An attempt at one call whose gate stayed closed until it was queued; or why there is none."""
        gate = LEAST_GATE_SECONDS
        for _ in range(TRIES):
            attempt = self.attempt([call], gate)
            if not attempt.early:
                return attempt
            gate = max(LONGER * gate, gate_for(attempt.queuing))
            if gate > LONGEST_GATE_SECONDS:
                break
        return WAITS if attempt.drained else FILLS

    def _wait_for(self, event: Event) -> None:
        """Poll the event, since a synchronise could hang for ever; raises DeviceTimeout."""
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
    """Seconds of the gate for calls that the host takes `queuing` seconds to queue."""
    return max(GATE_OVER_QUEUING * queuing, LEAST_GATE_SECONDS)
