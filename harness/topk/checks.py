"""Is the output right? Checks return the reason why it is not, or ''; nothing is timed before they have passed.

Selected values and dy are copies, so they must equal what they are copied from. Four exceptions are allowed, because
matrix products have them: 0 times a non-finite y is NaN, a subnormal y may be flushed to zero, -0 may become 0, and a
mode of reduced precision rounds the factors, to infinity beyond the range of its format. dx, dW, and the values of a
method that multiplies again (W[indices] @ x), are sums, and are held to their rounding error bounds (bounded.py).

All of it is done in torch, slab by slab, on the device of the tensors, or on the CPU where the device has no float64.
At the sizes of an accelerator, float64 copies of everything would not fit, and would take too long.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch

from harness.device.devices import device_of
from harness.exact.ulp import FORMATS
from harness.methods import Method
from harness.precision.arithmetic import reduced_format, smallest
from harness.precision.selection import right_selection, shared
from harness.precision.slabs import misplaced_rows, slab_elements
from harness.topk.bounded import (
    arithmetic_of,
    outside_product_bound,
    right_but_for_rounding,
    wrong_sums,
    zero_elsewhere,
)
from harness.topk.modes import result_dtypes
from harness.topk.outcome import Outcome, Selected, as_float64, as_rows, bits, cotangent_of, selected_of
from harness.topk.problems import Drawn, Problem
from harness.topk.relaxed import wrong_relaxation, wrong_relaxed_gradients


@torch.no_grad()
def wrong_outcome(method: Method, outcome: Outcome, problem: Problem, loss: str) -> str:
    """Why the outcome of a method is wrong, or ''. relaxed.py checks relaxations, which are not exact."""
    case = problem.case
    lead = () if case.rows == 1 else (case.rows,)
    if outcome.values.shape != (*lead, case.k) or outcome.values.dtype not in result_dtypes(case.dtype, case.mode):
        return f"values are {_kind(outcome.values)}, not {(*lead, case.k)} {problem.y.dtype}"
    if outcome.indices.shape != outcome.values.shape or outcome.indices.dtype != torch.int64:
        return f"indices are {_kind(outcome.indices)}, not {(*lead, case.k)} torch.int64"
    if not method.exact:
        return wrong_relaxation(method, outcome, problem)
    if int(outcome.indices.min()) < 0 or int(outcome.indices.max()) >= case.n:
        return f"an index is outside 0..{case.n - 1}"
    if not device_of(case.device).has_float64():
        outcome, problem = _on_cpu(outcome), _on_cpu(problem)
    got = selected_of(outcome)
    if (got.indices[:, 1:] == got.indices[:, :-1]).any():
        return "an index is selected twice"
    multiplies_again = method.implementation.forward is None
    return (
        _wrong_selection(got, problem, multiplies_again)
        or _wrong_values(got, problem, multiplies_again)
        or _wrong_cotangent(outcome, problem, loss)
        or wrong_sums(got, outcome, problem, loss, multiplies_again)
    )


def wrong_derivative(method: Method, phase: str, result: Any, problem: Problem, loss: str) -> str:
    """Why the result (values, derivative, indices) of the phase jvp, vjp or step is wrong, or ''.

    The derivative of jvp must be the tangent (the weights) at the selected indices; that of vjp and step must be the
    cotangent of the loss at the selected indices, and zero elsewhere.
    """
    if not device_of(problem.case.device).has_float64():
        result, problem = [tensor.cpu() for tensor in result], _on_cpu(problem)
    values, derivative, indices = result
    dy = None if phase == "jvp" else derivative
    wrong = wrong_outcome(method, Outcome(indices, problem.y, values, dy, None, None), problem, loss)
    like = values if phase == "jvp" else problem.y
    if not wrong and (derivative.shape, derivative.dtype) != (like.shape, like.dtype):
        wrong = f"the derivative is {_kind(derivative)}, not {_kind(like)}"
    if not wrong and phase == "jvp":
        wrong = _wrong_tangent(method, derivative, indices, problem)
    return wrong and f"{phase}: {wrong}"


def _wrong_tangent(method: Method, derivative: torch.Tensor, indices: torch.Tensor, problem: Problem) -> str:
    """Why the derivative of jvp is not that of the weights as a tangent, or ''."""
    if not method.exact:
        return wrong_relaxed_gradients({"the derivative": derivative}, problem.y)
    unequal = _unequal(derivative, problem.weights.gather(-1, indices), problem)
    return f"{len(unequal)} entries are not the tangent at their index" if len(unequal) else ""


def same_bits(outcome: Outcome, native: Selected) -> bool:
    """Whether an outcome has native's bits, so that the check of native holds for it too."""
    for mine, theirs in ((outcome.values, native.values), (outcome.indices, native.indices)):
        if as_rows(mine).shape != theirs.shape or mine.dtype != theirs.dtype or mine.dim() != outcome.y.dim():
            return False
    if not torch.equal(as_rows(outcome.indices).sort(dim=-1).values, native.indices):
        return False
    own = selected_of(outcome)
    pairs = ((getattr(own, name), getattr(native, name)) for name in ("values", "dy", "dx", "dW"))
    equal = (
        mine.dtype == theirs.dtype and torch.equal(bits(mine), bits(theirs))
        for mine, theirs in pairs
        if mine is not None and theirs is not None
    )
    return all(equal) and zero_elsewhere(outcome.dy, own.dy) and zero_elsewhere(outcome.dW, own.dW)


