"""Is the output right? Nothing is timed before it was; a reason comes back, or ''.

Selected values and dy are copies, so they must equal what they are copies of, with four exceptions that this
arithmetic has: 0 times a non-finite y is NaN, a subnormal y may be flushed to zero, -0 may become 0, and a mode of
reduced precision rounds what it multiplies. A method
that multiplies again (values by W[indices] @ x), dx and dW are sums, held to their rounding error bound.

All of it is done in torch where the tensors are, or on the CPU where their device has no float64, in slabs: at the
sizes of an accelerator float64 copies of all would neither fit nor end.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from harness.device.devices import device_of
from harness.exact.ulp import FORMATS
from harness.methods import Method
from harness.precision.bounds import Arithmetic, SumBound, reduced_format, smallest
from harness.precision.selection import right_selection, shared
from harness.precision.slabs import Slab, input_gradients, misplaced_rows, slab_elements, weight_gradients
from harness.topk.modes import result_dtypes
from harness.topk.outcome import Outcome, Selected, as_float64, as_rows, bits, cotangent_of, selected_of
from harness.topk.problems import Drawn, Problem
from harness.topk.relaxed import wrong_relaxation


@torch.no_grad()
def wrong_outcome(method: Method, outcome: Outcome, problem: Problem, loss: str) -> str:
    """Why the outcome of a method is wrong, or ''. Relaxations (not exact) are held to relaxed.py."""
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
        or _wrong_sums(got, outcome, problem, loss, multiplies_again)
    )


def wrong_derivative(method: Method, phase: str, result: Any, problem: Problem, loss: str) -> str:
    """Why what the phase jvp, vjp or step returned, (values, derivative, indices), is wrong, or ''.

    jvp: the tangent, which is the weights, at the selected indices. vjp and step: the cotangent of the loss, at theirs.
    """
    values, derivative, indices = result
    dy = None if phase == "jvp" else derivative
    wrong = wrong_outcome(method, Outcome(indices, problem.y, values, dy, None, None), problem, loss)
    if not wrong and derivative.shape != (values if phase == "jvp" else problem.y).shape:
        wrong = f"the derivative is {_kind(derivative)}"
    if not wrong and phase == "jvp" and method.exact:
        unequal = _unequal(derivative, problem.weights.gather(-1, indices), problem)
        if len(unequal):
            wrong = f"{len(unequal)} entries are not the tangent at their index"
    return wrong and f"{phase}: {wrong}"


def same_bits(outcome: Outcome, native: Selected) -> bool:
    """Whether an outcome is native's to the last bit: its verdict is then native's."""
    for one, two in ((outcome.values, native.values), (outcome.indices, native.indices)):
        if as_rows(one).shape != two.shape or one.dtype != two.dtype:
            return False
    if not torch.equal(as_rows(outcome.indices).sort(dim=-1).values, native.indices):
        return False
    own = selected_of(outcome)
    pairs = ((getattr(own, name), getattr(native, name)) for name in ("values", "dy", "dx", "dW"))
    equal = (
        one.dtype == two.dtype and torch.equal(bits(one), bits(two))
        for one, two in pairs
        if one is not None and two is not None
    )
    return all(equal) and _zero_elsewhere(outcome.dy, own.dy) and _zero_elsewhere(outcome.dW, own.dW)


def _zero_elsewhere(whole: torch.Tensor | None, selected: torch.Tensor | None) -> bool:
    """Whether a gradient has no other entries than those at the selected; NaN is one."""
    if whole is None or selected is None:
        return True
    return int(torch.count_nonzero(whole)) == int(torch.count_nonzero(selected))


def changed(problem: Problem, drawn: Drawn, y: torch.Tensor) -> list[str]:
    """The names of the inputs that a method wrote into: they are no longer what was drawn, or y is no longer this."""
    found = [name for name, numbers in drawn.tensors.items() if not _still(getattr(problem, name), numbers)]
    return found if "y" in drawn.tensors or torch.equal(bits(problem.y), bits(y)) else [*found, "y"]


def restore(problem: Problem, drawn: Drawn, y: torch.Tensor) -> None:
    """Undo what a method wrote into the inputs."""
    for name, numbers in ({"y": y} | drawn.tensors).items():
        getattr(problem, name).copy_(numbers)


def _still(tensor: torch.Tensor, numbers: torch.Tensor) -> bool:
    """Whether a tensor has the bits that these numbers have when they are cast: there is no copy of it to compare with,
    which would be as large as all inputs."""
    own, drawn = tensor.view(-1), numbers.view(-1)
    step = slab_elements(own.numel())
    return all(
        torch.equal(bits(one), bits(two.to(one.dtype).to(one.device)))
        for one, two in zip(torch.split(own, step), torch.split(drawn, step), strict=True)
    )


def wrong_yardstick(method: Method, problem: Problem) -> str:
    """Why the output of `copy` or `read` is wrong, or ''."""
    if method.implementation.apply is None:
        return "has no apply"
    return wrong_move(method.implementation.apply(None, problem.y), problem.y)


def wrong_move(output: torch.Tensor, y: torch.Tensor) -> str:
    """Why this is neither a copy of y nor the largest of its bits as an integer, or ''."""
    if output.shape == y.shape:
        return "" if torch.equal(bits(output), bits(y)) else "copy differs from y"
    return (
        "" if (y.view(output.dtype) <= output).all() and (y.view(output.dtype) == output).any() else "not the largest"
    )


def _wrong_selection(got: Selected, problem: Problem, multiplies_again: bool) -> str:
    rows = misplaced_rows(got.y, got.indices).nonzero()[:, 0]
    if not len(rows):
        return ""
    if multiplies_again and problem.case.transform != "eager" and _right_but_for_rounding(got, rows, problem):
        return ""
    wrong, step = 0, max(1, slab_elements(got.y.numel()) // problem.case.n)
    for some in torch.split(rows, step):
        indices = got.indices[some].cpu().numpy()
        wrong += indices.size - int(shared(indices, right_selection(as_float64(got.y[some]), indices)).sum())
    return f"{wrong} of {got.indices.numel()} indices are not among the {problem.case.k} largest"


def _wrong_values(got: Selected, problem: Problem, multiplies_again: bool) -> str:
    want = got.y.gather(-1, got.indices)
    unequal = _unequal(got.values, want, problem)
    if len(unequal) and got.values.isnan().any():
        rows, columns = unequal.T
        spoilt = ~got.y.isfinite().all(dim=-1)[rows] & got.values[rows, columns].isnan()
        unequal = unequal[~spoilt]
    if multiplies_again and len(unequal):
        unequal = unequal[torch.cat([*_outside_product_bound(got, unequal, problem)])]
    if not len(unequal):
        return ""
    at = tuple(unequal[0])
    first = f"{got.values[at].item()} for {want[at].item()}"
    return f"{len(unequal)} values are not y at their index, the first {first}"


def _wrong_cotangent(outcome: Outcome, problem: Problem, loss: str) -> str:
    """dy is the cotangent at the selected, and zero elsewhere."""
    if outcome.dy is None:
        return ""
    if outcome.dy.shape != problem.y.shape:
        return f"dy is {_kind(outcome.dy)}, not {tuple(problem.y.shape)}"
    dy, indices = as_rows(outcome.dy), as_rows(outcome.indices)
    own = dy.gather(-1, indices)
    want = as_rows(cotangent_of(outcome.values, outcome.indices, problem.weights, loss)).to(dy.dtype)
    wrong, finite = _unequal(own, want, problem), want.isfinite().all(dim=-1)
    if len(wrong):
        rows, columns = wrong.T
        wrong = wrong[finite[rows] | ~own[rows, columns].isnan()]
    count = len(wrong)
    if not _zero_elsewhere(dy, own):
        rest = dy.clone().scatter_(-1, indices, 0)
        rows, columns = rest.nonzero().T
        entries, form = rest[rows, columns], reduced_format(problem.case.dtype, problem.case.mode)
        excused = entries.isnan() & ~finite[rows]
        if form is not None:
            excused |= entries.double().abs() <= smallest(form)
        count += len(entries) - int(excused.sum())
    return f"{count} entries of dy are not the cotangent of their value" if count else ""


def _wrong_sums(got: Selected, outcome: Outcome, problem: Problem, loss: str, multiplies_again: bool) -> str:
    """dx and dW against float64 sums of the method's own dy, within the bounds of harness/precision/bounds.py.

    Only a method that multiplies again has a backward of its own, which may add rows of dW in the storage format.
    """
    if got.dx is None or outcome.dW is None or problem.x is None or problem.W is None:
        return ""
    x, W = as_rows(problem.x), problem.W
    if got.dy is not None:
        dy = got.dy
    elif loss == "linear":
        dy = as_rows(problem.weights).gather(-1, got.indices)
    else:
        dy = 2 * got.values.double()
    arithmetic = Arithmetic.of(problem.case.dtype, problem.case.mode)
    if multiplies_again:
        arithmetic = arithmetic.accumulating_in_storage()
    wrong = _rows_elsewhere(outcome.dW, got.dW)
    for name, have, slabs in (
        ("dx", got.dx, input_gradients(got.indices, dy, W)),
        ("dW", outcome.dW, weight_gradients(got.indices, dy, x)),
    ):
        if not wrong and (over := _outside_bound(have, slabs, arithmetic, problem)):
            wrong = f"{over} entries of {name} are outside their rounding error bound"
    if wrong and not all(each.isfinite().all() for each in (x, W, dy)):
        return ""  # 0 times a non-finite entry is NaN in some methods and not in others: no bound holds
    return wrong


def _rows_elsewhere(dW: torch.Tensor, own: torch.Tensor | None) -> str:
    """Why dW is wrong at the rows that were not selected, or ''; own: the others."""
    if own is None or _zero_elsewhere(dW, own):
        return ""
    elsewhere = int(torch.count_nonzero(dW.any(dim=-1))) - int(torch.count_nonzero(own.any(dim=-1)))
    return f"{elsewhere} rows of dW that were not selected are not zero"


def _outside_bound(have: torch.Tensor, slabs: Iterator[Slab], arithmetic: Arithmetic, problem: Problem) -> int:
    """How many entries are farther from their float64 sums than two bounds: these may err the other way."""
    outside, largest = 0, 2.0 ** FORMATS[problem.case.dtype].emax
    for slab in slabs:
        own = have[slab.places].double()
        bound = _bound(arithmetic, slab.terms, slab.sizes, own)
        bound += _bound(Arithmetic.of("float64"), slab.terms, slab.sizes, slab.sums)
        overflows = (slab.sums.abs() + bound >= largest) & ~own.isfinite()
        outside += int((~((own - slab.sums).abs() <= bound) & ~overflows).sum())
    return outside


def _bound(arithmetic: Arithmetic, terms: torch.Tensor, sizes: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """`sum_bound` of harness/precision/bounds.py, where the tensors are."""
    found = _for_all(int(terms), arithmetic) if terms.numel() == 1 else SumBound.of(terms.cpu().numpy(), arithmetic)
    of_size, least = (torch.from_numpy(each).to(sizes.device) for each in (found.of_size, found.least))
    bound = torch.where(sizes == 0, 0.0, of_size * sizes) + least
    return bound + found.of_result * result.abs() if found.of_result else bound


@functools.cache
def _for_all(terms: int, arithmetic: Arithmetic) -> SumBound:
    """Of sums that all have so many terms, slab after slab."""
    return SumBound.of(np.array([terms]), arithmetic)


def _unequal(got: torch.Tensor, want: torch.Tensor, problem: Problem) -> torch.Tensor:
    """Places (m, dimensions) of entries that are not the copies that they should be, in this arithmetic."""
    least = 2.0 ** FORMATS[problem.case.dtype].emin
    form = reduced_format(problem.case.dtype, problem.case.mode)
    one, two = got.reshape(-1), want.reshape(-1)
    step, found = slab_elements(one.numel()), []
    for start in range(0, one.numel(), step):
        own, right = one[start : start + step].double(), two[start : start + step].double()
        unequal = ~((own == right) | (own.isnan() & right.isnan()) | ((right.abs() < least) & (own == 0)))
        if form is not None:
            unequal &= ~((own - right).abs() <= form.unit_roundoff * right.abs() + smallest(form))
        found.append(unequal.nonzero()[:, 0] + start)
    return torch.stack(torch.unravel_index(torch.cat(found), got.shape), dim=-1)


def _right_but_for_rounding(got: Selected, rows: torch.Tensor, problem: Problem) -> bool:
    """Whether the selected of some rows are the k largest of a product x Wᵀ within its bound: compiled, or mapped over
    rows, it may be rounded otherwise than the y that is known here."""
    for some in torch.split(rows, max(1, slab_elements(got.y.numel()) // problem.case.n)):
        y, indices = got.y[some].double(), got.indices[some]
        right = torch.from_numpy(right_selection(y.cpu().numpy(), indices.cpu().numpy())).to(y.device)
        least = y.gather(-1, right).amin(dim=-1, keepdim=True)
        bound = _product_bounds(y, some, problem).amax(dim=-1, keepdim=True)
        if not (y.gather(-1, indices) >= least - 4 * bound).all():
            return False
    return True


def _product_bounds(y: torch.Tensor, rows: torch.Tensor, problem: Problem) -> torch.Tensor:
    """Of y = x Wᵀ, (some rows, n)."""
    x, W = _factors(problem)
    size = torch.cat([x[rows].double().abs() @ each.double().abs().mT for each in torch.split(W, _step(W))], dim=-1)
    return _bound(_product(problem), torch.full((1, 1), problem.case.d), size, y)


def _outside_product_bound(got: Selected, places: torch.Tensor, problem: Problem) -> Iterator[torch.Tensor]:
    """Masks over places (m, 2) of the values that are farther from y than two products can be, slab by slab."""
    x, W = _factors(problem)
    for some in torch.split(places, _step(W)):
        rows, columns = some.T
        indices, own = got.indices[rows, columns], got.values[rows, columns].double()
        size = (x[rows].double() * W[indices].double()).abs().sum(dim=-1)
        bound = _bound(_product(problem), torch.full((1,), problem.case.d), size, own)
        yield ~((own - got.y[rows, indices].double()).abs() <= 2 * bound)


def _factors(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    if problem.x is None or problem.W is None:
        raise ValueError("there is no product to bound where y itself was drawn")
    return as_rows(problem.x), problem.W


def _product(problem: Problem) -> Arithmetic:
    return Arithmetic.of(problem.case.dtype, problem.case.mode)


def _step(W: torch.Tensor) -> int:
    """Rows of W in a slab."""
    return max(1, slab_elements(W.numel()) // W.shape[1])


def _on_cpu(held: Any) -> Any:
    """An outcome or a problem."""
    tensors = {each.name: getattr(held, each.name) for each in fields(held)}
    return replace(held, **{name: each.cpu() for name, each in tensors.items() if isinstance(each, torch.Tensor)})


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
