"""Relaxations, each with a fault that its values, its indices or its gradients show."""

from __future__ import annotations

import itertools
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


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "none": lambda gradient: gradient,
    "scaled": lambda gradient: gradient * 3,
    "NaN": lambda gradient: gradient * float("nan"),
    "one NaN": lambda gradient: gradient.index_fill(-1, torch.tensor([1], device=gradient.device), float("nan")),
    "infinite": lambda gradient: gradient * float("inf"),
}
"""What becomes of a gradient: the first two are no fault, since nothing defines what it should be."""


@selector(exact=False)
def soft_gradient(*, becomes: str = "none", first: int = 0) -> Any:
    """A selection whose derivatives, in reverse and forward mode, have a fault, apart from the first ones."""
    calls = itertools.count()

    def change(gradient: Any) -> Any:
        return GRADIENTS[becomes if next(calls) >= first else "none"](gradient)

    class Change(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(values: Any) -> Any:
            return values.clone()

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            return change(gradients[0])

        @staticmethod
        def jvp(context: Any, *tangents: Any) -> Any:
            return change(tangents[0])

    apply: Any = Change.apply

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return apply(values), indices

    return select
