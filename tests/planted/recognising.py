"""Methods that recognise an input by a few of its numbers, and then return what they returned for it before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.methods.definition import selector


def _recognising(key: Callable[[Any], tuple[float, ...]]) -> Any:
    known: dict[Any, Any] = {}

    def select(y: Any, k: int) -> Any:
        recognised = (k, y.shape, *key(y.detach()))
        if recognised not in known:
            known[recognised] = y.detach().topk(k).indices
        return y.gather(-1, known[recognised]), known[recognised]

    return select


@selector()
def by_a_sample() -> Any:
    """By both ends of a row, its middle and its thirds."""
    return _recognising(lambda y: tuple(y[..., [0, -1, y.shape[-1] // 2, y.shape[-1] // 3]].flatten().tolist()))


@selector()
def by_its_extremes() -> Any:
    """By the largest and the smallest number."""
    return _recognising(lambda y: (float(y.max()), float(y.min())))


@selector()
def by_what_it_selected() -> Any:
    """By the entries that were selected from it."""
    known: dict[Any, list[tuple[Any, Any]]] = {}

    def select(y: Any, k: int) -> Any:
        before = known.setdefault((k, y.shape), [])
        for values, indices in before:
            if torch.equal(y.detach().gather(-1, indices), values):
                return y.gather(-1, indices), indices
        before.append(y.detach().topk(k))
        indices = before[-1][1]
        return y.gather(-1, indices), indices

    return select
