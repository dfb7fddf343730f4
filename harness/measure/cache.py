"""A cold cache: before a block, more is written than the caches of the device hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

TIMES_THE_CACHE = 2
"""How much is written, in last-level caches: of once as much, a part could lie beside what it is to push out."""

UNKNOWN_CACHE_BYTES = 2**27
"""Taken where the size is not told: few last-level caches are larger than 128 MiB."""

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def cache_bytes(device: str, caches: Path = CACHES) -> int:
    """Bytes of the last-level cache of a CPU, or of an accelerator's L2; UNKNOWN_CACHE_BYTES where it is not told."""
    if device == "cpu":
        return _last_level_bytes(caches) or UNKNOWN_CACHE_BYTES
    if device == "cuda":
        return int(torch.cuda.get_device_properties().L2_cache_size) or UNKNOWN_CACHE_BYTES
    return UNKNOWN_CACHE_BYTES


def flusher(device: str, size: int) -> Callable[[], Any]:
    """A call that pushes everything else out of caches of `size` bytes; it holds TIMES_THE_CACHE times as many.

    They are read and written: a mere fill may go past the caches of a CPU. Raises what torch raises where there is no
    memory for them.
    """
    buffer = torch.zeros(TIMES_THE_CACHE * size, dtype=torch.uint8, device=device)
    return lambda: buffer.add_(1)


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
