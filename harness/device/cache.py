"""A cold cache: before a block, more is written than the caches of the device hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

TIMES_THE_CACHE = 2
"""How much is written, in last-level caches: of once as much, a part could lie beside what it is to push out."""

UNKNOWN_CACHE_BYTES = 2**27
"""Taken where the size is not known: few last-level caches are larger than 128 MiB."""


def flusher(word: str, size: int) -> Callable[[], Any]:
    """A call that pushes everything else out of caches of `size` bytes of a device of this type; it holds
    TIMES_THE_CACHE times as many.

    They are read and written: a mere fill may go past the caches of a CPU. Raises what torch raises where there is no
    memory for them.
    """
    buffer = torch.zeros(TIMES_THE_CACHE * size, dtype=torch.uint8, device=word)
    return lambda: buffer.add_(1)
