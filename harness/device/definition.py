"""What the harness needs from a device, as one frozen value that a file per device, or a fake in a test, fills in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Event(Protocol):
    """A mark in the device's queue, such as torch.Event(enable_timing=True)."""

    def record(self) -> None:
        """Put the mark at the end of the queue."""

    def query(self) -> bool:
        """Whether the device has passed the mark."""

    def elapsed_time(self, other: Any, /) -> float:
        """Milliseconds from this mark to the other; raises RuntimeError unless the device has passed both."""


@dataclass(frozen=True)
class Device:
    """One type of device, as the current process sees it.

    A device without a queue has neither event nor sleep; one that cannot sleep has no device clock (gate.py).
    """

    type: str
    """torch's word for it, such as 'cuda'."""
    name: Callable[[], str]
    """Name of the product; '' for the CPU, which has the name of the machine."""
    synchronize: Callable[[], Any]
    """Wait until the device has finished everything in its queue."""
    event: Callable[[], Event] | None
    """Make an Event."""
    sleep: Callable[[float], Any] | None
    """Queue a sleep of this many seconds."""
    graph: Callable[[Callable[[], Callable[[], Any]]], Callable[[], Any]] | None
    """Given a function that makes a call, capture what the call queues, and return a call that queues it again. Raises
    NotImplementedError if it cannot be captured."""
    peak_bytes: Callable[[Callable[[], Any]], float]
    """Bytes by which one call raises the peak of memory; NaN if not known."""
    free_bytes: Callable[[], float]
    """Bytes that could be allocated now; NaN if not known."""
    cache_bytes: Callable[[], int]
    """Size of the last cache before memory."""
    throttling: Callable[[], list[str] | None]
    """Why the device runs below its full speed now: [] if it does not, None if that cannot be known."""
    set_arithmetic: Callable[[str], None]
    """Set the arithmetic of products that a mode asks for, for the whole process. Raises NotImplementedError if the
    device lacks it."""
    has_float64: Callable[[], bool]
    """Whether the device supports float64 tensors."""
    is_unusable: Callable[[], bool]
    """Whether even the simplest operation fails, so that every later call of the process would fail too."""
    counter: Callable[[], int] = time.perf_counter_ns
    """Nanoseconds of the host's clock."""
    pause: Callable[[float], Any] = time.sleep
    """Let the host rest for this many seconds."""
