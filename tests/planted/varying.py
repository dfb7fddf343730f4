"""Methods whose results vary from call to call: as those of a device that adds atomically do."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from harness.methods.definition import selector

CALLS = itertools.count()


class _Varying(torch.autograd.Function):
    """Its gradient is one unit in the last place off in every other call; ulps are those of float32."""

    @staticmethod
    def forward(context: Any, y: Any, indices: Any) -> Any:
        context.save_for_backward(indices)
        context.shape = y.shape
        return y.gather(-1, indices)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (indices,) = context.saved_tensors
        if next(CALLS) % 2:
            gradient = gradient.clone()
            gradient[..., :1] = torch.nextafter(gradient[..., :1], gradient[..., :1] * 2)
        return gradient.new_zeros(context.shape).scatter(-1, indices, gradient), None


@selector()
def varying_gradient() -> Any:
    """topk, with a gradient whose first entry is an ulp off in every other call."""

    def forward(y: Any, k: int) -> Any:
        indices = y.topk(k).indices
        return _Varying.apply(y, indices), indices  # type: ignore[no-untyped-call]

    return forward
