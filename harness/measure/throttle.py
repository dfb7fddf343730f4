"""Is the clock of the device held down? What NVML says, where nvidia-ml-py is installed and a driver answers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

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
"""Bits of nvmlClocksEventReasons that hold a busy device below the clock it was given; the others say that it is idle,
or that its owner chose the clock."""

Asked = Callable[[], int | None]


def throttling(device: str, ask: Asked | None = None) -> list[str] | None:
    """Why the clock of the device is held down now; none: it is not; None: it cannot be told."""
    mask = (ask or asker(device))()
    return None if mask is None else [word for bit, word in REASONS.items() if mask & bit]


@functools.cache
def asker(device: str) -> Asked:
    """What asks the current device of this type for its reasons; None is the answer of one that cannot be asked."""
    if device != "cuda":
        return lambda: None
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
