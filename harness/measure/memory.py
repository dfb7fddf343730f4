"""New memory for every block, and the peak memory of one call."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CHURNED_BLOCKS = 64
CHURNED_BYTES = 1 << 16
"""How many blocks, and of what largest size, lie between the tensors of one block and those of the next."""

RESET_HIGH_WATER_MARK = "5"
"""What proc(5) has one write to clear_refs to reset VmHWM."""


class Heap:
    """A heap that is churned, so that the same tensors lie somewhere else in every block.

    Where they lie decides by 4 to 8 % how fast a kernel is (cache sets, pages); a median over many places does not
    depend on one. device: whose heap it is, that of the tensors.
    """

    def __init__(self, seed: int = 0, device: str = "cpu") -> None:
        self._random = random.Random(seed)
        self._device = device
        self._between: list[Any] = [None] * CHURNED_BLOCKS

    def fresh(self, tensors: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        """Copies in new memory; sparse tensors keep their layout."""
        for _ in range(CHURNED_BLOCKS // 4):
            at = self._random.randrange(CHURNED_BLOCKS)
            self._between[at] = torch.empty(
                self._random.randrange(1, CHURNED_BYTES), dtype=torch.uint8, device=self._device
            )
        return [tensor.detach().clone() for tensor in tensors]


def peak_bytes(call: Callable[[], Any], device: str) -> float:
    """Bytes that one call raises the peak by; NaN where it cannot be had.

    CPU: the rise of the high-water mark of the resident set, reset before the call (proc(5), clear_refs), so whole
    pages and what the allocator takes anew. Accelerator: its allocator's peak less what was allocated before.
    """
    if device != "cpu":
        return _accelerator_peak(call)
    try:
        _return_free_memory()
        Path("/proc/self/clear_refs").write_text(RESET_HIGH_WATER_MARK)
        before = _status_bytes("VmRSS")
        kept = call()
        after = _status_bytes("VmHWM")
        del kept
        return float(max(0, after - before))
    except OSError:
        return float("nan")


def _accelerator_peak(call: Callable[[], Any]) -> float:
    torch.accelerator.synchronize()
    torch.accelerator.reset_peak_memory_stats()
    before = torch.accelerator.memory_allocated()
    kept = call()
    torch.accelerator.synchronize()
    peak = torch.accelerator.max_memory_allocated()
    del kept
    return float(peak - before)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def _return_free_memory() -> None:
    """Give free heap back to the system, so that what the call needs is seen to be taken (glibc only)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
