"""A delay and a number of ulps, planted: the same lines by import, and as the text of this file in a clone.

Hence the standard library and torch only, and nothing that must stand at the top of a file.
"""

import time
from typing import Any


def delayed(select: Any, share: float) -> Any:
    """The same selection, then `share` of its time once more: of a call that was interrupted as of any other."""

    def slowed(y: Any, k: int) -> Any:
        begin = time.perf_counter_ns()
        selected = select(y, k)
        end = begin + (time.perf_counter_ns() - begin) * (1 + share)
        while time.perf_counter_ns() < end:
            pass
        return selected

    return slowed


def moved(project: Any, ulps: int) -> Any:
    """The same product, its gradient by x moved by so many ulps, up or down."""
    import torch

    class Moved(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            for _ in range(abs(ulps)):
                gradient = torch.nextafter(gradient, torch.full_like(gradient, ulps * torch.inf))
            return gradient

    move: Any = Moved.apply
    return lambda W, x, k: project(W, move(x), k)
