"""CUDA: an accelerator whose name, cache, arithmetic and throttling can be asked for.

NVML says whether the clock is held down, where nvidia-ml-py is installed and a driver answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.device.accelerator import accelerator
from harness.device.cache import UNKNOWN_CACHE_BYTES

REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
"""Bits of nvmlClocksEventReasons that mean a busy device is throttled; the others mean that it is idle, or that its
owner chose the clock."""


def cache_bytes() -> int:
    """Bytes of the L2 of the current device; UNKNOWN_CACHE_BYTES where it does not say."""
    return int(torch.cuda.get_device_properties().L2_cache_size) or UNKNOWN_CACHE_BYTES


def set_arithmetic(mode: str) -> None:
    """Products of float32 round their factors to TF32 in the mode tf32, and in no other."""
    torch.backends.cuda.matmul.fp32_precision = "tf32" if mode == "tf32" else "ieee"


def throttling(mask: int | None) -> list[str] | None:
    """The reasons of NVML's bit mask in words; None, which stands for no answer, stays None."""
    return None if mask is None else [word for bit, word in REASONS.items() if mask & bit]


@functools.cache
def asker() -> Callable[[], int | None]:
    """What asks the current device for its bit mask; None is the answer of one that cannot be asked."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        return functools.partial(_reasons, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    except Exception:  # no such package, library, driver, device or right: there is one answer to all of them
        return lambda: None


def _reasons(current: Callable[[Any], int], handle: Any) -> int | None:
    try:
        return int(current(handle))
    except Exception:  # a device that lacks this reading, or fell off the bus
        return None


CUDA = replace(
    accelerator("cuda"),
    name=lambda: str(torch.cuda.get_device_name()),
    cache_bytes=cache_bytes,
    throttling=lambda: throttling(asker()()),
    set_arithmetic=set_arithmetic,
    has_float64=lambda: True,
)
