"""Relaxations: a mask between 0 and 1 that sums to k, in place of the k ones and n - k zeros of a selection.

They are biased on purpose. The values are y at the k largest times the mask there, and the gradient goes through the
whole mask, so it also reaches entries that were not selected. The temperature is in units of y; where it is small
compared with the gap after the k-th largest, the mask approaches the selection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from harness.errors import UserError
from harness.methods.definition import selector
from harness.vocabulary import install

TEMPERATURE = 0.1
"""Default of every relaxation, in units of y."""


@selector(exact=False, mask=True)
def sigmoid_shift(*, temperature: float = TEMPERATURE) -> Any:
    """y times the mask sigmoid(y / temperature - t), with t such that the mask sums to k."""
    return _masked(_sigmoid_mask(_positive(temperature)))


@selector(exact=False, mask=True)
def straight_through(*, temperature: float = TEMPERATURE) -> Any:
    """torch.topk forward, and the gradient of sigmoid_shift backward.

    A straight-through estimator (Bengio, Léonard & Courville 2013, arXiv 1308.3432).
    """
    import torch

    class Replace(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(relaxed: Any, values: Any) -> Any:
            return values.clone()

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient, None

        @staticmethod
        def jvp(context: Any, relaxed: Any, values: Any) -> Any:
            return relaxed.clone()

    relaxation, replace = sigmoid_shift.make(temperature=temperature).forward, _applied(Replace)
    assert relaxation is not None

    def select(y: Any, k: int) -> Any:
        relaxed, indices = relaxation(y, k)
        return replace(relaxed, y.detach().gather(-1, indices)), indices

    return select


@selector(exact=False, mask=True)
def entmax_budget(*, temperature: float = TEMPERATURE) -> Any:
    """y times the projection of y / temperature onto the masks that sum to k, by entmax.budget_bisect."""
    try:
        from entmax import budget_bisect
    except ImportError as error:
        raise _not_installed(error) from None
    scale = _positive(temperature)
    return _masked(lambda y, k: budget_bisect(y / scale, budget=k, n_iter=_halvings(y)))


@selector(exact=False, matrix_bytes=lambda case: case.itemsize * case.rows * case.k * case.n)
def softtorch_softsort(*, temperature: float = TEMPERATURE) -> Any:
    """softtorch.topk by SoftSort: every value is a mean of y, weighted by the distance from it.

    Source: Prillo & Eisenschlos 2020, SoftSort: a continuous relaxation for the argsort operator (ICML).
    """
    try:
        import softtorch
    except ImportError as error:
        raise _not_installed(error) from None
    softness = _positive(temperature)

    def select(y: Any, k: int) -> Any:
        values, _ = softtorch.topk(y, k, softness=softness, method="softsort", standardize=False)
        return values, y.detach().topk(k).indices

    return select


def _masked(mask: Callable[[Any, int], Any]) -> Any:
    """The selection whose values are y times mask(y, k) at the k largest."""

    def select(y: Any, k: int) -> Any:
        indices = y.detach().topk(k).indices
        return mask(y, k).gather(-1, indices) * y.gather(-1, indices), indices

    return select


def _sigmoid_mask(temperature: float) -> Callable[[Any, int], Any]:
    import torch

    shift = _shift()

    def mask(y: Any, k: int) -> Any:
        if k == y.shape[-1]:  # where t would have to be minus infinity
            return torch.ones_like(y)
        z = y / temperature
        return torch.sigmoid(z - shift(z, k))

    return mask


def _shift() -> Callable[..., Any]:
    """shift(z, k) -> t of each row, such that sigmoid(z - t) sums to k; differentiable in z, for 0 < k < n."""
    import torch
    from torch.nn.functional import logsigmoid

    def slopes(z: Any, t: Any) -> Any:
        """s / sum(s): the derivative of a sigmoid is sigmoid(z - t) sigmoid(t - z)."""
        return torch.softmax(logsigmoid(z - t) + logsigmoid(t - z), dim=-1)

    class Shift(torch.autograd.Function):
        """Bisection for t.

        By the implicit function theorem its gradient with respect to z is s / sum(s), where s are the slopes of the
        sigmoids. Computed as a softmax of their logarithms, it is finite even where every slope underflows.
        """

        generate_vmap_rule = True

        @staticmethod
        def forward(z: Any, k: int) -> Any:
            # sigmoid(middle) = k / n. At t = min(z) - middle no sigmoid is below k / n, so they sum to at least k; at
            # t = max(z) - middle none is above, so they sum to at most k.
            middle = math.log(k / (z.shape[-1] - k))
            low, high = (end(dim=-1, keepdim=True) - middle for end in (z.amin, z.amax))
            for _ in range(_halvings(z)):
                t = (low + high) / 2
                too_low = torch.sigmoid(z - t).sum(dim=-1, keepdim=True) > k
                low, high = torch.where(too_low, t, low), torch.where(too_low, high, t)
            return t

        @staticmethod
        def setup_context(context: Any, inputs: Any, output: Any) -> None:
            context.save_for_backward(inputs[0], output)
            context.save_for_forward(inputs[0], output)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return gradient * slopes(*context.saved_tensors), None

        @staticmethod
        def jvp(context: Any, tangent: Any, _: Any) -> Any:
            return (slopes(*context.saved_tensors) * tangent).sum(dim=-1, keepdim=True)

    return _applied(Shift)


def _applied(function: Any) -> Callable[..., Any]:
    """The apply of an autograd Function, whose arguments torch leaves untyped."""
    return function.apply


def _halvings(y: Any) -> int:
    """Bisection steps that shrink an interval of the width of y's range to an ulp of its largest value."""
    import torch

    return 2 - round(math.log2(torch.finfo(y.dtype).eps))


def _positive(temperature: float) -> float:
    """The temperature; raises UserError for one that is not a number above 0."""
    if isinstance(temperature, int | float) and 0 < temperature < math.inf:
        return temperature
    raise UserError(f"temperature has to be a number above 0, not {temperature!r}")


def _not_installed(error: ImportError) -> UserError:
    return UserError(f"{error}: {install('peers')}")
