"""Methods that write into their inputs where nobody would look: before they fail, in a later call, or without grad."""

from __future__ import annotations

import itertools
from typing import Any

from harness.methods.definition import selector


@selector(gradient=False)
def writes_and_raises() -> Any:
    """It zeroes its input and fails."""

    def select(y: Any, k: int) -> Any:
        y.zero_()
        raise ValueError("too late")

    return select


@selector(gradient=False)
def writes_later() -> Any:
    """torch.topk, and from the second call on its input is zeroed afterwards."""
    calls = itertools.count()

    def select(y: Any, k: int) -> Any:
        selected = y.topk(k)
        if next(calls):
            y.zero_()
        return selected

    return select


@selector()
def clamps_without_a_gradient() -> Any:
    """Where nobody asks for a gradient, what was not selected becomes the least selected value."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        if not y.requires_grad:
            y.clamp_(min=values[..., -1:])
        return values, indices

    return select


@selector()
def empties_without_a_gradient() -> Any:
    """Where nobody asks for a gradient, what was selected is overwritten."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        if not y.requires_grad:
            y.scatter_(-1, indices, -float("inf"))
        return values, indices

    return select