def changed(problem: Problem, drawn: Drawn, y: torch.Tensor) -> list[str]:
    """The names of the inputs that a method wrote into. y: a copy of the problem's, used where y is a product."""
    names = [name for name, numbers in drawn.tensors.items() if not _still(getattr(problem, name), numbers)]
    return names if "y" in drawn.tensors or torch.equal(bits(problem.y), bits(y)) else [*names, "y"]


def restore(problem: Problem, drawn: Drawn, y: torch.Tensor) -> None:
    """Undo what a method wrote into the inputs; y: a copy of the problem's y, as in `changed`."""
    for name, numbers in ({"y": y} | drawn.tensors).items():
        getattr(problem, name).copy_(numbers)


def _still(tensor: torch.Tensor, numbers: torch.Tensor) -> bool:
    """Whether a tensor still has the bits of these numbers after the cast.

    The numbers are cast again, piece by piece, because copies to compare with would be as large as all inputs.
    """
    own, drawn = tensor.view(-1), numbers.view(-1)
    step = slab_elements(own.numel())
    return all(
        torch.equal(bits(piece), bits(source.to(piece.dtype).to(piece.device)))
        for piece, source in zip(torch.split(own, step), torch.split(drawn, step), strict=True)
    )


def wrong_yardstick(method: Method, problem: Problem) -> str:
    """Why the output of `copy` or `read` is wrong, or ''."""
    if method.implementation.apply is None:
        return "has no apply"
    return wrong_move(method.implementation.apply(None, problem.y), problem.y)


def wrong_move(output: torch.Tensor, y: torch.Tensor) -> str:
    """Why the output is neither a copy of y nor the largest of y's bits read as integers, or ''."""
    if output.shape == y.shape:
        return "" if torch.equal(bits(output), bits(y)) else "copy differs from y"
    return (
        "" if (y.view(output.dtype) <= output).all() and (y.view(output.dtype) == output).any() else "not the largest"
    )


