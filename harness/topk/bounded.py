"""Sums (dx, dW, and values that a method multiplies again) are checked against their rounding error bounds.

All of it is computed in torch, in float64, slab by slab, on the device of the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np
import torch

from harness.precision.arithmetic import Arithmetic, SumBound
from harness.precision.selection import right_selection
from harness.precision.slabs import Slab, input_gradients, slab_elements, weight_gradients
from harness.topk.outcome import Outcome, Selected, as_rows
from harness.topk.problems import Problem


def wrong_sums(got: Selected, outcome: Outcome, problem: Problem, loss: str, multiplies_again: bool) -> str:
    """Why dx or dW is outside its bound, or ''; compared with float64 sums over the method's own dy.

    The bound is the one of harness/precision/arithmetic.py. Only a method that multiplies again has a backward of its
    own, which may add the rows of dW in the storage format.
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
    arithmetic = arithmetic_of(problem)
    if multiplies_again:
        arithmetic = arithmetic.accumulating_in_storage()
    spoilt = _Spoilt(x, W, dy, arithmetic.infinite_from)
    if elsewhere := _rows_elsewhere(outcome.dW, got, spoilt):
        return f"{elsewhere} rows of dW that were not selected are not zero"
    for name, have, slabs in (
        ("dx", got.dx, input_gradients(got.indices, dy, W)),
        ("dW", outcome.dW, weight_gradients(got.indices, dy, x)),
    ):
        if over := outside_bound(have, slabs, arithmetic, partial(getattr, spoilt, name)):
            return f"{over} entries of {name} are outside their rounding error bound"
    return ""


@dataclass(frozen=True)
class _Spoilt:
    """Which entries of dx and dW an infinity or a NaN among the factors may spoil.

    0 times an infinity is NaN in a method that also multiplies what was not selected; other methods skip it.

    x: (rows, d). W: (n, d). dy: (rows, k). infinite_from: the magnitude from which a factor counts as infinite.
    """

    x: torch.Tensor
    W: torch.Tensor
    dy: torch.Tensor
    infinite_from: float

    @cached_property
    def dx(self) -> torch.Tensor:
        """(rows, d) or (1, d): an entry sums over its row of dy and its column of W."""
        return self._not_finite(self.dy).any(dim=1, keepdim=True) | self._not_finite(self.W).any(dim=0)

    @cached_property
    def dW(self) -> torch.Tensor:  # noqa: N802  (the name of the tensor)
        """(d,): an entry sums over its column of x and a column of dy; one infinity in dy may spoil them all."""
        return self._not_finite(self.dy).any() | self._not_finite(self.x).any(dim=0)

    def _not_finite(self, factors: torch.Tensor) -> torch.Tensor:
        return ~(factors.abs() < self.infinite_from)


def _rows_elsewhere(dW: torch.Tensor, got: Selected, spoilt: _Spoilt) -> int:
    """How many rows of dW (n, d) that were not selected are neither zero nor NaN where that is excused."""
    if zero_elsewhere(dW, got.dW):
        return 0
    wrong = (dW != 0) & ~(dW.isnan() & spoilt.dW)
    wrong[got.touched] = False
    return int(torch.count_nonzero(wrong.any(dim=-1)))


def outside_bound(
    have: torch.Tensor,
    slabs: Iterator[Slab],
    arithmetic: Arithmetic,
    spoilt: Callable[[], torch.Tensor] | None = None,
) -> int:
    """How many entries are farther from their float64 sums than the bounds of both sums together.

    An entry that is not finite is right only where the sum, or a part of it, may overflow, and where spoilt() is true,
    which broadcasts to the entries and is asked only if some entry is outside.
    """
    outside = 0
    for slab in slabs:
        own = have[slab.places].double()
        bound = _bound(arithmetic, slab.terms, slab.sizes, own)
        bound += _bound(Arithmetic.of("float64"), slab.terms, slab.sizes, slab.sums)
        # The bound of an infinite entry is infinite, so the bound alone would excuse it.
        within = torch.where(own.isfinite(), (own - slab.sums).abs() <= bound, _may_overflow(slab.sizes, arithmetic))
        if spoilt is not None and not within.all():
            within |= spoilt().expand(have.shape)[slab.places] & ~(own.isfinite() & slab.sums.isfinite())
        outside += int((~within).sum())
    return outside


