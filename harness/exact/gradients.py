"""The gradients of answers.py, from scores and cotangents that are exact numbers, not floats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.exact.certified import Certified, given, put, unsettled
from harness.exact.dyadic import Dyadic, dyadic_of, product, total
from harness.exact.numbers import Numbers, Scores, complete, contract, overrule
from harness.exact.product import attempt_product, exact_product

ENTRIES_AT_ONCE = 2**20
"""Products of dW that are held in memory at a time."""


@dataclass(frozen=True)
class Cotangents:
    """g = 2^exponent numbers (rows, k), the gradient of the loss with respect to the selected scores."""

    scores: Scores
    indices: np.ndarray
    numbers: Numbers
    exponent: int

    @classmethod
    def of(cls, scores: Scores, indices: np.ndarray, loss: str) -> Cotangents:
        """`linear`: the weights; `square`: twice the scores. Raises ValueError for another loss."""
        if loss == "linear":
            return cls(scores, indices, Numbers(np.take_along_axis(scores.inputs["weights"], indices, -1)), 0)
        if loss == "square":
            return cls(scores, indices, scores.numbers(indices), 1)
        raise ValueError(f"loss {loss!r} is not one of 'linear', 'square'")

    def exactly(self, row: int, column: int) -> Dyadic:
        """g of one selected entry."""
        if self.exponent == 0:
            return dyadic_of(float(self.numbers.head[row, column]))
        number, exponent = self.scores.exactly(row, int(self.indices[row, column]))
        return number, exponent + self.exponent


def value_gradient(g: Cotangents, dtype: str) -> Certified:
    """dy at the selected indices, (rows, k)."""
    if g.exponent == 0:
        return given(g.numbers.head, dtype)
    certified = contract(g.numbers.map(lambda array: array[..., None]), Numbers(np.ones(1)), dtype, g.exponent)
    return complete(certified, g.exactly, dtype)


def matrix_gradient(g: Cotangents, dtype: str, *, full: bool) -> Certified:
    """dS = g yᵀ: (rows, k, n), or its entries at the selected indices, (rows, k)."""
    scores, indices = g.scores, g.indices
    if full:
        left = g.numbers.map(lambda array: array[:, :, None, None])
        certified = contract(left, scores.all().map(lambda array: array[:, None, :, None]), dtype, g.exponent)
        return complete(certified, lambda r, c, j: product(g.exactly(r, c), scores.exactly(r, j)), dtype)
    values = g.numbers if g.exponent else scores.numbers(indices)
    left, right = (factor.map(lambda array: array[..., None]) for factor in (g.numbers, values))
    certified = contract(left, right, dtype, g.exponent)
    return complete(certified, lambda r, c: product(g.exactly(r, c), scores.exactly(r, int(indices[r, c]))), dtype)


def weight_gradients(g: Cotangents, touched: np.ndarray, dtype: str) -> tuple[Certified, Certified]:
    """dx (rows, d), and dW (t, d) at the touched rows of W; both are sums over selected entries only."""
    x = g.scores.inputs["x"]
    dx, dW = unsettled(x.shape), unsettled((touched.size, x.shape[1]))
    for row in range(len(x)):
        put(dx, row, _input_gradient(g, row, dtype))
    order = np.argsort(g.indices, axis=None, kind="stable")
    counts = np.bincount(np.searchsorted(touched, g.indices.ravel()), minlength=touched.size)
    starts = np.cumsum(counts) - counts
    # Rows of dW that sum equally many products are done together, since they fill a rectangular array.
    for count in np.unique(counts).tolist():
        places = np.flatnonzero(counts == count)
        step = max(1, ENTRIES_AT_ONCE // (count * x.shape[1]))
        for start in range(0, places.size, step):
            some = places[start : start + step]
            members = order[starts[some, None] + np.arange(count)]
            put(dW, some, _summed_outer(g, members, dtype))
    return dx, dW


def _input_gradient(g: Cotangents, row: int, dtype: str) -> Certified:
    """dx of one row, (d,): Wᵀ g over its selection."""
    W = g.scores.inputs["W"][g.indices[row]]
    own = g.numbers.map(lambda array: array[row])
    if own.tail is None:
        return exact_product(W.T, own.head, dtype)
    head, tail = own.parts
    assert own.error is not None
    certified = attempt_product(
        W.T, head[None], dtype, tails=tail[None], errors=own.error[None], exponent=g.exponent
    ).map(lambda array: array[0])
    overrule(certified, own.signs, W.T)
    return complete(
        certified, lambda j: total(product(g.exactly(row, i), dyadic_of(W[i, j])) for i in range(len(W))), dtype
    )


def _summed_outer(g: Cotangents, members: np.ndarray, dtype: str) -> Certified:
    """Rows (m, d) of dW: sums of g x over members (m, count), which are flat places in g (rows, k)."""
    rows, columns = np.unravel_index(members, g.indices.shape)
    x = g.scores.inputs["x"]
    left = g.numbers.map(lambda array: array[rows, columns][:, None, :])
    certified = contract(left, Numbers(x[rows].transpose(0, 2, 1)), dtype, g.exponent)

    def exactly(place: int, j: int) -> Dyadic:
        pairs = zip(rows[place].tolist(), columns[place].tolist(), strict=True)
        return total(product(g.exactly(row, column), dyadic_of(x[row, j])) for row, column in pairs)

    return complete(certified, exactly, dtype)
