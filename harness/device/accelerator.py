"""What torch.accelerator offers for any accelerator: the default, and all that the harness knows of most of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from harness.device.arithmetic import refuse, set_products
from harness.device.cache import UNKNOWN_CACHE_BYTES
from harness.device.definition import Device, Event


def accelerator(word: str) -> Device:
    """A device of this type (torch's word for it) that does only what torch.accelerator does for all of them."""
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
    """The type of this machine's accelerator; None if torch finds no working one."""
    current = torch.accelerator.current_accelerator(check_available=True)
    return None if current is None else current.type


def recorded_event(word: str) -> Event:
    """An event that has already been recorded once.

    torch creates the device's event at the first record, which must not happen inside a block.
    """
    event = torch.Event(word, enable_timing=True)
    event.record()
    return event


def allocator_peak(call: Callable[[], Any]) -> float:
    """Bytes by which a call raises the allocator's peak above what was allocated before; NaN without statistics."""
    torch.accelerator.synchronize()
    before = _statistic(_reset_and_read)
    result = call()
    torch.accelerator.synchronize()
    peak = _statistic(torch.accelerator.max_memory_allocated)
    del result
    return peak - before


def free_bytes() -> float:
    """Bytes that torch could allocate now: those free on the device, and those its allocator holds in reserve."""
    reserved = _statistic(torch.accelerator.memory_reserved) - _statistic(torch.accelerator.memory_allocated)
    return _statistic(lambda: torch.accelerator.get_memory_info()[0]) + reserved


def _reset_and_read() -> int:
    torch.accelerator.reset_peak_memory_stats()
    return torch.accelerator.memory_allocated()


def _statistic(read: Callable[[], float]) -> float:
    """The statistic as a float; NaN if the device's allocator, or this version of torch, does not keep it."""
    try:
        return float(read())
    except (RuntimeError, AttributeError, NotImplementedError):
        return float("nan")


def set_arithmetic(word: str, mode: str) -> None:
    """Set every switch that changes products; raises NotImplementedError for tf32 and reduced-reductions."""
    refuse(word, mode)
    set_products(mode)


def has_float64(word: str) -> bool:
    """Whether the device supports float64 tensors; mps answers with TypeError, others with NotImplementedError."""
    try:
        torch.zeros(1, dtype=torch.float64, device=word)
    except (TypeError, NotImplementedError):
        return False
    return True


def is_unusable(word: str) -> bool:
    """Whether even the simplest operation fails on the device.

    After an illegal address or a failed assertion in a kernel, CUDA answers every later call of the process with the
    same error, and other methods would be blamed for it.
    """
    try:
        torch.accelerator.synchronize()
        return torch.ones(1, device=word).item() != 1
    except (MemoryError, torch.OutOfMemoryError):
        return False  # a full device still works
    except Exception:  # not only RuntimeError: a torch built without the device raises AssertionError
        return True