def _may_overflow(sizes: torch.Tensor, arithmetic: Arithmetic) -> torch.Tensor:
    """Where a sum of terms of these sizes, or a part of it, may pass the largest number that it is stored as.

    That number is nearly 2^(emax + 1); the factor of two leaves room for rounding errors.
    """
    return sizes >= 2.0**arithmetic.storage.emax


def _bound(arithmetic: Arithmetic, terms: torch.Tensor, sizes: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
    """`sum_bound` of harness/precision/arithmetic.py, on the device of the tensors."""
    parts = _for_all(int(terms), arithmetic) if terms.numel() == 1 else SumBound.of(terms.cpu().numpy(), arithmetic)
    of_size, least = (torch.from_numpy(part).to(sizes.device) for part in (parts.of_size, parts.least))
    bound = of_size * sizes + least
    return bound + parts.of_result * result.abs() if parts.of_result else bound


@cache
def _for_all(terms: int, arithmetic: Arithmetic) -> SumBound:
    """The bound of sums that all have this number of terms; every slab asks for it again."""
    return SumBound.of(np.array([terms]), arithmetic)


def right_but_for_rounding(got: Selected, rows: torch.Tensor, problem: Problem) -> bool:
    """Whether the indices of some rows are right for some y within the bound of the product x Wᵀ.

    A method that multiplies again under torch.compile or vmap may round its own product differently from the y that is
    known here. Each of the two products may err by one bound at each of two entries that are compared: four in all.
    """
    for some in torch.split(rows, max(1, slab_elements(got.y.numel()) // problem.case.n)):
        y, indices = got.y[some].double(), got.indices[some]
        right = torch.from_numpy(right_selection(y.cpu().numpy(), indices.cpu().numpy())).to(y.device)
        own, theirs = y.gather(-1, indices), y.gather(-1, right)
        least = theirs.nan_to_num(math.inf, math.inf, -math.inf).amin(dim=-1, keepdim=True)  # NaN is above all numbers
        bound = torch.where(y.isfinite(), product_bounds(y, some, problem), 0.0).amax(dim=-1, keepdim=True)
        nearly = (own >= least - 4 * bound) | own.isnan()
        if not nearly.all() or not torch.equal(own.isnan().sum(dim=-1), theirs.isnan().sum(dim=-1)):
            return False
    return True


def product_bounds(y: torch.Tensor, rows: torch.Tensor, problem: Problem) -> torch.Tensor:
    """The bounds of y = x Wᵀ, (m, n), for rows (m,) of x."""
    x, W = _factors(problem)
    size = torch.cat([x[rows].double().abs() @ piece.double().abs().mT for piece in torch.split(W, _step(W))], dim=-1)
    return _bound(arithmetic_of(problem), torch.full((1, 1), problem.case.d), size, y)


def outside_product_bound(got: Selected, places: torch.Tensor, problem: Problem) -> Iterator[torch.Tensor]:
    """Masks over places (m, 2), slab by slab: values that are farther from y than the bounds of both products allow."""
    (x, W), arithmetic = _factors(problem), arithmetic_of(problem)
    for some in torch.split(places, _step(W)):
        rows, columns = some.T
        indices, own = got.indices[rows, columns], got.values[rows, columns].double()
        y = got.y[rows, indices].double()
        size = (x[rows].double() * W[indices].double()).abs().sum(dim=-1)
        bound = _bound(arithmetic, torch.full((1,), problem.case.d), size, own)
        both_finite = own.isfinite() & y.isfinite()
        yield ~torch.where(both_finite, (own - y).abs() <= 2 * bound, _may_overflow(size, arithmetic))


def _factors(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    if problem.x is None or problem.W is None:
        raise ValueError("there is no product to bound where y itself was drawn")
    return as_rows(problem.x), problem.W


def arithmetic_of(problem: Problem) -> Arithmetic:
    """The arithmetic of a product in the case of a problem."""
    return Arithmetic.of(problem.case.dtype, problem.case.mode)


def _step(W: torch.Tensor) -> int:
    """Rows of W in a slab."""
    return max(1, slab_elements(W.numel()) // W.shape[1])


def zero_elsewhere(whole: torch.Tensor | None, selected: torch.Tensor | None) -> bool:
    """Whether a gradient is zero except for its selected entries; NaN counts as nonzero."""
    if whole is None or selected is None:
        return True
    return int(torch.count_nonzero(whole)) == int(torch.count_nonzero(selected))
