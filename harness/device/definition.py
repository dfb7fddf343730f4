"""What the harness asks of a device, as a value: a file a device fills it in, and a test fills it with a fake."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Event(Protocol):
    """A mark in the device's queue, as torch.Event(enable_timing=True) is one."""

    def record(self) -> None:
        """Put the mark at the end of the queue."""

    def query(self) -> bool:
        """Whether the device has passed the mark."""

    def elapsed_time(self, other: Any, /) -> float:
        """Milliseconds from this mark to the other; raises RuntimeError unless the device has passed both."""


@dataclass(frozen=True)
class Device:
    """One type of device, as the current process sees it.

    Without a queue there is neither event nor sleep; without a sleep there is no device clock (gate.py).

    type: torch's word for it. name: of the product, '' for a CPU, which names the machine already.
    synchronize: waits until the device has done all that was queued. event: makes an Event. sleep: queues a sleep of so
    many seconds. graph: captures what a call queues, and returns the call that queues it again; it is given what makes
    the call, and raises NotImplementedError where that cannot be captured.
    peak_bytes: bytes by which one call raises the peak of memory; NaN where that is not known. free_bytes: memory that
    could be allocated now; NaN where that is not known. cache_bytes: size of the last cache before memory.
    throttling: why the device runs slower than it could now, [] if it does not, None where that cannot be known.
    set_arithmetic: sets what a mode asks of products, for the whole process; raises NotImplementedError where the
    device has no such arithmetic. has_float64: whether its tensors can be float64. is_unusable: whether it no longer
    does even the least, so that every later call of the process would fail. counter: nanoseconds of the host's clock.
    pause: lets the host rest for so many seconds.
    """

    type: str
    name: Callable[[], str]
    synchronize: Callable[[], Any]
    event: Callable[[], Event] | None
    sleep: Callable[[float], Any] | None
    graph: Callable[[Callable[[], Callable[[], Any]]], Callable[[], Any]] | None
    peak_bytes: Callable[[Callable[[], Any]], float]
    free_bytes: Callable[[], float]
    cache_bytes: Callable[[], int]
    throttling: Callable[[], list[str] | None]
    set_arithmetic: Callable[[str], None]
    has_float64: Callable[[], bool]
    is_unusable: Callable[[], bool]
    counter: Callable[[], int] = time.perf_counter_ns
    pause: Callable[[float], Any] = time.sleep
