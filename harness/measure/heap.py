"""New memory for every block."""

from __future__ import annotations

import random
from typing import Any

import torch

from harness.vocabulary import HOST

CHURNED_BLOCKS = 64
CHURNED_BYTES = 1 << 16
"""How many blocks, and of what largest size, lie between the tensors of one block and those of the next."""


class Heap:
    """A heap that is churned, so that the same tensors lie somewhere else in every block.

    Where they lie decides by 4 to 8 % how fast a kernel is (cache sets, pages); a median over many places does not
    depend on one. device: whose heap it is, that of the tensors.
    """

    def __init__(self, seed: int = 0, device: str = HOST) -> None:
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
