"""Relaxations, each with a fault that its values or indices show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.methods.definition import selector

FAULTS: dict[str, tuple[Callable[[Any, Any, int], Any], str]] = {
    "NaN": (lambda values, indices, n: (values * float("nan"), indices), "values are not finite"),
    "one infinity": (
        lambda values, indices, n: (values / (indices != indices[..., :1]), indices),
        "values are not finite",
    ),
    "twice": (lambda values, indices, n: (values, indices[..., :1].expand_as(indices)), "an index is selected twice"),
    "past the end": (lambda values, indices, n: (values, indices + n), "an index is outside 0..63"),
    "negative": (lambda values, indices, n: (values, indices - n), "an index is outside 0..63"),
    "int32": (lambda values, indices, n: (values, indices.int()), "torch.int32, not"),
    "weight above 1": (lambda values, indices, n: (values * 1.5, indices), "a weight outside 0..1"),
    "weight below 0": (lambda values, indices, n: (-values, indices), "a weight outside 0..1"),
    "weight of another": (lambda values, indices, n: (values.roll(1, -1) + 9, indices), "a weight outside 0..1"),
    "none": (lambda values, indices, n: (values, indices), ""),
    "half": (lambda values, indices, n: (values / 2, indices), ""),
    "weight 0": (lambda values, indices, n: (values * 0, indices), ""),
}
"""What is wrong -> how, and words of the reason."""


@selector(exact=False, mask=True)
def soft(*, what: str = "none") -> Any:
    """The mask of a selection, with a fault."""
    return lambda y, k: FAULTS[what][0](*torch.topk(y, k), y.shape[-1])
