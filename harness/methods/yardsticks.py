"""Yardsticks: a fixed amount of memory traffic, timed in the same rounds as the methods."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import yardstick


@yardstick(passes=2)
def copy() -> Any:
    """y.clone(): one read and one write of y."""
    return lambda y: y.clone()


@yardstick(passes=1)
def read() -> Any:
    """The largest of y's bits as integers: one read of y, vectorised for every dtype, without NaN handling."""
    import torch

    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return lambda y: y.view(integers[y.element_size()]).amax()
