"""What torch.accelerator does for every accelerator: the default of each, and all that is known of most."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from harness.device.arithmetic import refuse, set_products
from harness.device.cache import UNKNOWN_CACHE_BYTES
from harness.device.definition import Device, Event


def accelerator(word: str) -> Device:
    """A device of this type, of which no more is known than torch.accelerator knows."""
    return Device(
        type=word,
        name=lambda: word,
        synchronize=torch.accelerator.synchronize,
        event=functools.partial(recorded_event, word),
        sleep=None,
        graph=None,
        peak_bytes=allocator_peak,
        free_bytes=free_bytes,
        cache_bytes=lambda: UNKNOWN_CACHE_BYTES,
        throttling=lambda: None,
        set_arithmetic=functools.partial(set_arithmetic, word),
        has_float64=functools.partial(has_float64, word),
        is_unusable=functools.partial(is_unusable, word),
    )


def current_type() -> str | None:
    """The type of the accelerator of this machine; None where torch finds none that works."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return None if found is None else found.type


def recorded_event(word: str) -> Event:
    """An event that was recorded once: torch makes it at that time, which must not be inside a block."""
    event = torch.Event(word, enable_timing=True)
    event.record()
    return event


def allocator_peak(call: Callable[[], Any]) -> float:
    """Bytes of the allocator's peak during a call, less what was allocated before; NaN where it keeps no statistics."""
    torch.accelerator.synchronize()
    before = _statistic(_reset_and_read)
    kept = call()
    torch.accelerator.synchronize()
    peak = _statistic(torch.accelerator.max_memory_allocated)
    del kept
    return peak - before


def free_bytes() -> float:
    """Bytes that torch could allocate now: free on the device, and those that its allocator holds for later."""
    reserved = _statistic(torch.accelerator.memory_reserved) - _statistic(torch.accelerator.memory_allocated)
    return _statistic(lambda: torch.accelerator.get_memory_info()[0]) + reserved


def _reset_and_read() -> int:
    torch.accelerator.reset_peak_memory_stats()
    return torch.accelerator.memory_allocated()


def _statistic(ask: Callable[[], float]) -> float:
    """NaN where the allocator of the device, or this torch, has no such statistic."""
    try:
        return float(ask())
    except (RuntimeError, AttributeError, NotImplementedError):
        return float("nan")


def set_arithmetic(word: str, mode: str) -> None:
    """Every switch of products; raises NotImplementedError for a mode whose arithmetic is not known of this device."""
    refuse(word, mode)
    set_products(mode)


def has_float64(word: str) -> bool:
    """Whether the device makes tensors of float64: mps raises TypeError, others say that it is not implemented."""
    try:
        torch.zeros(1, dtype=torch.float64, device=word)
    except (TypeError, NotImplementedError):
        return False
    return True


def is_unusable(word: str) -> bool:
    """Whether a device does not do even the least any more.

    After an illegal address or a failed assertion in a kernel, CUDA answers every later call of the process with the
    same error, for which other methods would be blamed.
    """
    try:
        torch.accelerator.synchronize()
        return torch.ones(1, device=word).item() != 1
    except (MemoryError, torch.OutOfMemoryError):
        return False
    except Exception:  # a build without the device raises AssertionError
        return True
