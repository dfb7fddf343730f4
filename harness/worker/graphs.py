"""The transform `graph`: a phase captured once as a graph of the device, whose replay is what is timed.

It is what users of graphs pay, and the cross-check of the device clock: a replay has hardly any gap between kernels,
and one launch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from harness.device.definition import Device
from harness.device.heap import parts_of
from harness.topk.phases import PreparedPhase

GRAPH = "graph"

ROUNDINGS = 64
"""By how many unit roundoffs of the largest value a replay may differ from the call itself: where a device adds
atomically, two calls differ too."""


def refuse_without_graphs(device: Device) -> None:
    """Raises NotImplementedError for a device that cannot capture what is queued."""
    if device.graph is None:
        raise NotImplementedError(f"{device.type} has no graphs that could be captured and replayed")


def captured(prepared: PreparedPhase, device: Device) -> PreparedPhase:
    """The phase as a replay: binding it captures it.

    The call then raises NotImplementedError where something cannot be captured, and what the phase raises.
    """
    graph = device.graph
    if graph is None:
        raise NotImplementedError(f"{device.type} has no graphs")
    return replace(prepared, bind=lambda *copies: graph(lambda: prepared.bind(*copies)))


def wrong_replay(got: Any, want: Any) -> str:
    """Why what a replay returned is not what the call returns, or ''; tensors, or tuples of them, of any layout."""
    have, wanted = list(_tensors(got)), list(_tensors(want))
    if [(each.shape, each.dtype) for each in have] != [(each.shape, each.dtype) for each in wanted]:
        return "a replay of its graph returns tensors of another shape or dtype"
    for number, (one, two) in enumerate(zip(have, wanted, strict=True)):
        if not _alike(one, two):
            return f"a replay of its graph returns another tensor {number} than the call itself"
    return ""


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield from parts_of(result)
    elif isinstance(result, tuple | list):
        for each in result:
            yield from _tensors(each)


def _alike(got: torch.Tensor, want: torch.Tensor) -> bool:
    if not want.is_floating_point():
        return torch.equal(got, want)
    finite = want[want.isfinite()]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    near = ROUNDINGS * torch.finfo(want.dtype).eps * largest
    return torch.allclose(got, want, rtol=0.0, atol=near, equal_nan=True)
