"""A cold cache: before a block, the harness writes more than the caches of the device hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

TIMES_THE_CACHE = 2
"""How many times the size of the last-level cache is written. Once its size would not do: part of that could lie in the
cache beside old data, instead of replacing it."""

UNKNOWN_CACHE_BYTES = 2**27
"""Used when the size is not known: few last-level caches are larger than 128 MiB."""


def flusher(word: str, size: int) -> Callable[[], Any]:
    """A call that evicts everything else from caches of `size` bytes on a device of this type.

    It holds a buffer of TIMES_THE_CACHE times `size` bytes. Raises torch's error if there is no memory for that.
    """
    buffer = torch.zeros(TIMES_THE_CACHE * size, dtype=torch.uint8, device=word)
    return lambda: buffer.add_(1)  # reads and writes: a mere fill may bypass the caches of a CPU
