"""The CPU: it has no queue, so its clock is the wall clock."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch.autograd import profiler

from harness.device.accelerator import set_arithmetic
from harness.device.cache import UNKNOWN_CACHE_BYTES
from harness.device.definition import Device

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}

ALLOCATION = "[memory]"
"""The name of an event of torch's profiler that allocates bytes, or frees them where their number is negative."""

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler would write two lines to stderr at every use


def peak_bytes(call: Callable[[], Any]) -> float:
    """Peak bytes of one call in torch's CPU allocator, summed from the memory events of torch's profiler.

    NaN if the profiler cannot run. What NumPy, MKL or another thread allocates is not included, and memory allocated
    before the call is never subtracted, even if the call frees it.
    """
    # Not the resident set: that varies by a quarter between processes, where these events are the same in every one.
    recorder: Any = profiler.profile(profile_memory=True)
    try:
        recorder.__enter__()
    except RuntimeError:
        return math.nan
    try:
        result = call()
    finally:
        recorder.__exit__(None, None, None)
    del result
    if recorder.kineto_results is None:
        return math.nan
    changes = [event.nbytes() for event in recorder.kineto_results.events() if event.name() == ALLOCATION]
    return float(max(accumulate(changes, initial=0)))


def cache_bytes(caches: Path = CACHES) -> int:
    """Bytes of the last-level cache; UNKNOWN_CACHE_BYTES if the system does not report it."""
    return _last_level_bytes(caches) or UNKNOWN_CACHE_BYTES


def _last_level_bytes(caches: Path) -> int:
    """Bytes of the highest-level cache that holds data; 0 if it cannot be read.

    Source: Documentation/ABI/testing/sysfs-devices-system-cpu in the Linux kernel.
    """
    sizes_by_level = [(0, 0)]
    for index in caches.glob("index*"):
        try:
            kind, level, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
            if kind != "Instruction":
                sizes_by_level.append((int(level), int(size.rstrip("KMG")) * UNITS.get(size[-1:], 1)))
        except (OSError, ValueError):
            continue
    return max(sizes_by_level)[1]


CPU = Device(
    type="cpu",
    name=lambda: "",
    synchronize=lambda: None,
    event=None,
    sleep=None,
    graph=None,
    peak_bytes=peak_bytes,
    free_bytes=lambda: math.nan,  # only blocks by a device clock ask for it
    cache_bytes=cache_bytes,
    throttling=lambda: None,
    set_arithmetic=functools.partial(set_arithmetic, "a CPU"),
    has_float64=lambda: True,
    is_unusable=lambda: False,
)
