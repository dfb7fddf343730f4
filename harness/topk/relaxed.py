"""Is the output of a relaxation acceptable? Its values are biased on purpose, so they are not compared with y."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from harness.methods import Method
from harness.topk.outcome import Outcome
from harness.topk.problems import Problem

ROUNDINGS = 4
"""Machine epsilons by which a weight times y may be off: one for the weight, one for the product, as many to spare."""


def wrong_relaxation(method: Method, outcome: Outcome, problem: Problem) -> str:
    """Why the outcome of a method that is not exact is wrong, or ''.

    The indices must be distinct and in range, and the values finite in rows where y is. The values of a mask
    (`selector(mask=True)`) must be y at their index times a weight between 0 and 1. For gradients, see
    `wrong_relaxed_gradients`.
    """
    indices, values, y = (tensor.detach().cpu() for tensor in (outcome.indices, outcome.values, outcome.y))
    if int(indices.min()) < 0 or int(indices.max()) >= problem.case.n:
        return f"an index is outside 0..{problem.case.n - 1}"
    if (indices.sort(-1).values.diff(dim=-1) == 0).any():
        return "an index is selected twice"
    finite = y.isfinite().all(dim=-1, keepdim=True).expand_as(values)
    if unlike := int((finite & ~values.isfinite()).sum()):
        return f"{unlike} values are not finite"
    gradients = {"dy": outcome.dy, "dx": outcome.dx, "dW": outcome.dW}
    return _wrong_weights(method, indices, values, y, finite) or wrong_relaxed_gradients(gradients, y)


def wrong_relaxed_gradients(gradients: Mapping[str, torch.Tensor | None], y: torch.Tensor) -> str:
    """Why a gradient of a relaxation is wrong, or ''. None: a gradient that it does not have.

    Nothing defines what they are, but they must be finite in rows where y (n or rows, n), what the method selected
    from, is, and its squares too: products of two such numbers are in the gradients. dx and dW may overflow even so,
    but not be NaN; dW is a sum over all rows. In float16 anything may overflow: there dy must not be NaN, and of dx and
    dW, in which such infinities may cancel, nothing is asked.
    """
    narrow = y.dtype == torch.float16
    finite = y.square().isfinite().all(dim=-1, keepdim=True)
    for name, gradient in gradients.items():
        summed = name in ("dx", "dW")
        if gradient is None or (summed and narrow):
            continue
        rows = (finite.all() if name == "dW" else finite).to(gradient.device)
        unlike, what = (gradient.isnan(), "NaN") if summed or narrow else (~gradient.isfinite(), "not finite")
        if count := int((rows & unlike).sum()):
            return f"{count} entries of {name} are {what}"
    return ""


def _wrong_weights(
    method: Method, indices: torch.Tensor, values: torch.Tensor, y: torch.Tensor, finite: torch.Tensor
) -> str:
    """Why the weights of a mask are wrong, or ''. finite: where the row of a value is."""
    if not method.mask or method.implementation.forward is None:  # a second product need not have the bits of y
        return ""
    selected, weighted = y.gather(-1, indices).double(), values.double()
    form = torch.finfo(values.dtype)
    slack = ROUNDINGS * (form.eps * selected.abs() + form.smallest_normal * form.eps)
    outside = finite & ((weighted * selected.sign() < -slack) | (weighted.abs() > selected.abs() + slack))
    if outside.any():
        return f"{int(outside.sum())} values are y at their index times a weight outside 0..1"
    return ""
