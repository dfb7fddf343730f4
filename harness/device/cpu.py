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
"""What torch's profiler calls an event that allocates bytes, or, where they are negative, frees them."""

os.environ.setdefault("KINETO_LOG_LEVEL", "99")
"""Torch's profiler would otherwise write two lines to standard error whenever it is used."""


def peak_bytes(call: Callable[[], Any]) -> float:
    """The most bytes that one call held at once of those that it asked torch's allocator for; NaN without a profiler.

    They come from the memory events of torch's profiler and are the same in every process, while the resident set
    varies by a quarter. What NumPy, MKL or another thread allocates is not among them, and what the call frees of
    earlier ones is not taken off.
    """
    recorder: Any = profiler.profile(profile_memory=True)
    try:
        recorder.__enter__()
    except RuntimeError:
        return math.nan
    try:
        kept = call()
    finally:
        recorder.__exit__(None, None, None)
    del kept
    if recorder.kineto_results is None:
        return math.nan
    changes = [each.nbytes() for each in recorder.kineto_results.events() if each.name() == ALLOCATION]
    return float(max(accumulate(changes, initial=0)))


def free_bytes() -> float:
    """Bytes that Linux believes could be had without swapping (proc(5), MemAvailable); NaN elsewhere."""
    try:
        return float(_kilobytes("/proc/meminfo", "MemAvailable"))
    except OSError:
        return float("nan")


def cache_bytes(caches: Path = CACHES) -> int:
    """Bytes of the last-level cache; UNKNOWN_CACHE_BYTES where the system does not say."""
    return _last_level_bytes(caches) or UNKNOWN_CACHE_BYTES


def _kilobytes(file: str, field: str) -> int:
    for line in Path(file).read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{file} has no {field}")


def _last_level_bytes(caches: Path) -> int:
    """Of the highest level that is not for instructions alone (kernel, ABI/testing/sysfs-devices-system-cpu); 0 where
    it cannot be read."""
    found = [(0, 0)]
    for each in caches.glob("index*"):
        try:
            kind, level, size = ((each / name).read_text().strip() for name in ("type", "level", "size"))
            if kind != "Instruction":
                found.append((int(level), int(size.rstrip("KMG")) * UNITS.get(size[-1:], 1)))
        except (OSError, ValueError):
            continue
    return max(found)[1]


CPU = Device(
    type="cpu",
    name=lambda: "",
    synchronize=lambda: None,
    event=None,
    sleep=None,
    graph=None,
    peak_bytes=peak_bytes,
    free_bytes=free_bytes,
    cache_bytes=cache_bytes,
    throttling=lambda: None,
    set_arithmetic=functools.partial(set_arithmetic, "a CPU"),
    has_float64=lambda: True,
    is_unusable=lambda: False,
)
