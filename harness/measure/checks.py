"""Is the output right? Nothing is timed before it was; a reason comes back, or ''.

Selected values and dy are copies, so they must equal what they are copies of, with three exceptions that this
arithmetic has: 0 times a non-finite y is NaN, a subnormal y may be flushed to zero, and -0 may become 0. A method
that multiplies again (values by W[indices] @ x), dx and dW are sums, held to their rounding error bound.
"""

from __future__ import annotations

import numpy as np
import torch

from harness.measure.outcome import Outcome, as_float64, cotangent_of, solution_of
from harness.methods import Method
from harness.precision.reference import Solution, weight_gradients
from harness.precision.selection import flips
from harness.precision.ulp import FORMATS
from harness.problems import Problem


def wrong_outcome(method: Method, outcome: Outcome, problem: Problem, loss: str) -> str:
    """Why the outcome of a method is wrong, or ''. Relaxations (not exact) are held to shape and dtype only."""
    case = problem.case
    lead = () if case.rows == 1 else (case.rows,)
    if outcome.values.shape != (*lead, case.k) or outcome.values.dtype != problem.y.dtype:
        return f"values are {_kind(outcome.values)}, not {(*lead, case.k)} {problem.y.dtype}"
    if outcome.indices.shape != outcome.values.shape or outcome.indices.dtype != torch.int64:
        return f"indices are {_kind(outcome.indices)}, not {(*lead, case.k)} torch.int64"
    if not method.exact:
        return ""
    if int(outcome.indices.min()) < 0 or int(outcome.indices.max()) >= case.n:
        return f"an index is outside 0..{case.n - 1}"
    got = solution_of(outcome)
    if (np.diff(got.indices, axis=-1) == 0).any():
        return "an index is selected twice"
    return _wrong_values(got, problem) or _wrong_cotangent(outcome, problem, loss) or _wrong_sums(got, outcome, problem)


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
    return all(one.dtype == two.dtype and torch.equal(_bits(one), _bits(two)) for one, two in pairs)


def changed(problem: Problem, before: list[torch.Tensor]) -> bool:
    """Whether a method wrote into the inputs, of which `before` are copies."""
    pairs = zip(tensors_of(problem), before, strict=True)
    return not all(torch.equal(_bits(now), _bits(then)) for now, then in pairs)


def tensors_of(problem: Problem) -> list[torch.Tensor]:
    """The inputs that a method could write into."""
    return [each for each in (problem.y, problem.x, problem.W, problem.weights) if each is not None]


def wrong_yardstick(method: Method, problem: Problem) -> str:
    """Why the output of `copy` or `read` is wrong, or ''."""
    if method.implementation.apply is None:
        return "has no apply"
    y, output = problem.y, method.implementation.apply(None, problem.y)
    if output.shape == y.shape:
        return "" if torch.equal(_bits(output), _bits(y)) else "copy differs from y"
    return (
        "" if (y.view(output.dtype) <= output).all() and (y.view(output.dtype) == output).any() else "not the largest"
    )


def _wrong_values(got: Solution, problem: Problem) -> str:
    y = as_float64(problem.y).reshape(problem.case.rows, -1)
    wrong = flips(got.indices, y)
    if wrong:
        return f"{wrong:.0f} of {got.indices.size} indices are not among the {problem.case.k} largest"
    want = np.take_along_axis(y, got.indices, -1)
    smallest_normal = 2.0 ** FORMATS[problem.case.dtype].emin
    spoilt = ~np.isfinite(y).all(axis=-1, keepdims=True) & np.isnan(got.values)
    flushed = (np.abs(want) < smallest_normal) & (got.values == 0)
    unequal = ~((got.values == want) | (np.isnan(got.values) & np.isnan(want)) | spoilt | flushed)
    if not unequal.any():
        return ""
    if problem.x is not None and (np.abs(got.values - want) <= _product_bound(got, problem))[unequal].all():
        return ""
    at = tuple(np.argwhere(unequal)[0])
    return f"{np.count_nonzero(unequal)} values are not y at their index, the first {got.values[at]!r} for {want[at]!r}"


