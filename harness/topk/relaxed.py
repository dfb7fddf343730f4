"""Is the output of a relaxation one at all? Its values are not those of a selection, so they are not held to y."""

from __future__ import annotations

import torch

from harness.methods import Method
from harness.topk.outcome import Outcome
from harness.topk.problems import Problem

ROUNDINGS = 4
"""Of a weight and of its product with y, in units of the values' roundoff, with as much again to spare."""


def wrong_relaxation(method: Method, outcome: Outcome, problem: Problem) -> str:
    """Why the outcome of a method that is not exact is wrong, or ''.

    Its indices are distinct and in range, and its values finite where all of their row of y is. The values of a mask
    (`selector(mask=True)`) are y at their index, times a weight between 0 and 1.
    """
    indices, values, y = (each.detach().cpu() for each in (outcome.indices, outcome.values, outcome.y))
    if int(indices.min()) < 0 or int(indices.max()) >= problem.case.n:
        return f"an index is outside 0..{problem.case.n - 1}"
    if (indices.sort(-1).values.diff(dim=-1) == 0).any():
        return "an index is selected twice"
    finite = y.isfinite().all(dim=-1, keepdim=True).expand_as(values)
    if unlike := int((finite & ~values.isfinite()).sum()):
        return f"{unlike} values are not finite"
    if not method.mask or method.implementation.forward is None:  # what is multiplied again need not have y's bits
        return ""
    whole, part = y.gather(-1, indices).double(), values.double()
    form = torch.finfo(values.dtype)
    slack = ROUNDINGS * (form.eps * whole.abs() + form.smallest_normal * form.eps)
    outside = finite & ((part * whole.sign() < -slack) | (part.abs() > whole.abs() + slack))
    if outside.any():
        return f"{int(outside.sum())} values are y at their index times a weight outside 0..1"
    return ""