def _wrong_selection(got: Selected, problem: Problem, multiplies_again: bool) -> str:
    rows = misplaced_rows(got.y, got.indices).nonzero()[:, 0]
    if not len(rows):
        return ""
    if multiplies_again and problem.case.transform != "eager" and right_but_for_rounding(got, rows, problem):
        return ""
    # Some indices are known to be wrong; what follows only counts them.
    wrong, step = 0, max(1, slab_elements(got.y.numel()) // problem.case.n)
    for some in torch.split(rows, step):
        indices = got.indices[some].cpu().numpy()
        wrong += indices.size - int(shared(indices, right_selection(as_float64(got.y[some]), indices)).sum())
    return f"{wrong} of {got.indices.numel()} indices are not among the {problem.case.k} largest"


def _wrong_values(got: Selected, problem: Problem, multiplies_again: bool) -> str:
    want = got.y.gather(-1, got.indices)
    unequal = _unequal(got.values, want, problem)
    if len(unequal) and got.values.isnan().any():  # 0 times a non-finite y spoils every value of its row
        rows, columns = unequal.T
        spoilt = ~_finite_rows(got.y, problem)[rows] & got.values[rows, columns].isnan()
        unequal = unequal[~spoilt]
    if multiplies_again and len(unequal):
        unequal = unequal[torch.cat([*outside_product_bound(got, unequal, problem)])]
    if not len(unequal):
        return ""
    at = tuple(unequal[0])
    first = f"{got.values[at].item()} for {want[at].item()}"
    return f"{len(unequal)} values are not y at their index, the first {first}"


def _wrong_cotangent(outcome: Outcome, problem: Problem, loss: str) -> str:
    """Why dy is not the cotangent at the selected indices and zero elsewhere, or ''."""
    if outcome.dy is None:
        return ""
    if outcome.dy.shape != problem.y.shape:
        return f"dy is {_kind(outcome.dy)}, not {tuple(problem.y.shape)}"
    dy, indices = as_rows(outcome.dy), as_rows(outcome.indices)
    own = dy.gather(-1, indices)
    want = as_rows(cotangent_of(outcome.values, outcome.indices, problem.weights, loss)).to(dy.dtype)
    wrong, finite = _unequal(own, want, problem), _finite_rows(want, problem)
    if len(wrong):
        rows, columns = wrong.T
        wrong = wrong[finite[rows] | ~own[rows, columns].isnan()]
    count = len(wrong)
    if not zero_elsewhere(dy, own):
        rest = dy.clone().scatter_(-1, indices, 0)
        rows, columns = rest.nonzero().T
        entries, form = rest[rows, columns], reduced_format(problem.case.dtype, problem.case.mode)
        excused = entries.isnan() & ~finite[rows]
        if form is not None:
            excused |= entries.double().abs() <= smallest(form)  # as `_unequal` allows where 0 is right
        count += len(entries) - int(excused.sum())
    return f"{count} entries of dy are not the cotangent of their value" if count else ""


def _unequal(got: torch.Tensor, want: torch.Tensor, problem: Problem) -> torch.Tensor:
    """Places (m, dimensions) of entries that are not copies of `want`, apart from the exceptions named above."""
    least, limit = 2.0 ** FORMATS[problem.case.dtype].emin, arithmetic_of(problem).infinite_from
    form = reduced_format(problem.case.dtype, problem.case.mode)
    flat, copied = got.reshape(-1), want.reshape(-1)
    step, places = slab_elements(flat.numel()), []
    for start in range(0, flat.numel(), step):
        own, right = flat[start : start + step].double(), copied[start : start + step].double()
        unequal = ~((own == right) | (own.isnan() & right.isnan()) | ((right.abs() < least) & (own == 0)))
        if form is not None:
            unequal &= ~((own - right).abs() <= form.unit_roundoff * right.abs() + smallest(form))
            unequal &= ~(own.isinf() & (own.sign() == right.sign()) & (right.abs() >= limit))
        places.append(unequal.nonzero()[:, 0] + start)
    return torch.stack(torch.unravel_index(torch.cat(places), got.shape), dim=-1)


def _finite_rows(factors: torch.Tensor, problem: Problem) -> torch.Tensor:
    """(rows,) whether every entry is finite as a factor of a product in the mode of the case."""
    return (factors.abs() < arithmetic_of(problem).infinite_from).all(dim=-1)


def _on_cpu(held: Any) -> Any:
    """An outcome or a problem whose tensors are on the CPU."""
    values = {field.name: getattr(held, field.name) for field in fields(held)}
    return replace(held, **{name: value.cpu() for name, value in values.items() if isinstance(value, torch.Tensor)})


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
