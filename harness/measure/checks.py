"""Is the output right? Nothing is timed before it was; a reason comes back, or ''.

Selected values and dy are copies, so they must equal what they are copies of, with four exceptions that this
arithmetic has: 0 times a non-finite y is NaN, a subnormal y may be flushed to zero, -0 may become 0, and a mode of
reduced precision rounds what it multiplies. A method
that multiplies again (values by W[indices] @ x), dx and dW are sums, held to their rounding error bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from harness.measure.modes import result_dtypes
from harness.measure.outcome import Outcome, as_float64, bits, cotangent_of, inputs_of, solution_of
from harness.measure.relaxed import wrong_relaxation
from harness.methods import Method
from harness.precision.bounds import Arithmetic, cotangent, reduced_format, smallest, sum_bound
from harness.precision.selection import right_selection, shared
from harness.precision.solution import Solution, weight_gradients
from harness.precision.ulp import FORMATS, Format
from harness.problems import Problem


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
    got = solution_of(outcome)
    if (np.diff(got.indices, axis=-1) == 0).any():
        return "an index is selected twice"
    multiplies_again = method.implementation.forward is None
    return (
        _wrong_values(got, problem, multiplies_again)
        or _wrong_cotangent(outcome, problem, loss)
        or _wrong_sums(got, outcome, problem, loss, multiplies_again)
    )


def wrong_derivative(method: Method, phase: str, result: Any, problem: Problem, loss: str) -> str:
    """Why what the phase jvp or vjp returned, (values, derivative, indices), is wrong, or ''.

    jvp: the tangent, which is the weights, at the selected indices. vjp: the cotangent of the loss, at theirs.
    """
    values, derivative, indices = result
    dy = derivative if phase == "vjp" else None
    wrong = wrong_outcome(method, Outcome(indices, problem.y, values, dy, None, None), problem, loss)
    if not wrong and derivative.shape != (values if phase == "jvp" else problem.y).shape:
        wrong = f"the derivative is {_kind(derivative)}"
    if not wrong and phase == "jvp" and method.exact:
        want = as_float64(problem.weights.gather(-1, indices))
        unequal = _unequal(as_float64(derivative), want, problem.case.dtype, problem.case.mode)
        if unequal.any():
            wrong = f"{np.count_nonzero(unequal)} entries are not the tangent at their index"
    return wrong and f"{phase}: {wrong}"


def same_bits(outcome: Outcome, other: Outcome) -> bool:
    """Whether two outcomes are equal to the last bit, once the selected are in the order of their indices."""
    if outcome.values.shape != other.values.shape or outcome.indices.shape != other.indices.shape:
        return False
    places, others = outcome.indices.argsort(-1), other.indices.argsort(-1)
    pairs = [
        (outcome.indices.gather(-1, places), other.indices.gather(-1, others)),
        (outcome.values.gather(-1, places), other.values.gather(-1, others)),
    ]
    for name in ("dy", "dx", "dW"):
        one, two = getattr(outcome, name), getattr(other, name)
        if one is not None and two is not None:
            pairs.append((one, two))
    return all(one.dtype == two.dtype and torch.equal(bits(one), bits(two)) for one, two in pairs)


def changed(problem: Problem, before: list[torch.Tensor]) -> bool:
    """Whether a method wrote into the inputs, of which `before` are copies."""
    pairs = zip(tensors_of(problem), before, strict=True)
    return not all(torch.equal(bits(now), bits(then)) for now, then in pairs)


def tensors_of(problem: Problem) -> list[torch.Tensor]:
    """The inputs that a method could write into."""
    return [each for each in (problem.y, problem.x, problem.W, problem.weights) if each is not None]


def wrong_yardstick(method: Method, problem: Problem) -> str:
    """Why the output of `copy` or `read` is wrong, or ''."""
    if method.implementation.apply is None:
        return "has no apply"
    y, output = problem.y, method.implementation.apply(None, problem.y)
    if output.shape == y.shape:
        return "" if torch.equal(bits(output), bits(y)) else "copy differs from y"
    return (
        "" if (y.view(output.dtype) <= output).all() and (y.view(output.dtype) == output).any() else "not the largest"
    )


def _wrong_values(got: Solution, problem: Problem, multiplies_again: bool) -> str:
    y = got.y
    wrong = got.indices.size - int(shared(got.indices, right_selection(y, got.indices)).sum())
    if wrong and not (multiplies_again and problem.case.transform != "eager" and _right_but_for_rounding(got, problem)):
        return f"{wrong} of {got.indices.size} indices are not among the {problem.case.k} largest"
    want = np.take_along_axis(y, got.indices, -1)
    spoilt = ~np.isfinite(y).all(axis=-1, keepdims=True) & np.isnan(got.values)
    unequal = _unequal(got.values, want, problem.case.dtype, problem.case.mode) & ~spoilt
    if multiplies_again and unequal.any():
        unequal &= ~(np.abs(got.values - want) <= 2 * _product_bound(got, problem))
    if not unequal.any():
        return ""
    at = tuple(np.argwhere(unequal)[0])
    return f"{np.count_nonzero(unequal)} values are not y at their index, the first {got.values[at]} for {want[at]}"


def _wrong_cotangent(outcome: Outcome, problem: Problem, loss: str) -> str:
    if outcome.dy is None:
        return ""
    expected = torch.zeros_like(outcome.dy)
    cotangent = cotangent_of(outcome.values, outcome.indices, problem.weights, loss)
    expected.scatter_(-1, outcome.indices, cotangent.to(expected.dtype))
    unequal = ~((outcome.dy == expected) | (outcome.dy.isnan() & expected.isnan()))
    # A subnormal cotangent may be flushed by the product with Sᵀ.
    tiny = torch.finfo(expected.dtype).tiny
    unequal &= ~((expected.abs() < tiny) & (outcome.dy == 0))
    unequal &= ~(outcome.dy.isnan() & ~expected.isfinite().all(dim=-1, keepdim=True))
    if (form := reduced_format(problem.case.dtype, problem.case.mode)) is not None:
        error = np.abs(as_float64(outcome.dy) - as_float64(expected))
        unequal &= ~torch.from_numpy(error <= _rounding(as_float64(expected), form)).to(unequal.device)
    if not unequal.any():
        return ""
    return f"{int(unequal.sum())} entries of dy are not the cotangent of their value"


def _wrong_sums(got: Solution, outcome: Outcome, problem: Problem, loss: str, multiplies_again: bool) -> str:
    """dx and dW against float64 sums of the method's own dy, within the bounds of harness/precision/bounds.py.

    Only a method that multiplies again has a backward of its own, which may add rows of dW in the storage format.
    """
    if got.dx is None or got.dW is None or outcome.dW is None or problem.x is None or problem.W is None:
        return ""
    inputs = inputs_of(problem)
    x, W = inputs["x"], inputs["W"]
    dy = cotangent(got, inputs, loss) if outcome.dy is None else got.dy
    if not all(np.isfinite(each).all() for each in (x, W, dy)):
        return ""  # 0 times a non-finite entry is NaN in some methods and not in others: no bound holds
    elsewhere = int(torch.count_nonzero(outcome.dW.any(dim=-1))) - int(np.count_nonzero(got.dW.any(axis=-1)))
    if elsewhere:
        return f"{elsewhere} rows of dW that were not selected are not zero"
    places = np.searchsorted(got.touched, got.indices)
    dx, dW = weight_gradients(places, dy, x, W[got.touched])
    dx_size, dW_size = weight_gradients(places, np.abs(dy), np.abs(x), np.abs(W[got.touched]))
    arithmetic = Arithmetic.of(problem.case.dtype, problem.case.mode)
    if multiplies_again:
        arithmetic = arithmetic.accumulating_in_storage()
    for name, have, want, size, terms in (
        ("dx", got.dx, dx, dx_size, np.full((1, 1), problem.case.k)),
        ("dW", got.dW, dW, dW_size, np.bincount(places.ravel())[:, None]),
    ):
        with np.errstate(invalid="ignore", over="ignore"):
            # What it is held to is itself a float64 sum, and may err the other way.
            bound = sum_bound(terms, size, have, arithmetic) + sum_bound(terms, size, want, Arithmetic.of("float64"))
            overflows = np.abs(want) + bound >= 2.0 ** FORMATS[problem.case.dtype].emax
            over = ~(np.abs(have - want) <= bound) & ~(overflows & ~np.isfinite(have))
        if over.any():
            return f"{np.count_nonzero(over)} entries of {name} are outside their rounding error bound"
    return ""


def _unequal(got: np.ndarray, want: np.ndarray, dtype: str, mode: str) -> np.ndarray:
    """Entries that are not the copies that they should be, in this arithmetic."""
    flushed = (np.abs(want) < 2.0 ** FORMATS[dtype].emin) & (got == 0)
    unequal: np.ndarray = ~((got == want) | (np.isnan(got) & np.isnan(want)) | flushed)
    if (form := reduced_format(dtype, mode)) is not None:
        unequal &= ~(np.abs(got - want) <= _rounding(want, form))
    return unequal


def _right_but_for_rounding(got: Solution, problem: Problem) -> bool:
    """Whether the selected are the k largest of a product x Wᵀ within its bound: compiled, or mapped over rows, it may
    be rounded otherwise than the y that is known here."""
    own = np.take_along_axis(got.y, got.indices, -1)
    right = np.take_along_axis(got.y, right_selection(got.y, got.indices), -1)
    everywhere = replace(got, indices=np.broadcast_to(np.arange(got.y.shape[-1]), got.y.shape), values=got.y)
    largest = _product_bound(everywhere, problem).max(axis=-1, keepdims=True)
    return bool((own >= right.min(axis=-1, keepdims=True) - 4 * largest).all())


def _product_bound(got: Solution, problem: Problem) -> np.ndarray:
    """Of y = x Wᵀ at the selected."""
    inputs = inputs_of(problem)
    if "x" not in inputs:
        raise ValueError("there is no product to bound where y itself was drawn")
    size = np.take_along_axis(np.abs(inputs["x"]) @ np.abs(inputs["W"]).T, got.indices, -1)
    arithmetic = Arithmetic.of(problem.case.dtype, problem.case.mode)
    return sum_bound(problem.case.d, size, got.values, arithmetic)


def _rounding(want: np.ndarray, form: Format) -> np.ndarray:
    """Bound of |copy - want| of a copy that was rounded to a format."""
    return form.unit_roundoff * np.abs(want) + smallest(form)


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
