"""The CPU: it has no queue, so its clock is the wall clock, and its memory is that of the process."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.device.accelerator import refuse_own_modes
from harness.device.cache import UNKNOWN_CACHE_BYTES
from harness.device.definition import Device

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}

RESET_HIGH_WATER_MARK = "5"
"""What proc(5) has one write to clear_refs to reset VmHWM."""


def peak_bytes(call: Callable[[], Any]) -> float:
    """Bytes by which one call raises the high-water mark of the resident set, reset before it; NaN without /proc.

    So whole pages, and what the allocator takes anew (proc(5), clear_refs).
    """
    try:
        _return_free_memory()
        Path("/proc/self/clear_refs").write_text(RESET_HIGH_WATER_MARK)
        before = _kilobytes("/proc/self/status", "VmRSS")
        kept = call()
        after = _kilobytes("/proc/self/status", "VmHWM")
        del kept
        return float(max(0, after - before))
    except OSError:
        return float("nan")


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


def _return_free_memory() -> None:
    """Give free heap back to the system, so that what the call needs is seen to be taken (glibc only)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
    peak_bytes=peak_bytes,
    free_bytes=free_bytes,
    cache_bytes=cache_bytes,
    throttling=lambda: None,
    set_arithmetic=functools.partial(refuse_own_modes, "a CPU"),
    has_float64=lambda: True,
    is_unusable=lambda: False,
)