def _wrong_cotangent(outcome: Outcome, problem: Problem, loss: str) -> str:
    if outcome.dy is None:
        return ""
    expected = torch.zeros_like(outcome.dy)
    expected.scatter_(-1, outcome.indices, cotangent_of(outcome.values, outcome.indices, problem.weights, loss))
    unequal = ~((outcome.dy == expected) | (outcome.dy.isnan() & expected.isnan()))
    # A subnormal cotangent may be flushed by the product with Sᵀ.
    tiny = torch.finfo(expected.dtype).tiny
    unequal &= ~((expected.abs() < tiny) & (outcome.dy == 0))
    if not unequal.any() or not bool(problem.y.isfinite().all() and outcome.values.isfinite().all()):
        return ""
    return f"{int(unequal.sum())} entries of dy are not the cotangent of their value"


def _wrong_sums(got: Solution, outcome: Outcome, problem: Problem) -> str:
    """dx and dW against float64 sums of the method's own dy: |error| <= gamma_m(u) sum |terms| + underflow."""
    if got.dx is None or got.dW is None or outcome.dW is None or problem.x is None or problem.W is None:
        return ""
    dy = 2 * got.values if outcome.dy is None else got.dy
    x, W = as_float64(problem.x).reshape(problem.case.rows, -1), as_float64(problem.W[torch.from_numpy(got.touched)])
    finite = bool(problem.W.isfinite().all() and problem.x.isfinite().all()) and np.isfinite(dy).all()
    if not finite:
        return ""  # 0 times a non-finite entry is NaN in some methods and not in others: no bound holds
    elsewhere = int(torch.count_nonzero(outcome.dW.any(dim=-1))) - int(np.count_nonzero(got.dW.any(axis=-1)))
    if elsewhere:
        return f"{elsewhere} rows of dW that were not selected are not zero"
    places = np.searchsorted(got.touched, got.indices)
    dx, dW = weight_gradients(places, dy, x, W)
    dx_size, dW_size = weight_gradients(places, np.abs(dy), np.abs(x), np.abs(W))
    form = FORMATS[problem.case.dtype]
    for name, have, want, size, terms in (
        ("dx", got.dx, dx, dx_size, np.full((1, 1), problem.case.k)),
        ("dW", got.dW, dW, dW_size, np.bincount(places.ravel())[:, None]),
    ):
        with np.errstate(invalid="ignore"):
            bound = _gamma(terms + 2, form.unit_roundoff) * size + (terms + 1) * 2.0 ** (form.emin - form.p + 1)
            over = ~(np.abs(have - want) <= bound) & ~(np.abs(want) + bound >= 2.0**form.emax)
        if over.any():
            return f"{np.count_nonzero(over)} entries of {name} are outside their rounding error bound"
    return ""


def _product_bound(got: Solution, problem: Problem) -> np.ndarray:
    """2 gamma_d |W||x| at the selected: two sums of the same d products in different orders."""
    if problem.x is None or problem.W is None:
        raise ValueError("there is no product to bound where y itself was drawn")
    form = FORMATS[problem.case.dtype]
    x, W = as_float64(problem.x).reshape(problem.case.rows, -1), as_float64(problem.W[torch.from_numpy(got.touched)])
    size = np.take_along_axis(np.abs(x) @ np.abs(W).T, np.searchsorted(got.touched, got.indices), -1)
    underflow = problem.case.d * 2.0 ** (form.emin - form.p + 1)
    bound: np.ndarray = 2 * _gamma(np.array(problem.case.d + 2), form.unit_roundoff) * size + underflow
    return bound


def _gamma(m: np.ndarray, u: float) -> np.ndarray:
    """gamma_m = m u / (1 - m u), infinite where m u >= 1 (Higham 2002, lemma 3.1)."""
    with np.errstate(divide="ignore"):
        return np.where(m * u < 1, m * u / np.maximum(1 - m * u, 0), np.inf)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.contiguous().view(integers[tensor.element_size()])


def _kind(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} {tensor.dtype}"
