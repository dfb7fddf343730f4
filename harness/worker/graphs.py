"""The transform `graph`: a phase is captured once as a graph of the device, and blocks time its replay.

That is the cost that users of graphs pay. It is also the cross-check of the device clock, since a replay takes one
launch and leaves hardly any gap between kernels.
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
"""A replay may differ from the call itself by this many machine epsilons of the largest value: on a device that adds
atomically, two calls differ as well."""


def refuse_without_graphs(device: Device) -> None:
    """Raise NotImplementedError if the device cannot capture graphs."""
    if device.graph is None:
        raise NotImplementedError(f"{device.type} has no graphs that could be captured and replayed")


def captured(prepared: PreparedPhase, device: Device) -> PreparedPhase:
    """The phase as a replay: binding it to tensors captures the call on them.

    Binding raises NotImplementedError if something cannot be captured, and whatever the phase raises.
    """
    graph = device.graph
    if graph is None:
        raise NotImplementedError(f"{device.type} has no graphs")
    return replace(prepared, bind=lambda *copies: graph(lambda: prepared.bind(*copies)))


def wrong_replay(got: Any, want: Any) -> str:
    """How the result of a replay differs from that of the call itself, or ''.

    Both are tensors of any layout, or tuples of them.
    """
    replayed, called = list(_tensors(got)), list(_tensors(want))
    if [(tensor.shape, tensor.dtype) for tensor in replayed] != [(tensor.shape, tensor.dtype) for tensor in called]:
        return "a replay of its graph returns tensors of another shape or dtype"
    for number, (have, right) in enumerate(zip(replayed, called, strict=True)):
        if not _alike(have, right):
            return f"a replay of its graph returns another tensor {number} than the call itself"
    return ""


def _tensors(result: Any) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield from parts_of(result)
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _tensors(part)


def _alike(got: torch.Tensor, want: torch.Tensor) -> bool:
    if not want.is_floating_point():
        return torch.equal(got, want)
    finite = want[want.isfinite()]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    near = ROUNDINGS * torch.finfo(want.dtype).eps * largest
    return torch.allclose(got, want, rtol=0.0, atol=near, equal_nan=True)
