"""New memory for the tensors of every block."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import torch

from harness.vocabulary import HOST

CHURNED_BLOCKS = 64
CHURNED_BYTES = 1 << 16
"""How many small allocations churn the heap between the tensors of two blocks, and the most bytes of one."""

EARLIER_COPIES = 7
"""How many sets of copies from earlier blocks stay alive, so that a new one gets another address. Without them the
allocator gives a tensor of some MiB the same pages again and again."""


class Heap:
    """A churned heap on a device: it copies the same tensors to another address for every block.

    The address changes the speed of a kernel by 4 to 8 % (cache sets, pages); a median over many addresses does not
    depend on any one of them.
    """

    def __init__(self, seed: int = 0, device: str = HOST) -> None:
        self._random = random.Random(seed)
        self._device = device
        self._small: list[Any] = [None] * CHURNED_BLOCKS
        self._copies: list[list[torch.Tensor]] = []

    def fresh(self, tensors: tuple[torch.Tensor, ...], spare_bytes: float = math.inf) -> list[torch.Tensor]:
        """Copies of the tensors in new memory; sparse tensors keep their layout.

        The heap keeps up to EARLIER_COPIES sets of copies alive, and frees a random one when it makes another.
        spare_bytes: the most that those of earlier blocks may take; fewer stay if they do not fit. If memory runs out,
        all of them are freed first.
        """
        while self._copies and sum(map(_bytes_of_all, self._copies)) > spare_bytes:
            self._free_one()
        for _ in range(CHURNED_BLOCKS // 4):
            replaced = self._random.randrange(CHURNED_BLOCKS)
            size = self._random.randrange(1, CHURNED_BYTES)
            self._small[replaced] = torch.empty(size, dtype=torch.uint8, device=self._device)
        try:
            copies = [tensor.detach().clone() for tensor in tensors]
        except (MemoryError, RuntimeError):  # torch's CPU allocator raises a RuntimeError
            if not self.drop():
                raise
            copies = [tensor.detach().clone() for tensor in tensors]
        if len(self._copies) >= EARLIER_COPIES:
            self._free_one()
        self._copies.append(copies)
        return list(copies)

    def drop(self) -> bool:
        """Free all copies; returns whether there were any."""
        any_freed = bool(self._copies)
        self._copies.clear()
        return any_freed

    def _free_one(self) -> None:
        del self._copies[self._random.randrange(len(self._copies))]


def places(tensors: tuple[torch.Tensor, ...], spare_bytes: float) -> int:
    """How many addresses the copies of these tensors take turns in, if those of earlier blocks may take spare_bytes."""
    size = _bytes_of_all(tensors)
    return 1 + (EARLIER_COPIES if size * EARLIER_COPIES <= spare_bytes else max(0, int(spare_bytes // size)))


def bytes_of(tensor: torch.Tensor) -> int:
    """Bytes of the entries of a tensor, including the indices of a sparse one."""
    return sum(part.numel() * part.element_size() for part in parts_of(tensor))


def parts_of(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The strided tensors that make up a tensor: itself, or the indices and values of a sparse one."""
    tensor = tensor.detach()
    if tensor.layout == torch.strided:
        return (tensor,)
    if tensor.layout == torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return tensor.ccol_indices(), tensor.row_indices(), tensor.values()


def _bytes_of_all(tensors: Iterable[torch.Tensor]) -> int:
    return sum(map(bytes_of, tensors))
