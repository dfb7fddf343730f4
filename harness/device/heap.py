"""New memory for every block."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import torch

from harness.vocabulary import HOST

CHURNED_BLOCKS = 64
CHURNED_BYTES = 1 << 16
"""How many blocks, and of what largest size, lie between the tensors of one block and those of the next."""

EARLIER_COPIES = 7
"""How many copies of earlier blocks stay alive, so that a new one finds another place. Without them the allocator gives
a tensor of some MiB the same pages again and again."""


class Heap:
    """A heap that is churned, so that the same tensors lie somewhere else in every block.

    Where they lie decides by 4 to 8 % how fast a kernel is (cache sets, pages); a median over many places does not
    depend on one. device: whose heap it is, that of the tensors.
    """

    def __init__(self, seed: int = 0, device: str = HOST) -> None:
        self._random = random.Random(seed)
        self._device = device
        self._between: list[Any] = [None] * CHURNED_BLOCKS
        self._copies: list[list[torch.Tensor]] = []

    def fresh(self, tensors: tuple[torch.Tensor, ...], spare_bytes: float = math.inf) -> list[torch.Tensor]:
        """Copies in new memory; sparse tensors keep their layout.

        They stay alive until a later call frees them: of the EARLIER_COPIES and these a random one goes. spare_bytes:
        what the copies of earlier blocks may take; where that is less, fewer stay. Where memory is out, all are freed
        first.
        """
        while self._copies and sum(map(_bytes_of_all, self._copies)) > spare_bytes:
            self._free_one()
        for _ in range(CHURNED_BLOCKS // 4):
            at = self._random.randrange(CHURNED_BLOCKS)
            self._between[at] = torch.empty(
                self._random.randrange(1, CHURNED_BYTES), dtype=torch.uint8, device=self._device
            )
        try:
            copies = [tensor.detach().clone() for tensor in tensors]
        except (MemoryError, RuntimeError):
            if not self.drop():
                raise
            copies = [tensor.detach().clone() for tensor in tensors]
        if len(self._copies) >= EARLIER_COPIES:
            self._free_one()
        self._copies.append(copies)
        return list(copies)

    def drop(self) -> bool:
        """Free all copies; whether there were any."""
        had = bool(self._copies)
        self._copies.clear()
        return had

    def _free_one(self) -> None:
        del self._copies[self._random.randrange(len(self._copies))]


def places(tensors: tuple[torch.Tensor, ...], spare_bytes: float) -> int:
    """In how many places copies of these tensors take turns where so many bytes are to spare."""
    size = _bytes_of_all(tensors)
    return 1 + (EARLIER_COPIES if size * EARLIER_COPIES <= spare_bytes else max(0, int(spare_bytes // size)))


def bytes_of(tensor: torch.Tensor) -> int:
    """Bytes of the entries of a tensor, and of the indices of a sparse one."""
    return sum(each.numel() * each.element_size() for each in parts_of(tensor))


def parts_of(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The strided tensors that a tensor is made of: itself, or the indices and values of a sparse one."""
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
