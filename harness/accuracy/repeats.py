"""Repeated calls: the share of entries that have the same bits again, and a digest that compares launches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator

import numpy as np
import torch

from harness.accuracy.discrepancies import Figure
from harness.precision.repeats import DIGEST, REPEAT_METRICS, WORST, Repeat
from harness.topk.outcome import Outcome, as_float64, as_rows, bits

AGAIN = 4
"""Repeats of a call: the result of a race differs in the first few repeats, or hardly ever."""

ITSELF = "itself"
"""The word in the column `reference` of these figures."""

DIGEST_BYTES = 6
"""Bytes of the SHA-256 digest that are kept: a float64 holds 48 bits without rounding."""


def repeat_figures(
    first: Outcome, again: Callable[[], Outcome], tensors: Collection[str], metrics: Collection[str]
) -> Iterator[Figure]:
    """The figures of a method that a study asks for, the worst over the repeats, for every tensor that it has.

    first: the outcome of the first call. again: calls the method once more.
    """
    own = {name: entries for name, entries in _entries(first, first).items() if name in tensors}
    if DIGEST in metrics:
        for name, (patterns, _) in own.items():
            yield Figure(name, "method", ITSELF, DIGEST, _digest(patterns))
    asked = [metric for metric in REPEAT_METRICS if metric in metrics]
    worst: dict[tuple[str, str], float] = {}
    for _ in range(AGAIN if asked else 0):
        other = _entries(again(), first)
        for name, (patterns, numbers) in own.items():
            repeat = _repeat(patterns, numbers, *other[name])
            for metric in asked:
                value = REPEAT_METRICS[metric](repeat)
                worst[name, metric] = WORST[metric](value, worst.get((name, metric), value))
    for (name, metric), value in worst.items():
        yield Figure(name, "method", ITSELF, metric, value)


def _repeat(patterns: torch.Tensor, numbers: torch.Tensor, other: torch.Tensor, others: torch.Tensor) -> Repeat:
    """The entries of two calls side by side; where shape or dtype differ, no entry is alike."""
    dtype = str(numbers.dtype).removeprefix("torch.")
    if patterns.shape != other.shape or patterns.dtype != other.dtype:
        unlike = np.zeros(patterns.numel(), dtype=bool)
        return Repeat(as_float64(numbers), np.full(patterns.numel(), np.nan), unlike, dtype)
    return Repeat(as_float64(numbers), as_float64(others), (patterns == other).cpu().numpy(), dtype)


def _entries(outcome: Outcome, first: Outcome) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """tensor -> (bits, numbers), flat. They are copies, since a method may reuse the memory of its results.

    Values, selection and dS are in the order in which the method returned them. dy and dW are taken where the first
    call selected, since elsewhere they are zero.
    """
    indices = as_rows(first.indices)
    tensors: dict[str, torch.Tensor | None] = {"values": outcome.values, "dx": outcome.dx, "dS": outcome.dS}
    tensors["dy"] = None if outcome.dy is None else as_rows(outcome.dy).gather(-1, indices)
    tensors["dW"] = None if outcome.dW is None else outcome.dW[torch.unique(indices)]
    numbers = {name: _flat(tensor) for name, tensor in tensors.items() if tensor is not None}
    entries = {name: (bits(flat), flat) for name, flat in numbers.items()}
    selected = as_rows(outcome.y).gather(-1, as_rows(outcome.indices))
    return entries | {"selection": (_flat(outcome.indices), _flat(selected))}


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout == torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout == torch.sparse_csr:
        tensor = tensor.values()
    return tensor.detach().reshape(-1).clone()


def _digest(patterns: torch.Tensor) -> float:
    digest = hashlib.sha256(patterns.cpu().numpy().tobytes()).digest()
    return float(int.from_bytes(digest[:DIGEST_BYTES], "little"))
